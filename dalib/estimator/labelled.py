"""What estimators that are fitted on labelled rows of both domains share: who is who, and which labels are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.utils import _safe_indexing, check_consistent_length, get_tags
from sklearn.utils.validation import _check_sample_weight, _num_samples, validate_data

from dalib.data.given import plain_table
from dalib.estimator.arrays import NamesSettings, as_pandas, keep_columns, off_graph, plain_labels
from dalib.estimator.domains import find_labelled, find_missing, read_domains
from dalib.train.arguments import read_seed


@dataclass(frozen=True)
class LabelledRows:
    """The rows of a fit, in one table: labelled ones of the source, and then those of the target.

    Attributes
        X: (n, d) of any kind; y: (n,)
        own: (n,) bool, rows of the target
        weight: (n,) >= 0 as given, ones where nothing was
        target: all rows of the target, with labels or without; None where there are none
        bare: nothing was said of a target
        seed: of what is drawn
    """

    X: Any
    y: np.ndarray
    own: np.ndarray
    weight: np.ndarray
    target: Any
    bare: bool
    seed: int


class LabelledEstimator(MetaEstimatorMixin, NamesSettings, BaseEstimator):
    """Base of `WeightedEstimator` and `TrAdaBoost`; a subclass has `estimator`, `target_labels` and `_learn`."""

    __metadata_request__fit = {"X_target": True, "y_target": True, "sample_domain": True}
    estimator: BaseEstimator
    target_labels: str | None
    random_state: Any

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        X_target: Any = None,
        y_target: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Any:
        """As `AdaptationClassifier.fit`; sample_weight multiplies the method's weights."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        self._learn(self._gather(X, y, X_target, y_target, sample_domain, sample_weight))
        return self

    @property
    def _hands_on(self) -> bool:
        """X reaches the estimator as it is."""
        return True

    def _learn(self, given: LabelledRows) -> None:
        raise NotImplementedError

    def _gather(
        self, X: Any, y: Any, X_target: Any, y_target: Any, sample_domain: Any, sample_weight: Any
    ) -> LabelledRows:
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
        lost = find_missing(labels[source], numbers=True)
        if lost.any():
            raise ValueError(f"Input y contains NaN or None in row {source[lost][0]}, a source row; leave it out")
        classes = np.unique(labels[source]) if is_classifier(self.estimator) else None
        few = np.zeros(n, bool)
        if is_target.any():
            few[is_target] = find_labelled(labels[is_target], classes, self.target_labels)
        used = np.concatenate([source, np.flatnonzero(few)])
        own, weight = few[used], np.ones(len(used))
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, np.zeros((n, 1)), ensure_non_negative=True)[used]
        seen, told = _safe_indexing(rows, used), labels[used].astype(labels[source].dtype)
        if labels.dtype.kind == "O":
            told = np.array(told.tolist())
        x_t = _safe_indexing(rows, np.flatnonzero(is_target)) if is_target.any() else None
        if X_target is not None:
            x_t = self._rows(X_target, reset=False)
        if y_target is not None:
            if X_target is None:
                raise ValueError("y_target are labels of X_target, which is None; give both")
            marks = plain_labels(off_graph(y_target))
            check_consistent_length(x_t, marks)
            own_few = np.flatnonzero(find_labelled(marks, classes, self.target_labels or "use"))
            seen = _stack(seen, _safe_indexing(x_t, own_few))
            told = np.concatenate([told, marks[own_few].astype(np.float64 if classes is None else told.dtype)])
            own = np.concatenate([own, np.ones(len(own_few), bool)])
            weight = np.concatenate([weight, np.ones(len(own_few))])
        bare = X_target is None and sample_domain is None
        return LabelledRows(seen, told, own, weight, x_t, bare, seed)

    def _rows(self, X: Any, reset: bool) -> Any:
        """X as it is; names and width of its columns are kept."""
        X = off_graph(X)
        keep_columns(self, X, reset)
        if hasattr(X, "tocsr"):
            X = X.tocsr()
        elif not hasattr(X, "columns"):
            X = np.asarray(X)
        if np.ndim(X) == 1:
            raise ValueError("Expected 2D array, got 1D array instead. Reshape your data: one row per sample")
        validate_data(self, X, skip_check_array=True, reset=reset)
        return X

    def _numeric(self, X: Any, reset: bool) -> Any:
        """Numbers, in a table or an array."""
        plain = plain_table(as_pandas(off_graph(X)))
        keep_columns(self, X, reset)
        x = validate_data(self, plain, dtype="numeric", reset=reset)
        return plain if hasattr(plain, "columns") else x

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags.required = True
        tags.target_tags.multi_output = inner.target_tags.multi_output
        if self._hands_on:
            tags.input_tags.allow_nan, tags.input_tags.sparse = inner.input_tags.allow_nan, inner.input_tags.sparse
        return tags


def _stack(above: Any, below: Any) -> Any:
    if hasattr(above, "vstack"):  # polars
        return above.vstack(below)
    if hasattr(above, "columns"):
        import pandas as pd

        return pd.concat([above, below])
    if hasattr(above, "tocsr"):
        from scipy.sparse import vstack

        return vstack([above, below]).tocsr()
    return np.concatenate([np.asarray(above), np.asarray(below)])
