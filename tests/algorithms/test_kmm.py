"""KMM: Kernel mean matching for covariate shift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, minimize

import dalib
from tests.support.algorithms import check_refusal
from tests.support.row_weights import (
    check_a_domain_of_one_row_is_refused,
    check_nearest_neighbours_are_refused,
    check_the_classifier_is_the_one_of_the_weights,
    check_the_order_of_rows_does_not_matter,
    check_the_weighted_classifier_beats_the_unweighted_one,
    check_weights_do_little_harm_where_the_domains_are_equal,
    check_weights_follow_the_target,
)


@pytest.mark.parametrize("classifier", ["logistic", "svm"])
def test_the_weighted_classifier_beats_the_unweighted_one(classifier: str) -> None:
    check_the_weighted_classifier_beats_the_unweighted_one("KMM", classifier)


def test_weights_do_little_harm_where_the_domains_are_equal() -> None:
    check_weights_do_little_harm_where_the_domains_are_equal("KMM")


def test_the_classifier_is_the_one_of_the_weights() -> None:
    check_the_classifier_is_the_one_of_the_weights("KMM")


def test_the_order_of_rows_does_not_matter() -> None:
    check_the_order_of_rows_does_not_matter("KMM")


def test_weights_follow_the_target() -> None:
    check_weights_follow_the_target("KMM")


def test_nearest_neighbours_are_refused() -> None:
    check_nearest_neighbours_are_refused("KMM")


def test_a_domain_of_one_row_is_refused() -> None:
    check_a_domain_of_one_row_is_refused("KMM")


def test_each_part_of_block_rows_is_matched_to_all_target_rows_by_itself() -> None:
    """Every second row in order is a part of its own, solved by SciPy; sigma is that of all rows."""
    rng = np.random.default_rng(0)
    s, t = rng.standard_normal(12), rng.standard_normal(9) + 0.5
    pooled = np.concatenate([s, t])
    sigma = 0.4 * np.sqrt(np.mean((pooled[:, None] - pooled) ** 2))
    expected = np.zeros(12)
    for part in (np.argsort(s)[::2], np.argsort(s)[1::2]):
        K, towards = (np.exp(-((s[part, None] - x) ** 2) / (2 * sigma**2)) for x in (s[part], t))
        kappa = 6 / 9 * towards.sum(1)
        expected[part] = minimize(
            lambda w, K=K, kappa=kappa: 0.5 * w @ K @ w - kappa @ w,
            np.ones(6),
            jac=lambda w, K=K, kappa=kappa: K @ w - kappa,
            method="SLSQP",
            bounds=[(0, 2.0)] * 6,
            constraints=[LinearConstraint(np.ones((1, 6)), 6 * 0.9, 6 * 1.1)],
            options={"ftol": 1e-15, "maxiter": 2000},
        ).x
    z_s, z_t = (torch.tensor(x)[:, None] for x in (s, t))
    weigh = dalib.KMM(bandwidth=0.4, B=2.0, eps=0.1, block_rows=6).weigh
    found = weigh(z_s, torch.zeros(12, dtype=torch.int64), z_t)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"bandwidth": 0.0}, "kmm.bandwidth = 0.0 is out of range"),
        ({"B": 0.5}, "kmm.B = 0.5 is out of range; give a number >= 1"),
        ({"eps": 1.0}, "kmm.eps = 1.0 is out of range; give a number in (0, 1)"),
        ({"eps": 0.0}, "kmm.eps = 0.0 is out of range"),
        ({"C": 0.0}, "kmm.C = 0.0 is out of range"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("KMM", hparams, message)
