"""NearestNeighbour: 1-NN by Euclidean distance on the features as they are; the target is not used."""

from __future__ import annotations

from sklearn.neighbors import KNeighborsClassifier

import dalib
from tests.support.shifts import check_a_solved_method_does_no_harm_without_a_shift, translated


def test_a_solved_method_does_no_harm_without_a_shift() -> None:
    check_a_solved_method_does_no_harm_without_a_shift("NearestNeighbour")


def test_it_is_scikit_learns_nearest_neighbour() -> None:
    x_s, y_s, x_t, y_t = (v.numpy() for v in translated())
    predicted = dalib.AdaptationClassifier(dalib.NearestNeighbour()).fit(x_s, y_s, x_t).predict(x_t)
    assert (predicted == KNeighborsClassifier(1).fit(x_s, y_s).predict(x_t)).all()
    assert (predicted != y_t).any()
