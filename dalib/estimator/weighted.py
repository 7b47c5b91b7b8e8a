"""Importance weights around any estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import _safe_indexing, check_consistent_length, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted, validate_data

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.data.given import plain_table
from dalib.estimator.base import off_graph, plain_labels
from dalib.estimator.domains import find_labelled, find_missing, read_domains
from dalib.estimator.mapping import (
    Mapping,
    copy_algorithm,
    fit_weighted,
    list_methods,
    need_no_labels,
    need_separable,
    overrides,
    warn_of_idle,
)
from dalib.train.arguments import read_seed


def _has(name: str) -> Any:
    return available_if(lambda self: hasattr(getattr(self, "estimator_", self.estimator), name))


class WeightedEstimator(MetaEstimatorMixin, BaseEstimator):
    """Any estimator, fitted on the source rows with the weights that a method gives them.

    Args
        algorithm: a method that weighs rows, or its name: KMM, KLIEP, ULSIF, ImportanceWeighted; it is copied. None:
            all rows that have a label are alike, so any estimator can be the last step of a Pipeline with sample_domain
        estimator: any that takes sample_weight (forests, boosting, SVMs, logistic and ridge regression …); it is cloned
        target_labels: labels of target rows in y: `use` learns from them, `ignore` hides them; None: those of rows that
            have one are used where others are marked -1 (NaN for numbers), and refused where every target row has one
        random_state: int, numpy RandomState or None, of methods that draw

    Attributes
        estimator_, weights_ (n_s,) of mean 1 over the source rows, classes_ (classifiers)

    Labelled target rows have weight 1. Without an algorithm X goes to the estimator as it is: words, categories, NaN
    and sparse rows are the estimator's to take.

    Example
        WeightedEstimator("kmm", RandomForestClassifier()).fit(X_s, y_s, X_t).predict(X_t)
    """

    __metadata_request__fit = {"X_target": True, "y_target": True, "sample_domain": True}

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

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        X_target: Any = None,
        y_target: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> WeightedEstimator:
        """As `AdaptationClassifier.fit`; sample_weight multiplies the method's weights."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        seed, labels = read_seed(self.random_state), plain_labels(off_graph(y))
        rows = self._rows(X, reset=True)
        check_consistent_length(rows, labels)
        n = _num_samples(rows)
        is_target = np.zeros(n, bool)
        if sample_domain is not None:
            if X_target is not None or y_target is not None:
                raise ValueError("sample_domain says which rows of X are the target's; leave X_target and y_target out")
            check_consistent_length(rows, sample_domain)
            is_target, _ = read_domains(sample_domain)
            if is_target.all():
                raise ValueError("sample_domain marks every row as the target's; fit needs rows of a source")
        source = np.flatnonzero(~is_target)
        numbers = not is_classifier(self.estimator)
        lost = find_missing(labels[source], numbers=True)
        if lost.any():
            raise ValueError(f"Input y contains NaN or None in row {source[lost][0]}, a source row; leave it out")
        classes = None if numbers else np.unique(labels[source])
        few = np.zeros(n, bool)
        if is_target.any():
            few[is_target] = find_labelled(labels[is_target], classes, self.target_labels)
        x_t = rows if X_target is None else self._rows(X_target, reset=False)
        own = self._weigh(rows, labels, is_target, x_t, X_target is None and sample_domain is None, seed)
        self.weights_ = own
        used = np.concatenate([source, np.flatnonzero(few)])
        weight = np.concatenate([own, np.ones(int(few.sum()))])
        if sample_weight is not None:
            given = _check_sample_weight(sample_weight, np.zeros((n, 1)), ensure_non_negative=True)
            weight = weight * given[used]
        seen, told = _safe_indexing(rows, used), labels[used].astype(labels[source].dtype)
        if labels.dtype.kind == "O":
            told = np.array(told.tolist())
        if y_target is not None:
            if X_target is None:
                raise ValueError("y_target are labels of X_target, which is None; give both")
            marks = plain_labels(off_graph(y_target))
            check_consistent_length(x_t, marks)
            own_few = np.flatnonzero(find_labelled(marks, classes, self.target_labels or "use"))
            seen = _stack(seen, _safe_indexing(x_t, own_few))
            told = np.concatenate([told, marks[own_few].astype(told.dtype)])
            weight = np.concatenate([weight, np.ones(len(own_few))])
        keep = np.flatnonzero(weight > 0)
        if len(keep) < len(weight):
            seen, told, weight = _safe_indexing(seen, keep), told[keep], weight[keep]
        self.estimator_ = fit_weighted(clone(self.estimator), seen, told, weight)
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_
        return self

    def _weigh(
        self, rows: Any, labels: np.ndarray, is_target: np.ndarray, x_t: Any, bare: bool, seed: int
    ) -> np.ndarray:
        """Weights of the source rows, of mean 1; all 1 where there is no target of its own."""
        ones = np.ones(int((~is_target).sum()))
        if self.algorithm is None:
            return ones
        solved = need_separable(copy_algorithm(self.algorithm), "WeightedEstimator")
        if not overrides(solved, "weigh"):
            name = solved.name_for_people()
            raise DalibError(
                f"{name} weighs no row; use AdaptationClassifier({name!r}, estimator=…); those that do: "
                f"{list_methods('weigh')}"
            )
        if bare:
            solved.check()
            return ones
        if is_target.any():
            x_s, x_t = _safe_indexing(rows, np.flatnonzero(~is_target)), _safe_indexing(rows, np.flatnonzero(is_target))
        elif x_t is rows:
            raise ValueError("sample_domain marks no row as the target's; fit needs some, with y = -1 if need be")
        else:
            x_s = rows
        x_s, x_t = (np.asarray(part, np.float64) for part in (x_s, x_t))
        codes = None
        if is_classifier(self.estimator):
            codes = np.unique(labels[~is_target], return_inverse=True)[1].astype(np.int64)
        else:
            need_no_labels(solved, "labels are numbers")
        weight = Mapping(solved, x_s, codes, x_t, 1 if codes is None else int(codes.max()) + 1, seed).weight
        warn_of_idle(solved, len(x_s), weight)
        return weight

    def _rows(self, X: Any, reset: bool) -> Any:
        """Numbers where a method weighs rows by them, else X as it is; names and width of its columns are kept."""
        X = off_graph(X)
        if self.algorithm is None:
            if hasattr(X, "tocsr"):
                X = X.tocsr()
            elif not hasattr(X, "columns"):
                X = np.asarray(X)
            if np.ndim(X) == 1:
                raise ValueError("Expected 2D array, got 1D array instead. Reshape your data: one row per sample")
            validate_data(self, X, skip_check_array=True, reset=reset)
            return X
        plain = plain_table(X)
        x = validate_data(self, plain, dtype="numeric", reset=reset)
        return plain if hasattr(plain, "columns") else x

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

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags.required = True
        tags.target_tags.multi_output = inner.target_tags.multi_output
        if self.algorithm is None:
            tags.input_tags.allow_nan, tags.input_tags.sparse = inner.input_tags.allow_nan, inner.input_tags.sparse
        return tags


def _stack(above: Any, below: Any) -> Any:
    if hasattr(above, "columns"):
        import pandas as pd

        return pd.concat([above, below])
    if hasattr(above, "tocsr"):
        from scipy.sparse import vstack

        return vstack([above, below]).tocsr()
    return np.concatenate([np.asarray(above), np.asarray(below)])
