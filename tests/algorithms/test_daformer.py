"""DAFormer's recipe: what is mixed, how it is weighed, and how the teacher follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from dalib.checks.dense_world import attached, batches, fit
from dalib.checks.world import seeded
from dalib.core.registry import ALGORITHMS
from dalib.nn.feature_levels import evaluating
from dalib.nn.pixels import draw_class_mask, feature_distance

DAFormer = ALGORITHMS.get("daformer")


def test_the_term_is_the_weighed_cross_entropy_of_the_mixed_picture():
    algorithm = attached(DAFormer, weight=0.7, threshold=0.4)
    source, target = batches(algorithm)
    other = torch.randn(target.x.shape, generator=torch.Generator().manual_seed(5))  # views alike would say nothing
    target = replace(target, others=(replace(target.strong, x=other),))
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


def test_features_of_things_are_held_near_those_that_the_backbone_began_with():
    """The distance against a loop over positions; batch norms see nothing of it."""
    plain, algorithm = attached(DAFormer), attached(DAFormer, distance=0.2, things=2)
    source, target = batches(algorithm)
    y = source.y.clone()
    y[:, :16, :14], y[0, 16:, :14], y[1, 16:, 16:] = 2, 255, 1
    source = replace(source, y=y)
    with torch.no_grad():
        for p in algorithm.network.parameters():
            p.add_(0.02 * torch.randn_like(p))
    plain.network.load_state_dict(algorithm.network.state_dict())
    with seeded(8):
        assert plain.adapt(source, target, 0.0).keys() == {"mixed"}
    with seeded(8):
        found = algorithm.adapt(source, target, 0.0)["distance"]
    seen = zip(plain.network.buffers(), algorithm.network.buffers(), strict=True)
    assert all(torch.equal(a, b) for a, b in seen) and all(m.training for m in algorithm.network.modules())
    with torch.no_grad(), evaluating(algorithm):
        maps = [m.stage3(m.stage2(m.stage1(m.stem(source.x)))) for m in (algorithm.network.backbone, algorithm.first)]
    distances = []
    for b, row, column in np.ndindex(4, 2, 2):
        shown = y[b, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        if (shown == 2).double().mean() >= 0.75:
            distances.append(np.linalg.norm((maps[0] - maps[1])[b, :, row, column].double().numpy()))
    assert len(distances) == 4
    assert float(found) == pytest.approx(0.2 * np.mean(distances), rel=1e-4)
    gradients = torch.autograd.grad(found, list(algorithm.network.backbone.parameters()), allow_unused=True)
    assert any(g is not None and g.any() for g in gradients)
    assert not any(p.requires_grad for p in algorithm.first.parameters())


def test_without_a_thing_in_sight_the_distance_is_nothing():
    f, y = torch.rand(2, 3, 2, 2), torch.zeros(2, 8, 8, dtype=torch.int64)
    assert float(feature_distance(f, f + 1, y, 3, 1)) == 0
    assert float(feature_distance(f, f + 1, y + 255, 3, 0)) == 0, "nobody said what is there"
    assert float(feature_distance(f, f + 1, y + 2, 3, 1)) == pytest.approx(3**0.5)


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
