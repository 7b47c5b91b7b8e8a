"""DAFormer's recipe: what is mixed, how it is weighed, and how the teacher follows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from dalib.checks.dense_world import attached, batches, fit
from dalib.checks.world import seeded
from dalib.core.registry import ALGORITHMS
from dalib.nn.pixels import draw_class_mask

DAFormer = ALGORITHMS.get("daformer")


def test_the_term_is_the_weighed_cross_entropy_of_the_mixed_picture():
    algorithm = attached(DAFormer, weight=0.7, threshold=0.4)
    source, target = batches(algorithm)
    with torch.no_grad():
        teacher = algorithm.teacher(target.x)[1].double().numpy()
    with seeded(4):
        m = draw_class_mask(source.y).numpy()
    p = softmax(teacher, axis=1)
    label, part = p.argmax(1), (p.max(1) >= 0.4).mean()
    assert 0 < part < 1, "the threshold must tell pixels apart for this to say anything"
    x = np.where(m[:, None], source.x.numpy(), target.strong.x.numpy())
    y, weight = np.where(m, source.y.numpy(), label), np.where(m, 1.0, part)
    student = attached(DAFormer)
    student.load_state_dict(algorithm.state_dict())
    log_p = log_softmax(student.network(torch.as_tensor(x))[1].detach().double().numpy(), axis=1)
    each = -np.take_along_axis(log_p, y[:, None], 1)[:, 0]
    expected = 0.7 * (weight * each).mean()
    with seeded(4):
        found = float(algorithm.adapt(source, target, 0.0)["mixed"])
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_teacher_is_the_mean_of_past_students_and_answers():
    algorithm = attached(DAFormer, decay=0.9)
    weights = []
    for _ in range(3):
        with torch.no_grad():
            for p in algorithm.network.parameters():
                p.add_(torch.randn_like(p))
        weights.append(next(algorithm.network.parameters()).detach().clone())
        algorithm.end_step()
    expected = (weights[0] + weights[1] + weights[2]) / 3
    torch.testing.assert_close(next(algorithm.teacher.parameters()), expected)
    x = torch.rand(2, 3, 32, 32)
    algorithm.eval()
    assert torch.equal(algorithm.predict(x)[1], algorithm.teacher(x)[1])


def test_views_of_a_target_picture_show_the_same_pixels():
    """Both are cut out alike, so the teacher's labels are those of the strong view's pixels."""

    class Watching(DAFormer):
        looked: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()

        def adapt(self, source, target, progress):
            type(self).looked = (*self.looked, (target.x.detach(), target.strong.x.detach()))
            return super().adapt(source, target, progress)

    fit(Watching)
    assert len(Watching.looked) == 4
    for mild, strong in Watching.looked:
        edges = [(x[..., 1:] - x[..., :-1]).abs().sum(1).flatten(1) for x in (mild, strong)]
        related = [np.corrcoef(a.numpy(), b.numpy())[0, 1] for a, b in zip(*edges, strict=True)]
        assert np.mean(related) > 0.4, "colours and a hole differ; edges lie at the same places"


def test_rare_classes_come_often_by_its_recipe():
    assert DAFormer.recipe == {"sampler": "rare_classes"}
