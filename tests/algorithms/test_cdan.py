"""CDAN: Conditional domain-adversarial training; with `entropy` (CDAN+E) certain rows count more."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import dalib
from dalib.core.network import Network
from dalib.nn.adversarial import conditional_map
from tests.support.algorithms import attached, batch, check_features_meet_the_adversary_by_degrees, check_refusal
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


@pytest.mark.parametrize(
    "hparams", [{"hidden": 64}, {"hidden": 64, "entropy": True}, {"hidden": 64, "map": "random", "random_dim": 64}]
)
def test_a_method_beats_source_only_on_its_shift(hparams: dict[str, Any]) -> None:
    check_it_beats_source_only_on_its_shift("CDAN", translated, hparams)


@pytest.mark.parametrize(
    "hparams", [{"hidden": 64}, {"hidden": 64, "entropy": True}, {"hidden": 64, "map": "random", "random_dim": 64}]
)
def test_a_method_does_no_harm_without_a_shift(hparams: dict[str, Any]) -> None:
    check_it_does_no_harm_without_a_shift("CDAN", hparams)


@pytest.mark.parametrize("entropy", [False, True])
def test_cdan_term_is_the_cross_entropy_of_the_joint_map_weighted_by_certainty(entropy: bool) -> None:
    source, target = batch()
    algorithm = attached("CDAN", weight=0.5, hidden=16, dropout=0.0, entropy=entropy)
    total = 0.0
    for rows, label in ((source, 1.0), (target, 0.0)):
        p = rows.logits.softmax(1)
        d = algorithm.discriminator(conditional_map(rows.z, p))  # type: ignore[operator]
        w = 1 + torch.exp((p * p.log()).sum(1)) if entropy else torch.ones(len(p))
        bce = [float(binary_cross_entropy_with_logits(x, torch.tensor(label))) for x in d.detach()]
        total += sum(a * b for a, b in zip((w / w.sum()).tolist(), bce, strict=True)) / 2
    term = algorithm.loss(source, target, 1.0)["adversarial"]
    assert term.item() == pytest.approx(0.5 * total, abs=1e-5)
    term.backward()
    assert source.logits.grad is None and target.z.grad is not None and target.z.grad.abs().max() > 0


def test_cdan_takes_the_random_map_where_the_product_is_wide_and_keeps_its_matrices() -> None:
    torch.manual_seed(0)
    wide, narrow, again = (dalib.CDAN(hidden=8, random_dim=16, largest_exact=4096) for _ in range(3))
    for algorithm, dim in ((wide, 256), (narrow, 128), (again, 256)):
        algorithm.attach(Network.on_features(dim, 31, bottleneck=0))
    assert {"R_z", "R_p"} <= {*wide.state_dict()} and "R_z" not in narrow.state_dict()
    again.load_state_dict(wide.state_dict())
    assert torch.equal(again.R_z, wide.R_z)
    assert narrow.discriminator.layers[0].in_features == 128 * 31


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"map": "randon"}, "no cdan.map named 'randon'; did you mean 'random'"),
        ({"random_dim": 0}, "cdan.random_dim = 0 is out of range; give a whole number >= 1"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("CDAN", hparams, message)


def test_features_meet_the_adversary_by_degrees() -> None:
    check_features_meet_the_adversary_by_degrees("CDAN", "adversarial", hidden=8, dropout=0.0)
