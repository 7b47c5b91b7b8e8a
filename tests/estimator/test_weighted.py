"""Importance weights around any estimator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dalib
from dalib import WeightedEstimator
from dalib.nn.density_ratio import ulsif
from tests.support.two_tables import one_table, shifted


def _curve(n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A curve seen on the left, wanted on the right (Shimodaira's example): no straight line fits both."""
    rng = np.random.default_rng(0)
    x_s, x_t = rng.normal(0.5, 0.5, (n, 1)), rng.normal(0.0, 0.3, (n, 1))
    y_s, y_t = (x[:, 0] ** 3 - x[:, 0] for x in (x_s, x_t))
    return x_s, y_s + 0.1 * rng.normal(size=n), x_t, y_t


@pytest.mark.parametrize("method", ["kmm", "kliep", "ulsif", "importance_weighted"])
def test_a_weighted_line_fits_where_the_target_lies(method: str) -> None:
    x_s, y_s, x_t, y_t = _curve()
    plain = np.abs(LinearRegression().fit(x_s, y_s).predict(x_t) - y_t).mean()
    weighted = WeightedEstimator(method, LinearRegression()).fit(x_s, y_s, x_t)
    assert np.abs(weighted.predict(x_t) - y_t).mean() < 0.8 * plain
    assert weighted.weights_.mean() == pytest.approx(1)


def test_the_estimator_gets_the_methods_weights_and_nothing_else() -> None:
    X_s, y_s, X_t, _ = shifted(shift=0.3)
    forest = RandomForestClassifier(20, random_state=0)
    made = WeightedEstimator(dalib.ULSIF(centres=50), forest).fit(X_s, y_s, X_t)
    weight = ulsif(torch.as_tensor(X_s), torch.as_tensor(X_t), 50).numpy()
    used = weight > 0
    by_hand = RandomForestClassifier(20, random_state=0)
    by_hand.fit(X_s[used], y_s[used], sample_weight=(weight / weight.mean())[used])
    assert np.array_equal(made.predict_proba(X_t), by_hand.predict_proba(X_t))
    assert not hasattr(forest, "estimators_") and not hasattr(made, "decision_function")


def test_given_weights_multiply_and_labelled_target_rows_count_one() -> None:
    X, y, domain = one_table()
    marks = np.where((domain < 0) & (np.arange(len(y)) % 10 > 0), -1, y)
    given = np.linspace(0.5, 2, len(y))
    model = WeightedEstimator(None, LogisticRegression()).fit(X, marks, sample_domain=domain, sample_weight=given)
    used = marks >= 0
    by_hand = LogisticRegression().fit(X[used], y[used], sample_weight=given[used])
    np.testing.assert_allclose(model.estimator_.coef_, by_hand.coef_, rtol=1e-3, atol=1e-4)
    apart = WeightedEstimator(None, LogisticRegression())
    apart.fit(X[domain > 0], y[domain > 0], X[domain < 0], marks[domain < 0], sample_weight=given[domain > 0])
    assert (apart.predict(X) == model.predict(X)).mean() > 0.95


def test_categories_and_missing_values_are_the_estimators_to_take() -> None:
    X_s, y_s, X_t, y_t = shifted()
    frame = pd.DataFrame(np.vstack([X_s, X_t]), columns=list("abcde"))
    frame["e"] = pd.Categorical(np.where(frame["e"] > 0, "high", "low"))
    frame.loc[::7, "a"] = np.nan
    names = np.r_[["source"] * len(X_s), ["target"] * len(X_t)]
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=20)
    model = WeightedEstimator(None, boosting, target_labels="ignore")
    model.fit(frame, np.r_[y_s, y_t], sample_domain=names)
    by_hand = boosting.fit(frame[names == "source"], y_s)
    assert np.array_equal(model.predict(frame), by_hand.predict(frame))
    assert list(model.feature_names_in_) == list("abcde") == list(model.estimator_.feature_names_in_)


def test_weights_reach_the_last_step_of_a_pipeline_behind() -> None:
    X_s, y_s, X_t, _ = shifted(shift=0.3)
    inner = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), LogisticRegression()))
    made = WeightedEstimator("ulsif", inner).fit(X_s, y_s, X_t)
    used = made.weights_ > 0
    scaler = StandardScaler().fit(X_s[used])
    x = StandardScaler().fit_transform(scaler.transform(X_s[used]))
    by_hand = LogisticRegression().fit(x, y_s[used], sample_weight=made.weights_[used])
    np.testing.assert_allclose(made.estimator_[-1][-1].coef_, by_hand.coef_, atol=1e-6)


def test_mistakes_are_told() -> None:
    X_s, y_s, X_t, _ = shifted(shift=0.3)
    with pytest.raises(dalib.DalibError, match="KNeighborsClassifier takes no sample_weight"):
        WeightedEstimator("ulsif", KNeighborsClassifier()).fit(X_s, y_s, X_t)
    with pytest.raises(dalib.DalibError, match="coral weighs no row; use AdaptationClassifier"):
        WeightedEstimator("coral", LogisticRegression()).fit(X_s, y_s, X_t)
    with pytest.raises(ValueError, match="y_target are labels of X_target"):
        WeightedEstimator("ulsif", LogisticRegression()).fit(X_s, y_s, y_target=y_s)
    with pytest.warns(UserWarning, match="99 % of the weight"):
        WeightedEstimator(dalib.KMM(bandwidth=0.05), LogisticRegression()).fit(X_s, y_s, X_s[:2] + 1e-3)


def test_it_ends_a_pipeline_with_metadata_routing() -> None:
    X, y, domain = one_table()
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(StandardScaler(), WeightedEstimator("kmm", LogisticRegression(), target_labels="ignore"))
        model.fit(X, y, sample_domain=domain)
        last = model[-1].weights_
    scaled = StandardScaler().fit_transform(X)
    by_hand = WeightedEstimator("kmm", LogisticRegression()).fit(scaled[domain > 0], y[domain > 0], scaled[domain < 0])
    np.testing.assert_allclose(last, by_hand.weights_)
