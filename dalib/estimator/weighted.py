"""Importance weights around any estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.estimator.labelled import LabelledEstimator, LabelledRows
from dalib.estimator.mapping import (
    Mapping,
    copy_algorithm,
    fit_weighted,
    list_methods,
    need_no_labels,
    need_separable,
    overrides,
    say_bare,
    warn_of_idle,
)


def _has(name: str) -> Any:
    return available_if(lambda self: hasattr(getattr(self, "estimator_", self.estimator), name))


class WeightedEstimator(LabelledEstimator):
    """Any estimator, fitted on the source rows with the weights that a method gives them.

    Args
        algorithm: a method that weighs rows, or its name: KMM, KLIEP, ULSIF, ImportanceWeighted, and BalancedWeighting
            for a few labelled target rows; it is copied. None: all rows that have a label are alike, so any estimator
            can be the last step of a Pipeline with sample_domain
        estimator: any that takes sample_weight (forests, boosting, SVMs, logistic and ridge regression …); it is cloned
        target_labels: labels of target rows in y: `use` learns from them, `ignore` hides them; None: those of rows that
            have one are used where others are marked -1 (NaN for numbers), and refused where every target row has one
        random_state: int, numpy RandomState or None, of methods that draw

    Attributes
        estimator_, weights_ (n_s,) of mean 1 over the source rows, classes_ (classifiers)

    Labelled target rows have weight 1, or what BalancedWeighting gives them. Without an algorithm X goes to the
    estimator as it is: words, categories, NaN and sparse rows are the estimator's to take.

    Example
        WeightedEstimator("kmm", RandomForestClassifier()).fit(X_s, y_s, X_t).predict(X_t)
    """

    def __init__(
        self,
        algorithm: Algorithm | str | None,
        estimator: BaseEstimator,
        *,
        target_labels: str | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.algorithm = algorithm
        self.estimator = estimator
        self.target_labels = target_labels
        self.random_state = random_state

    @property
    def _hands_on(self) -> bool:
        return self.algorithm is None

    def _learn(self, given: LabelledRows) -> None:
        own, few = self._weigh(given)
        self.weights_, own = own, np.concatenate([own, few])
        seen, told, weight = given.X, given.y, own * given.weight
        keep = np.flatnonzero(weight > 0)
        if len(keep) < len(weight):
            seen, told, weight = _safe_indexing(seen, keep), told[keep], weight[keep]
        self.estimator_ = fit_weighted(clone(self.estimator), seen, told, weight)
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_

    def _weigh(self, given: LabelledRows) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the labelled rows, of the source and of the target; all 1 where there is no target of its own."""
        ones = np.ones(int((~given.own).sum())), np.ones(int(given.own.sum()))
        if self.algorithm is None:
            return ones
        solved = need_separable(copy_algorithm(self.algorithm), "WeightedEstimator")
        if not overrides(solved, "weigh", "weigh_labelled"):
            name = solved.name_for_people()
            raise DalibError(
                f"{name} weighs no row; use AdaptationClassifier({name!r}, estimator=…); those that do: "
                f"{list_methods('weigh', 'weigh_labelled')}"
            )
        if given.bare:
            solved.check()
            say_bare(solved.name_for_people(), f"{type(self.estimator).__name__} fitted once")
            return ones
        if given.target is None:
            raise ValueError("sample_domain marks no row as the target's; fit needs some, with y = -1 if need be")
        own, few = np.flatnonzero(~given.own), np.flatnonzero(given.own)
        x_s, x_t, x_few = (
            np.asarray(part, np.float64)
            for part in (_safe_indexing(given.X, own), given.target, _safe_indexing(given.X, few))
        )
        codes, few_codes, K = None, None, 1
        if is_classifier(self.estimator):
            classes, codes = np.unique(given.y[own], return_inverse=True)
            few_codes, K = np.searchsorted(classes, given.y[few]), len(classes)
        else:
            need_no_labels(solved, "labels are numbers")
        made = Mapping(solved, x_s, codes, x_t, K, given.seed, x_few, few_codes)
        warn_of_idle(solved, len(x_s), made.weight)
        return made.weight, made.weight_few

    def _rows(self, X: Any, reset: bool) -> Any:
        """Numbers where a method weighs rows by them, else X as it is."""
        return super()._rows(X, reset) if self.algorithm is None else self._numeric(X, reset)

    @_has("predict")
    def predict(self, X: Any) -> np.ndarray:
        """What the estimator predicts."""
        return np.asarray(self._fitted(X).predict(self._rows(X, reset=False)))

    @_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """The estimator's probabilities."""
        return np.asarray(self._fitted(X).predict_proba(self._rows(X, reset=False)))

    @_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """The estimator's scores."""
        return np.asarray(self._fitted(X).decision_function(self._rows(X, reset=False)))

    @_has("score")
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The estimator's own score of rows, the target's or any other's: no row is moved."""
        more = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(self._fitted(X).score(self._rows(X, reset=False), y, **more))

    def _fitted(self, X: Any) -> Any:
        check_is_fitted(self, "estimator_")
        return self.estimator_
