"""LinearProbe: A classifier solved on labelled features as they are; the target's unlabelled rows are not used."""

from __future__ import annotations

from tests.support.algorithms import check_refusal
from tests.support.shifts import check_a_solved_method_does_no_harm_without_a_shift


def test_a_solved_method_does_no_harm_without_a_shift() -> None:
    check_a_solved_method_does_no_harm_without_a_shift("LinearProbe")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("LinearProbe", {"C": 0.0}, "linear_probe.C = 0.0")
