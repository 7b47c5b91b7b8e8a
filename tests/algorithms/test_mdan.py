"""MDAN: Multi-source domain adversarial networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.algorithms import array, attached, batch, check_refusal
from tests.support.settings import (
    HIDDEN,
    check_a_method_with_a_classification_term_of_its_own_is_not_added,
    check_each_says_what_it_is_for,
    check_two_sources_are_used_better_than_by_training_on_both,
    cross_entropies,
    log_loss,
)


@pytest.mark.parametrize("hparams", [HIDDEN, {"hidden": 64, "hard": True}])
def test_two_sources_are_used_better_than_by_training_on_both(hparams: dict[str, Any]) -> None:
    check_two_sources_are_used_better_than_by_training_on_both("MDAN", hparams)


@pytest.mark.parametrize("origin", [None, [0, 1, 1, 2, 0, 1, 1, 2, 1], [0, 2, 0, 0, 2, 0, 0, 0, 0]])
@pytest.mark.parametrize("hard", [False, True])
def test_mdan_terms_and_feature_gradients_are_those_of_the_papers_maximum(origin: list[int] | None, hard: bool) -> None:
    n, weight, gamma, progress = (1 if origin is None else 3), 0.5, 4.0, 0.3
    r = 2 / (1 + math.exp(-10 * progress)) - 1
    algorithm = attached("MDAN", origins=n, weight=weight, gamma=gamma, hard=hard, hidden=8)
    source, target = batch(origin=None if origin is None else torch.tensor(origin))
    ce, bce = [], []
    for i in sorted(set(source.origin.tolist())):
        rows = source.origin.numpy() == i
        d_s, d_t = (array(algorithm.discriminators[i](z)) for z in (source.z, target.z))
        ce.append(np.mean(np.array(cross_entropies(source))[rows]))
        own = np.mean([log_loss(v, 1) for v in d_s[rows]])
        bce.append((own + np.mean([log_loss(v, 0) for v in d_t])) / 2)
    value = np.array(ce) - weight * r * np.array(bce)
    share = np.exp(gamma * value) / np.exp(gamma * value).sum()
    if hard:
        share = (value == value.max()).astype(float)
    terms = algorithm.loss(source, target, progress)
    assert terms["classification"].item() == pytest.approx(share @ np.array(ce), abs=1e-5)
    assert terms["adversarial"].item() == pytest.approx(weight * share @ np.array(bce), abs=1e-5)

    def maximum(z_s: Tensor, z_t: Tensor, g_s: Tensor) -> Tensor:
        values = []
        for i in sorted(set(source.origin.tolist())):
            rows, D = source.origin == i, algorithm.discriminators[i]
            adversary = -D(z_s[rows]).sigmoid().log().mean() - (1 - D(z_t).sigmoid()).log().mean()
            right = -g_s.softmax(1).log()[rows].gather(1, source.y[rows, None]).mean()
            values.append(right - weight * r * adversary / 2)
        v = torch.stack(values)
        return v.max() if hard else (gamma * v).exp().sum().log() / gamma

    leaves = [source.z, target.z, source.logits]
    expected = torch.autograd.grad(maximum(*leaves), leaves)
    found = torch.autograd.grad(terms["classification"] + terms["adversarial"], leaves)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_mdan_has_a_discriminator_per_source_and_leaves_that_of_an_absent_one_alone() -> None:
    algorithm = attached("MDAN", origins=3, hidden=8)
    terms = algorithm.loss(*batch(origin=torch.tensor([0, 2, 0, 0, 2, 0, 0, 0, 0])), 0.5)
    sum(terms.values()).backward()
    gradients = [max(p.grad.abs().max().item() for p in D.parameters()) for D in algorithm.discriminators]
    assert len(gradients) == 3
    assert gradients[1] == 0 and min(gradients[0], gradients[2]) > 0


def test_a_method_with_a_classification_term_of_its_own_is_not_added() -> None:
    check_a_method_with_a_classification_term_of_its_own_is_not_added("MDAN")


def test_each_says_what_it_is_for() -> None:
    check_each_says_what_it_is_for("MDAN", "multi-source")


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"weight": -1.0}, "mdan.weight = -1.0 is out of range; give a number >= 0"),
        ({"gamma": 0.0}, "mdan.gamma = 0.0 is out of range; give a number > 0"),
        ({"hidden": 0}, "mdan.hidden = 0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("MDAN", hparams, message)
