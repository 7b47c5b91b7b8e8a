"""NearestNeighbour: 1-NN by Euclidean distance on the features as they are; the target is not used."""

from __future__ import annotations

from tests.support.shifts import check_a_solved_method_does_no_harm_without_a_shift


def test_a_solved_method_does_no_harm_without_a_shift() -> None:
    check_a_solved_method_does_no_harm_without_a_shift("NearestNeighbour")
