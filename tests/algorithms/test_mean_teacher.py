"""MeanTeacher: Self-ensembling: a student that learns by gradients, and a teacher that follows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

import dalib
from dalib.train.loop import Loop
from tests.support.algorithms import K, check_refusal
from tests.support.phases import make_task, train
from tests.support.shifts import translated
from tests.support.views import (
    RATE,
    attached_double,
    check_a_method_beats_itself_without_its_term,
    inputs,
    target_cues,
    two_views,
)


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
def test_mean_teachers_term_is_the_masked_squared_difference_and_the_balance(threshold: float) -> None:
    algorithm = attached_double("MeanTeacher", threshold=threshold, balance=0.1)
    nn.init.normal_(algorithm.teacher.head.weight)
    source, target = two_views(algorithm)
    head = algorithm.teacher.head
    q = softmax(target.x.numpy() @ head.weight.numpy().T + head.bias.numpy(), axis=1)
    p, total = softmax(target.strong.logits.detach().numpy(), axis=1), 0.0
    for one, other in zip(p, q, strict=True):
        total += (other.max() >= threshold) * sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / K / 7
    balance = -sum(math.log(m + 1e-6) / K + (1 - 1 / K) * math.log(1 - m + 1e-6) for m in p.mean(0))
    term = algorithm.loss(source, target, 0.5)["consistency"]
    assert term.item() == pytest.approx(3 * (total + 0.1 * balance), abs=1e-8)
    assert torch.autograd.grad(term, target.logits, allow_unused=True)[0] is None


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_the_teacher_averages_the_students_weights_and_batch_norm_statistics(decay: float) -> None:
    algorithm = attached_double("MeanTeacher", bottleneck=5, decay=decay)
    loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=RATE))
    expected: dict[str, np.ndarray] = {}
    for n in range(4):
        loop.step(*inputs(), 0.5)
        a = min(1 - 1 / (n + 1), decay)
        for name, value in algorithm.network.state_dict().items():
            before = expected.get(name, np.zeros(value.shape))
            expected[name] = a * before + (1 - a) * value.numpy() if value.is_floating_point() else value.numpy()
        expected = {k: v.copy() for k, v in expected.items()}
    for name, value in algorithm.teacher.state_dict().items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=0, atol=1e-12)
    assert not algorithm.teacher.training and algorithm.network.training
    assert not any(p.requires_grad for p in algorithm.teacher.parameters())
    x = inputs()[2]
    assert torch.equal(algorithm.predict(x)[1], algorithm.teacher(x)[1])
    assert not torch.equal(algorithm.predict(x)[1], algorithm.eval().network(x)[1])


def test_the_trainer_never_trains_the_teacher() -> None:
    """A student that stands still keeps the teacher where it is, weight decay or not."""
    fitted = train(dalib.MeanTeacher(), make_task(translated()), steps=5, lr=1e-30, weight_decay=0.5)
    algorithm = fitted.algorithm
    for mine, other in zip(algorithm.teacher.parameters(), algorithm.network.parameters(), strict=True):  # type: ignore[union-attr]
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)
        assert mine.grad is None


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"threshold": 1.1}, "threshold"),
        ({"decay": 1.0}, "decay"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("MeanTeacher", hparams, message)


def test_a_method_beats_itself_without_its_term() -> None:
    check_a_method_beats_itself_without_its_term("MeanTeacher", target_cues, {"threshold": 0.8}, {"weight": 0.0})
