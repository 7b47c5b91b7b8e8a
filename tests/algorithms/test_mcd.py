"""MCD: Maximum classifier discrepancy: a game of three phases per step; features G, heads F1 and F2."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from dalib.core.algorithm import Terms
from dalib.train.loop import Loop
from tests.support.algorithms import K, attached, batch, check_refusal
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("MCD", translated, {"weight": 10.0})


@pytest.mark.parametrize("hparams", [{"weight": 10.0}, {}])
def test_a_method_does_no_harm_without_a_shift(hparams: dict[str, Any]) -> None:
    check_it_does_no_harm_without_a_shift("MCD", hparams)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("MCD", {"inner": 1.5}, "mcd.inner = 1.5 is out of range; give a whole number >= 1")


def test_mcd_plays_three_phases_on_the_right_parts() -> None:
    """A moves everything; B pulls the heads apart on fixed features; C moves features, four times, to agreement."""
    algorithm = attached("MCD", weight=2.0, inner=4)
    torch.nn.init.normal_(algorithm.network.head.weight)
    source, target = batch()
    source, target = (replace(rows, x=rows.z.detach().clone()) for rows in (source, target))
    calls: list[tuple[set[str], Any]] = []

    class Recorder(Loop):
        def __call__(self, terms: Terms, only: Any = None) -> None:
            calls.append(({*terms}, only))

    algorithm.step(source, target, 0.5, Recorder(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.1)))
    supervised = {"classification", "classification_second", "balance"}
    assert [names for names, _ in calls] == [supervised, {*supervised, "apart"}, *[{"together"}] * 4]
    heads, features = calls[1][1], calls[2][1]
    assert calls[0][1] is None and heads == [algorithm.network.head, algorithm.second]
    assert features == [algorithm.network.backbone, algorithm.network.bottleneck]


def test_mcd_terms_are_the_papers_and_the_prediction_is_the_mean_of_the_heads() -> None:
    source, target = batch()
    algorithm = attached("MCD", weight=2.0, balance=0.5)
    terms = algorithm.loss(source, target, 0.5)
    second = algorithm.second(target.z)  # type: ignore[operator]
    p, q = target.logits.softmax(1).tolist(), second.softmax(1).tolist()
    gap = sum(abs(a - b) for r, s in zip(p, q, strict=True) for a, b in zip(r, s, strict=True)) / (7 * K)
    spread = [math.log(sum(row[c] for row in x) / 7 + 1e-6) for x in (p, q) for c in range(K)]
    assert terms["discrepancy"].item() == pytest.approx(2 * gap, abs=1e-5)
    assert terms["balance"].item() == pytest.approx(-0.5 * sum(spread) / K, abs=1e-5)
    z, logits = algorithm.predict(target.z)
    torch.testing.assert_close(logits, (algorithm.network.head(z) + second) / 2)
