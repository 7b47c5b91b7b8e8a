"""DD: the disparity of two heads' numbers, who is pulled where, and what it does on a shift."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import dalib
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS
from tests.support.algorithms import check_refusal
from tests.support.numbers import attached, batch, error, fit, make_task


def by_hand(algorithm: object, z: np.ndarray) -> np.ndarray:
    """h' in NumPy."""
    first, second = (algorithm.adversary[i] for i in (0, 2))  # type: ignore[attr-defined]
    W, b, V, c = (p.detach().numpy() for p in (first.weight, first.bias, second.weight, second.bias))
    raw = np.maximum(z @ W.T + b, 0) @ V.T + c
    return algorithm.bound * np.tanh(raw / algorithm.bound)  # type: ignore[attr-defined]


def test_its_loss_is_the_l1_disparity_of_two_heads() -> None:
    source, target = batch()
    algorithm = attached("dd", weight=0.7, margin=2.0, bound=1.5, hidden=9)
    terms = algorithm.loss(source, target, 1.0)
    near = np.abs(by_hand(algorithm, source.z.detach().numpy()) - source.prediction.detach().numpy()).mean()
    far = np.abs(by_hand(algorithm, target.z.detach().numpy()) - target.prediction.detach().numpy()).mean()
    assert list(terms) == ["regression", "disparity"]
    assert float(terms["disparity"].detach()) == pytest.approx(0.7 * (2.0 * near - far), abs=1e-12)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_features_are_pushed_the_other_way_by_the_reversal(progress: float) -> None:
    source, target = batch()
    algorithm = attached("dd", reversal=0.2)
    (got,) = torch.autograd.grad(algorithm.adapt(source, target, progress)["disparity"], target.z)
    told = algorithm.bound * (algorithm.adversary(target.z) / algorithm.bound).tanh()
    (plain,) = torch.autograd.grad(-(told - target.prediction.detach()).abs().mean(), target.z)
    factor = 0.2 * (2 / (1 + math.exp(-10 * progress)) - 1)
    torch.testing.assert_close(got, -factor * plain)


def test_the_main_head_is_a_constant_of_it() -> None:
    source, target = batch()
    value = attached("dd").adapt(source, target, 1.0)["disparity"]
    assert torch.autograd.grad(value, source.prediction, allow_unused=True) == (None,)


def test_it_does_no_harm_without_a_shift() -> None:
    task = make_task(moved=0.0)
    plain, adapted = (error(fit(ALGORITHMS.get(n)(), task, steps=150), task.test) for n in ("source_only", "dd"))
    assert adapted < 1.1 * plain


def test_it_cannot_be_summed_with_what_needs_classes() -> None:
    with pytest.raises(DalibError, match=r"they are for different answers \(dd for regression, mcc for classification"):
        dalib.DD() + dalib.MCC()
    assert (dalib.DD() + dalib.MMD()).objectives == ("regression",)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("DD", {"bound": 0.0}, "dd.bound = 0.0 is out of range; give a number > 0")
    check_refusal("DD", {"margin": 0.0}, "dd.margin = 0.0 is out of range; give a number > 0")
