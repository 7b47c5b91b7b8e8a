"""The detection teacher: which boxes are learnt, which losses of them, from when on, and who answers."""

from __future__ import annotations

import pytest
import torch

from dalib.checks.dense_world import attached, batches, fit
from dalib.checks.world import seeded
from dalib.core.registry import ALGORITHMS
from dalib.nn.boxes import take_sure

DetectionTeacher = ALGORITHMS.get("detection_teacher")


def test_boxes_above_the_threshold_become_labels():
    answers = torch.tensor([[[1.0, 0.9, 2, 3, 8, 9], [0, 0.5, 1, 1, 4, 4], [-1, 0, 0, 0, 0, 0]]])
    assert take_sure(answers, 0.5).tolist() == [[[1, 2, 3, 8, 9], [-1, 0, 0, 0, 0], [-1, 0, 0, 0, 0]]]
    assert take_sure(answers, 0.4)[0, 1].tolist() == [0, 1, 1, 4, 4]


def test_the_term_is_objectness_and_class_of_the_strong_view_for_the_teachers_sure_boxes(monkeypatch):
    algorithm = attached(DetectionTeacher, weight=0.6, threshold=0.5)
    source, target = batches(algorithm)
    answers = torch.tensor([[0.0, 0.8, 2, 2, 14, 14], [1, 0.6, 15, 15, 27, 27], [1, 0.3, 1, 16, 12, 30]]).repeat(
        4, 1, 1
    )
    teacher = algorithm.teacher.head
    monkeypatch.setattr(type(teacher), "detect", lambda self, maps, side: answers)
    sure = answers[:, :2, [0, 2, 3, 4, 5]]
    with seeded(4):
        told = target.strong.prediction.losses(sure)
    with seeded(4):
        found = algorithm.adapt(source, target, 0.5)["pseudo"]
    assert float(found) == pytest.approx(0.6 * float(told["objectness"] + told["classifier"]), rel=1e-5)
    assert float(told["box_reg"]) > 0 and float(told["rpn_box_reg"]) > 0, "there is something to leave out"
    assert float(algorithm.adapt(source, target, 0.1)["pseudo"]) == 0, "the burn-in is not over"
    assert float(algorithm.adapt(source, target, algorithm.burn_in)["pseudo"]) > 0, "it ends with this step"


def test_a_picture_of_which_the_teacher_is_sure_of_nothing_teaches_nothing(monkeypatch):
    algorithm = attached(DetectionTeacher, threshold=0.5)
    source, target = batches(algorithm)
    answers = torch.tensor([[0.0, 0.8, 2, 2, 14, 14], [1, 0.3, 1, 16, 12, 30]]).repeat(4, 1, 1)
    answers[1, :, 1] = answers[3, :, 1] = 0.4
    monkeypatch.setattr(type(algorithm.teacher.head), "detect", lambda self, maps, side: answers)
    with seeded(4):
        told = target.strong.prediction[torch.tensor([0, 2])].losses(answers[[0, 2]][:, :, [0, 2, 3, 4, 5]][:, :1])
    with seeded(4):
        found = algorithm.adapt(source, target, 0.5)["pseudo"]
    assert float(found) == pytest.approx(float(told["objectness"] + told["classifier"]), rel=1e-5)
    answers[:, :, 1] = 0.4
    with seeded(4):
        nothing = algorithm.adapt(source, target, 0.5)["pseudo"]
        assert float(nothing) == 0
        drawn = torch.rand(())
    with seeded(4):
        assert torch.equal(torch.rand(()), drawn), "nothing was drawn for it"


def test_the_teacher_looks_at_the_mild_view_and_no_gradient_reaches_it():
    algorithm = attached(DetectionTeacher, threshold=0.0, burn_in=0.0)
    source, target = batches(algorithm)
    looked: list[torch.Tensor] = []
    algorithm.teacher.register_forward_hook(lambda module, inputs, output: looked.append(inputs[0]))
    term = algorithm.adapt(source, target, 1.0)["pseudo"]
    assert len(looked) == 1 and torch.equal(looked[0], target.x)
    assert not any(p.requires_grad for p in algorithm.teacher.parameters()) and term.requires_grad


def test_the_teacher_is_the_mean_of_past_students_and_answers():
    fitted = fit(DetectionTeacher)
    algorithm, x = fitted.algorithm.eval(), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(algorithm.predict(x)[1].boxes(), algorithm.teacher(x)[1].boxes())
    fresh = attached(DetectionTeacher, decay=0.9)
    weight, teacher = next(fresh.network.head.parameters()), next(fresh.teacher.head.parameters())
    past = []
    for _ in range(3):
        with torch.no_grad():
            weight.add_(torch.randn_like(weight))
        past.append(weight.detach().clone())
        fresh.end_step()
    torch.testing.assert_close(teacher, torch.stack(past).mean(0))


def test_with_an_adversary_beside_it_it_is_about_the_adaptive_teacher():
    both = ALGORITHMS.get("detection_teacher+da_faster")
    assert both.can_answer("detection") and not both.can_answer("segmentation")
    algorithm = attached(both)
    terms = algorithm.loss(*batches(algorithm), 0.5)
    assert {"detection", "pseudo", "image", "region", "consistency"} <= set(terms)
