"""M3SDA: Moment matching for multi-source domain adaptation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import dalib
from dalib.core.backbone import identity
from dalib.core.network import Network
from tests.support.algorithms import DIM, K, array, attached, batch, check_refusal
from tests.support.settings import (
    check_each_says_what_it_is_for,
    check_two_sources_are_used_better_than_by_training_on_both,
    cross_entropies,
)


def test_two_sources_are_used_better_than_by_training_on_both() -> None:
    check_two_sources_are_used_better_than_by_training_on_both("M3SDA", {"weight": 0.1})


def test_m3sda_takes_the_origins_of_the_batch() -> None:
    origin = torch.tensor([0, 1, 1, 0, 0, 1, 1, 0, 1])
    source, target = batch(origin=origin)
    moment = []
    for z in (array(source.z)[origin.numpy() == 0], array(source.z)[origin.numpy() == 1], array(target.z)):
        moment.append([z.mean(0), (z**2).mean(0)])
    a, b, t = moment
    distance = sum(
        (np.linalg.norm(a[k] - t[k]) + np.linalg.norm(b[k] - t[k])) / 2 + np.linalg.norm(a[k] - b[k]) for k in (0, 1)
    )
    terms = attached("M3SDA", origins=2, weight=0.3).loss(source, target, 0.5)
    assert terms["discrepancy"].item() == pytest.approx(0.3 * distance, abs=1e-5)
    assert terms["classification"].item() == pytest.approx(np.mean(cross_entropies(source)), abs=1e-5)


def test_m3sda_can_be_added_to_an_idea_about_the_target() -> None:
    both = dalib.M3SDA() + dalib.MCC()
    both.attach(Network(identity(DIM), K, bottleneck=0, origins=2))
    terms = both.loss(*batch(origin=torch.arange(9) % 2), 0.5)
    assert {"classification", "discrepancy", "confusion"} == set(terms)


def test_each_says_what_it_is_for() -> None:
    check_each_says_what_it_is_for("M3SDA", "multi-source")


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"weight": float("nan")}, "weight = nan"),
        ({"moments": 0}, "moments = 0 is out of range; give a whole number >= 1"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("M3SDA", hparams, message)
