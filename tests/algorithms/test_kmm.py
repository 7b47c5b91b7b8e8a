"""KMM: Kernel mean matching for covariate shift."""

from __future__ import annotations

from typing import Any

import pytest

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
