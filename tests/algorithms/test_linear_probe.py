"""LinearProbe: A classifier solved on labelled features as they are; the target's unlabelled rows are not used."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import dalib
from tests.support.algorithms import check_refusal
from tests.support.shifts import check_a_solved_method_does_no_harm_without_a_shift, translated


def test_a_solved_method_does_no_harm_without_a_shift() -> None:
    check_a_solved_method_does_no_harm_without_a_shift("LinearProbe")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("LinearProbe", {"C": 0.0}, "linear_probe.C = 0.0")


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_it_is_scikit_learns_logistic_regression(C: float) -> None:
    x_s, y_s, x_t, _ = (v.numpy() for v in translated())
    model = dalib.AdaptationClassifier(dalib.LinearProbe(C=C)).fit(x_s, y_s, x_t)
    expected = LogisticRegression(C=C, tol=1e-8, max_iter=5000).fit(x_s.astype(np.float64), y_s).predict_proba(x_t)
    np.testing.assert_allclose(model.predict_proba(x_t), expected, atol=1e-3)
