"""Any algorithm that needs no classes as a scikit-learn regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils.validation import check_is_fitted

from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.data.given import Rows, find_column_moments
from dalib.estimator.base import AdaptationEstimator
from dalib.estimator.domains import find_labelled
from dalib.estimator.mapping import copy_algorithm, is_separable, need_no_labels

LARGEST = 1e150
"""Most that a label may be: beyond it moments overflow, and every prediction would be NaN."""


class AdaptationRegressor(RegressorMixin, AdaptationEstimator):
    """Labels that are numbers: networks with any algorithm that knows no classes, or any regressor behind a mapping.

    Args
        algorithm: as of `AdaptationClassifier`; `dalib list algorithms --objective regression` names those that work
        estimator: the regressor behind a solved method that reads no labels (CORAL, SubspaceAlignment, GFK, TCA,
            OTMap, KMM, KLIEP, ULSIF …); it is cloned. None = Ridge(), or the method's own (JDOT, TrAdaBoostR2)
        backbone, train, standardise, random_state, device: as of `AdaptationClassifier`
        target_labels: labels of target rows in y: `use` or `ignore`; None: those of rows that have one are used where
            others are NaN, and refused where every target row has one

    Attributes
        n_features_in_ (tables), fitted_ (of a network; it learns y of mean 0 and deviation 1 and answers in the unit of
        y, in float32 where `predict` computes in float64), or estimator_ and mapping_

    Example
        AdaptationRegressor("coral", estimator=GradientBoostingRegressor()).fit(X_s, y_s, X_t).predict(X_t)
    """

    _numbers = True

    def fit(
        self,
        X: Rows,
        y: ArrayLike,
        X_target: Rows | None = None,
        y_target: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> AdaptationRegressor:
        """As `AdaptationClassifier.fit`; y (n,) or (n, m) numbers, NaN for target rows without one."""
        given = self._read(X, y, X_target, y_target, sample_domain, sample_weight)
        y_s = np.asarray(given.y_s, np.float64)
        few, told = np.zeros(len(given.x_t), bool), y_s[:0]
        if given.y_t is not None:
            numbers = np.asarray(given.y_t, np.float64)
            few = find_labelled(numbers, None, self.target_labels or ("use" if X_target is not None else None))
            told = numbers[few]
        if not np.isfinite(y_s).all() or not np.isfinite(told).all():
            raise ValueError("y holds NaN or infinity for a row with a label; leave it out")
        if (most := np.abs(np.concatenate([y_s, told])).max()) > LARGEST:
            raise ValueError(f"y holds {most:.3g}, whose square float64 cannot hold; give it in a larger unit")
        values = np.concatenate([y_s, told])
        self._flat = values.ndim == 1
        columns = values.reshape(len(values), -1)
        self._scale = find_column_moments(columns)
        scaled = ((columns - self._scale[0]) / self._scale[1]).astype(np.float32)
        self._outputs_named = tuple(f"y{i}" for i in range(columns.shape[1]))
        self._solve(given, scaled[: len(y_s)], few, scaled[len(y_s) :], self._outputs_named, values)
        if hasattr(self, "fitted_"):
            carried = self.fitted_.algorithm.network.carry_answers(*map(torch.from_numpy, self._scale))
            self._scale = carried[0].numpy(), carried[1].numpy()
        return self

    def predict(self, X: Rows) -> np.ndarray:
        """Numbers (n,), or (n, m) as y was; every row is taken for a row of the target."""
        check_is_fitted(self)
        if self._final() is not None:
            return np.asarray(self._behind_of(X).predict(self._behind(X)))
        made = self._outputs(X, restored=False).prediction.numpy().astype(np.float64) * self._scale[1] + self._scale[0]
        return made[:, 0] if self._flat else made

    def _final(self) -> BaseEstimator | None:
        if self.estimator is None and is_separable(copy_algorithm(self.algorithm)):
            return Ridge()
        return self.estimator

    def _labels_for(self, algorithm: FeatureAlgorithm, labels: np.ndarray) -> None:
        need_no_labels(algorithm, "labels are numbers")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _names(self) -> tuple[str, ...]:
        return self._outputs_named
