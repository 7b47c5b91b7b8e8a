"""JUMBOT: Joint unbalanced mini-batch optimal transport."""

from __future__ import annotations

import ot
import pytest
import torch

from tests.support.algorithms import attached, batch, check_refusal
from tests.support.shifts import (
    N,
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    play,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("JUMBOT", translated, {})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("JUMBOT", {})


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("JUMBOT", {"reg": 0.0}, "jumbot.reg = 0.0")


def test_jumbot_term_is_the_cost_of_pots_unbalanced_plan() -> None:
    source, target = batch()
    cost = torch.empty(9, 7, dtype=torch.float64)
    for i in range(9):
        for j in range(7):
            label = -target.logits[j].log_softmax(0)[source.y[i]]
            cost[i, j] = (0.03 * (source.z[i] - target.z[j]).square().sum() + 0.7 * label).item()
    plan = ot.unbalanced.sinkhorn_knopp_unbalanced(
        ot.unif(9), ot.unif(7), cost.numpy(), 0.1, 0.5, reg_type="kl", numItermax=100_000, stopThr=1e-14
    )
    algorithm = attached("JUMBOT", weight=2.0, alpha=0.03, lam=0.7, reg=0.1, reg_m=0.5)
    assert algorithm.loss(source, target, 0.5)["transport"].item() == pytest.approx(
        2 * (plan * cost.numpy()).sum(), abs=1e-4
    )


def test_jumbot_is_not_misled_by_classes_that_the_target_lacks() -> None:
    """Half of the classes are missing from the target: balanced transport sends rows to the wrong class."""
    x_s, y_s, x_t, y_t = translated(0.7)
    few = (x_s, y_s, x_t[y_t < 2].repeat(3, 1)[:N], y_t[y_t < 2].repeat(3)[:N])
    same = {"alpha": 0.03, "lam": 0.5}
    assert play("JUMBOT", few, **same) > play("DeepJDOT", few, **same) + 0.05
