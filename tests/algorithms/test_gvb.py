"""GVB: Gradually vanishing bridges on both sides of an adversarial game about predictions (GVB-GD)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.algorithms import (
    DIM,
    array,
    attached,
    batch,
    check_features_meet_the_adversary_by_degrees,
    check_refusal,
    softmax,
)
from tests.support.shifts import check_its_estimator_beats_source_only


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_its_estimator_beats_source_only("GVB", {"hidden": 64})


def test_gvb_terms_are_the_papers() -> None:
    source, target = batch()
    algorithm = attached("GVB", weight=0.5, generator_bridge=2.0, discriminator_bridge=3.0, hidden=8)
    bridge = [array(algorithm.bridge(rows.z)) for rows in (source, target)]
    p = [softmax(array(g) - b) for g, b in zip((source.logits, target.logits), bridge, strict=True)]
    bce, faint = 0.0, []
    for rows, label in zip(p, (1, 0), strict=True):
        d, s = array(algorithm.discriminator(torch.as_tensor(rows).float())).T
        weight = [math.exp(sum(x * math.log(x) for x in row)) for row in rows]
        for w, x in zip(weight, d - s, strict=True):
            chance = 1 / (1 + math.exp(-x))
            bce -= w / sum(weight) * math.log(chance if label else 1 - chance) / 2
        faint += [abs(x) for x in s]
    terms = algorithm.loss(source, target, 1.0)
    right = -np.log([row[k] for row, k in zip(p[0], source.y.tolist(), strict=True)]).mean()
    assert terms["classification"].item() == pytest.approx(right, abs=1e-5)
    assert terms["adversarial"].item() == pytest.approx(0.5 * bce, abs=1e-5)
    assert terms["generator_bridge"].item() == pytest.approx(2 * np.abs(np.concatenate(bridge)).mean(), abs=1e-5)
    assert terms["discriminator_bridge"].item() == pytest.approx(3 * np.mean(faint), abs=1e-5)


def test_gvb_predicts_through_its_bridge() -> None:
    algorithm, x = attached("GVB", hidden=8), torch.randn(5, DIM)
    torch.testing.assert_close(algorithm.predict(x)[1], algorithm.network(x)[1] - algorithm.bridge(x))


def test_the_bridges_vanish_under_their_penalties() -> None:
    algorithm = attached("GVB", hidden=16)
    optimiser = torch.optim.SGD(algorithm.parameters(), lr=0.005)
    size = []
    for _ in range(1000):
        terms = algorithm.loss(*batch(), 1.0)
        optimiser.zero_grad()
        (terms["generator_bridge"] + terms["discriminator_bridge"]).backward()
        optimiser.step()
        size.append([terms["generator_bridge"].item(), terms["discriminator_bridge"].item()])
    assert (np.mean(size[-10:], 0) < 0.2 * np.array(size[0])).all()


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"generator_bridge": -1.0}, "generator_bridge = -1.0"),
        ({"hidden": 0}, "hidden = 0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("GVB", hparams, message)


def test_features_meet_the_adversary_by_degrees() -> None:
    check_features_meet_the_adversary_by_degrees("GVB", "adversarial", hidden=8)
