"""What the estimators are given, whatever library it is of, and settings of an algorithm that is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import dalib
from dalib import AdaptationClassifier, AdaptationTransformer, WeightedEstimator
from dalib.estimator.arrays import as_pandas
from tests.support.two_tables import shifted

X_S, Y_S, X_T, Y_T = shifted()


class _Table:
    """The part of another library's tables that is used: names, and columns that become arrays."""

    def __init__(self, x: np.ndarray) -> None:
        self._x, self.columns, self.shape = x, [f"c{i}" for i in range(x.shape[1])], x.shape

    def __getitem__(self, name: str) -> Any:
        return pd.Series(self._x[:, self.columns.index(name)])

    def to_numpy(self) -> np.ndarray:
        return self._x


def test_tables_of_another_library_are_as_pandas_ones() -> None:
    frame = as_pandas(_Table(X_S))
    assert list(frame.columns) == _Table(X_S).columns and as_pandas(frame) is frame and as_pandas(X_S) is X_S
    for model in (
        AdaptationClassifier("coral", device="cpu"),
        WeightedEstimator("kmm", LogisticRegression()),
    ):
        known = model.fit(as_pandas(_Table(X_S)), Y_S, as_pandas(_Table(X_T))).predict(as_pandas(_Table(X_T)))
        assert (model.fit(_Table(X_S), Y_S, _Table(X_T)).predict(_Table(X_T)) == known).all()
        assert list(model.feature_names_in_) == _Table(X_S).columns
    moved = AdaptationTransformer("coral").fit(_Table(X_S), X_target=_Table(X_T))
    assert list(moved.get_feature_names_out()) == _Table(X_S).columns


def test_tables_of_polars_are_taken_by_every_estimator() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    source, target = (polars.DataFrame(x, schema=[f"c{i}" for i in range(x.shape[1])]) for x in (X_S, X_T))
    few = np.where(np.arange(len(Y_T)) < 12, Y_T, -1)
    for model in (
        AdaptationClassifier("coral", device="cpu"),
        WeightedEstimator(None, LogisticRegression()),
        WeightedEstimator("kmm", LogisticRegression()),
        dalib.TrAdaBoost(LogisticRegression(), n_estimators=3),
    ):
        plain = model.fit(X_S, Y_S, X_T, few).predict(X_T)
        assert (model.fit(source, Y_S, target, few).predict(target) == plain).all()


@pytest.mark.parametrize(
    ("model", "setting", "shown"),
    [
        (AdaptationClassifier("coral"), {"algorithm__reg": 0.3}, "CORAL(reg=0.3)"),
        (AdaptationClassifier(), {"algorithm": "coral", "algorithm__reg": 0.3}, "CORAL(reg=0.3)"),
        (dalib.AdaptationRegressor("coral"), {"algorithm__reg": 0.3}, "CORAL(reg=0.3)"),
        (AdaptationTransformer("pca_map"), {"algorithm__components": 2}, "PCAMap(components=2)"),
        (WeightedEstimator("kmm", LogisticRegression()), {"algorithm__bandwidth": 2.0}, "KMM(bandwidth=2.0)"),
    ],
)
def test_settings_of_an_algorithm_that_is_named_are_set(model: Any, setting: dict[str, Any], shown: str) -> None:
    assert repr(model.set_params(**setting).algorithm) == shown


def test_a_search_over_settings_of_a_named_algorithm_runs() -> None:
    grid = GridSearchCV(
        AdaptationClassifier("coral", device="cpu"),
        {"algorithm__reg": [0.1, 1.0]},
        scoring=dalib.target_scorer(X_T),
        cv=2,
    )
    grid.fit(X_S, Y_S, X_target=X_T)
    assert grid.best_estimator_.algorithm.reg == grid.best_params_["algorithm__reg"]
    with pytest.raises(ValueError, match="rge"):
        AdaptationClassifier("coral").set_params(algorithm__rge=2.0)
