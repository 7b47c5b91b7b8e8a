"""ULSIF: Unconstrained least-squares importance fitting for covariate shift."""

from __future__ import annotations

import pytest
import torch

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
    check_the_weighted_classifier_beats_the_unweighted_one("ULSIF", classifier)


def test_weights_do_little_harm_where_the_domains_are_equal() -> None:
    check_weights_do_little_harm_where_the_domains_are_equal("ULSIF")


def test_the_classifier_is_the_one_of_the_weights() -> None:
    check_the_classifier_is_the_one_of_the_weights("ULSIF")


def test_the_order_of_rows_does_not_matter() -> None:
    check_the_order_of_rows_does_not_matter("ULSIF")


def test_weights_follow_the_target() -> None:
    check_weights_follow_the_target("ULSIF")


def test_weights_that_all_underflow_are_as_good_as_none() -> None:
    w = torch.zeros(3, dtype=torch.float64)
    assert torch.equal(dalib.ULSIF().usable(w), torch.ones(3, dtype=torch.float64))


def test_nearest_neighbours_are_refused() -> None:
    check_nearest_neighbours_are_refused("ULSIF")


def test_a_domain_of_one_row_is_refused() -> None:
    check_a_domain_of_one_row_is_refused("ULSIF")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("ULSIF", {"centres": 1.5}, "ulsif.centres = 1.5 is out of range")
