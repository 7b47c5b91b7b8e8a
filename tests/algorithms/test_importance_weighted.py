"""ImportanceWeighted: source rows weighted by a domain classifier's odds."""

from __future__ import annotations

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
    check_the_weighted_classifier_beats_the_unweighted_one("ImportanceWeighted", classifier)


def test_weights_do_little_harm_where_the_domains_are_equal() -> None:
    check_weights_do_little_harm_where_the_domains_are_equal("ImportanceWeighted")


def test_the_classifier_is_the_one_of_the_weights() -> None:
    check_the_classifier_is_the_one_of_the_weights("ImportanceWeighted")


def test_the_order_of_rows_does_not_matter() -> None:
    check_the_order_of_rows_does_not_matter("ImportanceWeighted")


def test_weights_follow_the_target() -> None:
    check_weights_follow_the_target("ImportanceWeighted")


def test_nearest_neighbours_are_refused() -> None:
    check_nearest_neighbours_are_refused("ImportanceWeighted")


def test_a_domain_of_one_row_is_refused() -> None:
    check_a_domain_of_one_row_is_refused("ImportanceWeighted")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("ImportanceWeighted", {"domain_C": -1.0}, "importance_weighted.domain_C = -1.0 is out of range")
