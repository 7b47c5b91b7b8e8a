"""Any method that moves rows as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix, issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.data.given import plain_table
from dalib.estimator.arrays import NamesSettings, as_pandas, keep_columns, off_graph, plain_labels
from dalib.estimator.domains import find_missing, read_domains, refuse_unsaid
from dalib.estimator.mapping import Mapping, copy_algorithm, list_methods, need_separable, overrides
from dalib.estimator.sparse import TAKE_SPARSE, Compression, refuse_sparse
from dalib.train.arguments import read_seed


class AdaptationTransformer(NamesSettings, TransformerMixin, BaseEstimator):
    """Rows of a source and of a target, moved so that they are alike; anything may stand behind it.

    Args
        algorithm: a method that is solved and moves rows, or its name: CORAL, SubspaceAlignment, GFK, PCAMap, TCA, JDA,
            BDA, TJM, JGSA, OTMap, SFA, FeatureAugmentation; it is copied. Hyper-parameters are `algorithm__components`
            … in set_params
        target_labels: with sample_domain, labels of target rows in y: None refuses them where every target row has
            one, for a plain estimator behind this one would learn from them; `ignore` or `use` if what stands behind
            does so
        random_state: int, numpy RandomState or None, of methods that draw

    Attributes
        mapping_ (`Mapping`), n_features_in_, feature_names_in_ (tables)

    Source and target apart: fit(X_s, X_target=X_t), fit_transform(X_s, X_target=X_t) are the moved source rows, and
    transform(X) takes rows for the target's, so in a Pipeline a plain estimator behind it is fitted on the source and
    predicts for the target:
    make_pipeline(AdaptationTransformer("coral"), SVC()).fit(X_s, y_s, adaptationtransformer__X_target=X_t).predict(X_t)

    One table: fit_transform(X, y, sample_domain=d) moves every row as its domain's, and transform(X, sample_domain=d)
    new rows of either. A plain estimator behind it would be fitted on target rows too: put
    WeightedEstimator(None, SVC()) there, which leaves out those without a label, or use
    AdaptationClassifier("coral", estimator=SVC()), which does all of it.

    Sparse rows stay sparse for PCAMap, SubspaceAlignment and GFK; others refuse them and say what they would take.

    Example
        AdaptationTransformer("coral").fit(X_s, X_target=X_t).transform(X_t)
    """

    __metadata_request__fit = {"X_target": True, "sample_domain": True}
    __metadata_request__transform = {"sample_domain": True}

    def __init__(
        self,
        algorithm: Algorithm | str = "coral",
        *,
        target_labels: str | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.algorithm = algorithm
        self.target_labels = target_labels
        self.random_state = random_state

    def fit(
        self, X: Any, y: ArrayLike | None = None, X_target: Any = None, sample_domain: ArrayLike | None = None
    ) -> AdaptationTransformer:
        """X (n_s, d), X_target (n_t, d), or X of both with sample_domain; y for methods that group rows by class."""
        self._fit(X, y, X_target, sample_domain)
        return self

    def fit_transform(
        self, X: Any, y: ArrayLike | None = None, X_target: Any = None, sample_domain: ArrayLike | None = None
    ) -> np.ndarray:
        """The rows of X, moved: those of the source as the source's. Without a target, as `transform` does."""
        x, is_target = self._fit(X, y, X_target, sample_domain)
        if not is_target.any() and X_target is not None:
            return self.mapping_.moved.copy()
        moved = self._project(x)
        if is_target.any():
            moved[~is_target] = self.mapping_.moved
        return moved

    def transform(self, X: Any, sample_domain: ArrayLike | None = None) -> np.ndarray:
        """Rows (n, d) -> (n, d'), float64; without sample_domain all are taken for rows of the target."""
        check_is_fitted(self)
        x = self._rows(X, reset=False)
        if self._compression is not None:
            x = self._compression(x)
        elif issparse(x):
            x = x.toarray()
        if sample_domain is None:
            return self._project(x)
        check_consistent_length(x, sample_domain)
        is_target, _ = read_domains(sample_domain)
        moved = self._project(x)
        if not is_target.all():
            moved[~is_target] = self.mapping_.carry(x[~is_target])
        return moved

    def _project(self, x: np.ndarray) -> np.ndarray:
        """Target rows moved, in an array of their own: some methods hand x back, which may be the caller's."""
        moved = self.mapping_.project(x)
        return moved.copy() if np.may_share_memory(moved, x) else moved

    def _fit(self, X: Any, y: Any, X_target: Any, sample_domain: Any) -> tuple[np.ndarray, np.ndarray]:
        algorithm = self._solved()
        x, seed = self._rows(X, reset=True), read_seed(self.random_state)
        labels = None if y is None else plain_labels(off_graph(y))
        if labels is not None:
            check_consistent_length(x, labels)
        if sample_domain is None:
            x_s, is_target = x, np.zeros(x.shape[0], bool)
            x_t = x if X_target is None else self._rows(X_target, reset=False)
        else:
            if X_target is not None:
                raise ValueError("sample_domain says which rows of X are the target's; leave X_target out")
            check_consistent_length(x, sample_domain)
            is_target, _ = read_domains(sample_domain)
            if is_target.all() or not is_target.any():
                kind = "every row as the target's" if is_target.any() else "no row as the target's"
                raise ValueError(f"sample_domain marks {kind}; fit needs rows of both")
            x_s, x_t = x[~is_target], x[is_target]
            if labels is not None:
                refuse_unsaid(find_missing(labels[is_target]), self.target_labels, "-1")
                labels = labels[~is_target]
        codes, K = self._classes(algorithm, labels)
        self._compression = None
        if issparse(x_s) or issparse(x_t):
            self._compression = Compression(algorithm, csr_matrix(x_s), csr_matrix(x_t))
            x, x_s, x_t = (self._compression(part) for part in (x, x_s, x_t))
        self.mapping_ = Mapping(algorithm, x_s, codes, x_t, K, seed)
        self._n_features_out = self.mapping_.project(x_t[:1]).shape[1]
        return x, is_target

    def _solved(self) -> FeatureAlgorithm:
        algorithm = copy_algorithm(self.algorithm)
        solved = need_separable(algorithm, "AdaptationTransformer")
        if not overrides(solved, "align"):
            name, how = solved.name_for_people(), "moves no row"
            way = f"; use WeightedEstimator({name!r}, …)" if overrides(solved, "weigh") else ""
            raise DalibError(f"{name} {how}{way}; those that do: {list_methods('align')}")
        return solved

    def _classes(self, algorithm: FeatureAlgorithm, labels: np.ndarray | None) -> tuple[np.ndarray | None, int]:
        """(labels in [0, K), K) for a method that reads them."""
        if not algorithm.uses_labels:
            return None, 1
        if labels is None:
            name = algorithm.name_for_people()
            raise ValueError(f"{name} groups rows by class: it requires y to be passed, but the target y is None")
        if find_missing(labels, numbers=True).any():
            raise ValueError("y holds no label for a source row; leave that row out")
        classes, codes = np.unique(labels, return_inverse=True)
        return codes.astype(np.int64), len(classes)

    def _rows(self, X: Any, reset: bool) -> Any:
        keep_columns(self, X, reset)
        X = X if issparse(X) else plain_table(as_pandas(off_graph(X)))
        name = copy_algorithm(self.algorithm).name_for_people()
        if name not in TAKE_SPARSE:
            refuse_sparse(name, X)
        return validate_data(self, X, dtype=np.float64, accept_sparse="csr", reset=reset)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The columns' own names where the method keeps them (CORAL, OTMap), else `coral0`, `coral1` …"""
        check_is_fitted(self, "mapping_")
        algorithm = self.mapping_.algorithm
        if algorithm.keeps_columns:
            own = getattr(self, "feature_names_in_", None)
            if input_features is not None:
                names = np.asarray(input_features, dtype=object)
                if own is not None and not np.array_equal(own, names):
                    raise ValueError("input_features is not equal to feature_names_in_")
                if len(names) != self.n_features_in_:
                    raise ValueError("input_features should have length equal to number of features")
                return names
            return own if own is not None else np.array([f"x{i}" for i in range(self.n_features_in_)], dtype=object)
        name = algorithm.name_for_people()
        return np.array([f"{name}{i}" for i in range(self._n_features_out)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        algorithm = copy_algorithm(self.algorithm)
        tags.input_tags.sparse = algorithm.name_for_people() in TAKE_SPARSE
        tags.target_tags.required = isinstance(algorithm, FeatureAlgorithm) and bool(algorithm.uses_labels)
        return tags
