"""What the estimators for classes and for numbers share: rows, domains, the network and the fit itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import nn

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.types import Domain, Outputs, Task
from dalib.data.given import (
    Rows,
    find_column_moments,
    order_modalities,
    read_labels,
    read_rows,
    scale_columns,
    told_table,
)
from dalib.data.normalise import warn_of_one_row
from dalib.data.oddities import warn_of_equal_rows, warn_of_scales, warn_of_source_rows
from dalib.estimator.arrays import (
    FitRows,
    NamesSettings,
    as_pandas,
    build_backbone,
    keep_columns,
    off_graph,
    plain_labels,
)
from dalib.estimator.domains import find_missing, read_domains
from dalib.estimator.mapping import (
    Mapping,
    copy_algorithm,
    fit_weighted,
    need_separable,
    overrides,
    say_bare,
    warn_of_idle,
)
from dalib.nn.classifiers import UNWEIGHTED
from dalib.train.arguments import check_arguments, read_recipe, read_seed
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.recipes import fill_recipe
from dalib.train.trainer import Trainer

NUMBERS = ("mlp", "cnn1d")
"""Backbones that take whole numbers as numbers, not as token ids."""
MANY = 20_000
"""Rows above which `fit` does not look at its own answers."""


class AdaptationEstimator(NamesSettings, BaseEstimator):
    """Base of `AdaptationClassifier` and `AdaptationRegressor`."""

    __metadata_request__fit = {"X_target": True, "y_target": True, "sample_domain": True}
    _numbers = False
    """Labels are numbers: -1 is one of them."""

    def __init__(
        self,
        algorithm: Algorithm | str | None = None,
        *,
        estimator: BaseEstimator | None = None,
        backbone: str | Backbone | nn.Module | None = None,
        train: TrainConfig | dict[str, Any] | None = None,
        standardise: bool = False,
        target_labels: str | None = None,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
    ) -> None:
        self.algorithm = algorithm
        self.estimator = estimator
        self.backbone = backbone
        self.train = train
        self.standardise = standardise
        self.target_labels = target_labels
        self.random_state = random_state
        self.device = device

    def _read(
        self, X: Rows, y: Any, X_target: Rows | None, y_target: Any, sample_domain: Any, sample_weight: Any
    ) -> FitRows:
        """The rows of a fit, from either way of giving them."""
        X, y = as_pandas(off_graph(X)), off_graph(y)
        if sample_domain is None:
            return self._read_apart(X, y, X_target, y_target, sample_weight)
        if X_target is not None or y_target is not None:
            raise ValueError("sample_domain says which rows of X are the target's; leave X_target and y_target out")
        if y is None:
            raise ValueError("y is None: give labels of the source rows, and -1 (NaN for numbers) for those without")
        x, labels = self._rows(X, reset=True), plain_labels(y)
        check_consistent_length(x, labels, sample_domain)
        is_target, origin = read_domains(sample_domain)
        if is_target.all():
            raise ValueError("sample_domain marks every row as the target's; fit needs rows of a source")
        if not is_target.any() and copy_algorithm(self.algorithm).uses_target:
            raise ValueError("sample_domain marks no row as the target's; fit needs some, with y = -1 if need be")
        lost = np.flatnonzero(find_missing(labels, numbers=True) & ~is_target)
        if len(lost):
            raise ValueError(f"y holds no label in row {lost[0]}, a source row ({len(lost)} in all); leave those out")
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, x, ensure_non_negative=True)
        weight_s, weight_t = (None, None) if weight is None else (weight[~is_target], weight[is_target])
        x_s, bare = x[~is_target], not is_target.any()
        y_s, y_t = labels[~is_target], None if bare else labels[is_target]
        return FitRows(x_s, y_s, weight_s, origin[~is_target], x_s if bare else x[is_target], y_t, weight_t, bare)

    def _read_apart(self, X: Any, y: Any, X_target: Any, y_target: Any, sample_weight: Any) -> FitRows:
        x_s: np.ndarray
        if y is not None and not self._numbers:
            y = read_labels(y)
        if self.backbone is None:
            keep_columns(self, X, reset=True)
            x_s, y = validate_data(self, told_table(X), y, dtype=np.float32, multi_output=self._numbers)
        else:
            x_s = self._rows(X, reset=True)
            check_consistent_length(x_s, y)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, x_s, ensure_non_negative=True)
        x_t = x_s if X_target is None else self._rows(X_target)
        y_t = None if y_target is None else plain_labels(off_graph(y_target))
        if y_t is not None:
            check_consistent_length(x_t, y_t)
            if X_target is None:
                raise ValueError("y_target are labels of X_target, which is None; give both")
        return FitRows(x_s, y, weight, np.zeros(len(x_s), np.int64), x_t, y_t, None, X_target is None)

    def _solve(
        self, given: FitRows, labels: np.ndarray, few: np.ndarray, y_few: np.ndarray, names: tuple[str, ...],
        values: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Fit on rows whose labels are ready; (x_s, labels, x_t) as they were learned from, scaled and of weight > 0.

        Args
            labels: of the source, as the objective takes them
            few: (n_t,) bool, labelled target rows, whose labels are y_few
            names: of the classes, or of the numbers
            values: source labels and then y_few, as an estimator behind takes them
        """
        check_arguments(self.standardise, self.train, self.backbone)
        seed, x_s, x_t, weight = read_seed(self.random_state), given.x_s, given.x_t, given.weight_s
        algorithm = self._copy()
        self._check_weights(algorithm, weight)
        if given.bare and algorithm.uses_target:
            say_bare(algorithm.name_for_people(), "that method with X for its own target")
        self._moments = None
        if not given.bare and x_s.ndim == 2 and x_s.dtype.kind == "f" and x_t.shape[1:] == x_s.shape[1:]:
            self._moments = find_column_moments(x_s), find_column_moments(x_t)
        if self.standardise:
            if x_s.ndim != 2 or x_s.dtype.kind != "f":
                raise ValueError("standardise = True is for features (n, d); leave it out")
            warn_of_one_row(x_t, "standardise = True", "X_target")
            self.moments_ = find_column_moments(x_t)
            x_s, x_t = scale_columns(x_s, find_column_moments(x_s)), scale_columns(x_t, self.moments_)
        else:
            warn_of_scales(x_s, x_t, features=self.backbone is None)
        warn_of_equal_rows(x_s, x_t)
        if weight is not None and (weight == 0).any():
            used = weight > 0
            x_s, labels, weight = x_s[used], labels[used], weight[used]
            values = values[np.concatenate([used, np.ones(len(y_few), bool)])]
            given = replace(given, origin_s=given.origin_s[used])
        few_weight = None if given.weight_t is None else given.weight_t[few]
        all_weight = None
        if weight is not None:
            all_weight = np.concatenate([weight, np.ones(int(few.sum())) if few_weight is None else few_weight])
        if self._final() is not None:
            self._solve_behind(
                algorithm, x_s, labels, x_t, few, y_few, values, all_weight, len(names), seed, given.origin_s
            )
            return x_s, labels, x_t
        self.__dict__.pop("mapping_", None)
        source = self._domain("source", x_s, labels, names)
        source = replace(source, origin=given.origin_s, weight=all_weight if not few.any() else None)
        target, protocol = x_t, "uda"
        if few.any():
            both = np.concatenate([x_s, x_t[few]]), np.concatenate([labels, y_few])
            origin = np.append(given.origin_s, np.full(int(few.sum()), given.origin_s.max() + 1))
            source = replace(self._domain("source", *both, names), origin=origin, weight=all_weight)
            protocol, target = "semi_supervised", x_t if few.all() else x_t[~few]
        backbone = build_backbone(self.backbone, x_s, x_t, seed)
        task = self._join(source, self._domain("target", target, None, names), protocol)
        self.fitted_ = self._trainer(seed, backbone).fit(algorithm, task, backbone)
        if self.standardise:  # for a file of the model, whose rows are as they were given here
            self.fitted_.moments, self.fitted_.extra["normalise"] = (self.moments_,), ["zscore"]
        return x_s, labels, x_t

    def _solve_behind(
        self, algorithm: Algorithm, x_s: np.ndarray, labels: np.ndarray, x_t: np.ndarray, few: np.ndarray,
        y_few: np.ndarray, values: np.ndarray, weight: np.ndarray | None, classes: int, seed: int, origin: np.ndarray,
    ) -> None:  # fmt: skip
        """The estimator given, fitted on the rows that the method moves or weighs."""
        if self.backbone is not None:
            raise ValueError("estimator = … stands behind features; leave backbone out, or embed the rows first")
        self.__dict__.pop("fitted_", None)
        solved = need_separable(algorithm, f"estimator = {type(self._final()).__name__}()")
        own_labels = self._labels_for(solved, labels)
        few_labels = None if own_labels is None else y_few
        self.mapping_ = Mapping(solved, x_s, own_labels, x_t, classes, seed, x_t[few], few_labels, origin)
        made = self.mapping_
        warn_of_idle(solved, len(x_s), made.weight)
        rows, own = np.concatenate([made.moved, made.moved_few]), np.concatenate([made.weight, made.weight_few])
        self.estimator_ = fit_weighted(clone(self._final()), rows, values, own if weight is None else own * weight)

    def _labels_for(self, algorithm: FeatureAlgorithm, labels: np.ndarray) -> np.ndarray | None:
        return labels

    def _final(self) -> BaseEstimator | None:
        """The estimator behind the method; None where it has its own."""
        return self.estimator

    def _check_weights(self, algorithm: Algorithm, weight: np.ndarray | None) -> None:
        """Refuse row weights that would change nothing."""
        if weight is None or self._final() is not None:
            return
        name = algorithm.name_for_people()
        if isinstance(algorithm, FeatureAlgorithm):
            if overrides(algorithm, "fit"):
                raise DalibError(f"{name} is its own classifier and takes no sample_weight; use coral, kmm or dann")
            if algorithm.classifier in UNWEIGHTED:
                raise DalibError(
                    f"{name}.classifier = {algorithm.classifier!r} takes no sample_weight; use 'logistic' or 'svm'"
                )
        elif hasattr(algorithm, "ways"):
            raise DalibError(f"{name} draws small tasks and takes no sample_weight; use source_only or dann")
        elif read_recipe(self.train, {}).sampler != "shuffle" and np.ptp(weight):
            raise DalibError("train.sampler and sample_weight both say how often a row is drawn; give one of them")

    def _outputs(self, X: Rows, restored: bool = True) -> Outputs:
        """Features and prediction of rows, which are taken for the target's, by the network; as `Fitted.outputs`."""
        x = self._rows(X)
        if self.standardise:
            x = scale_columns(x, self.moments_)
        return self._fitted().outputs(self._domain("X", x, None), restored)

    def _moves_rows(self) -> bool:
        """Source and target rows go different ways, so that the source's are wrong where the target's are meant."""
        check_is_fitted(self)
        algorithm = self.mapping_.algorithm if hasattr(self, "mapping_") else self.fitted_.algorithm
        solved = isinstance(algorithm, FeatureAlgorithm)
        return self.standardise or (solved and overrides(algorithm, "align", "project", "fit"))

    def _behind_of(self, X: Rows) -> Any:
        """The estimator behind, with a word where rows to predict look like the source's."""
        check_is_fitted(self)
        if self._moves_rows():
            warn_of_source_rows(self._rows(X), self._moments)
        return self.estimator_

    def _behind(self, X: Rows) -> np.ndarray:
        """Rows, taken for the target's, as the estimator behind sees them."""
        check_is_fitted(self)
        x = self._rows(X)
        return self.mapping_.project(scale_columns(x, self.moments_) if self.standardise else x)

    def _fitted(self) -> Fitted:
        check_is_fitted(self)
        if not hasattr(self, "fitted_"):
            raise AttributeError("with estimator = … there is no fitted network: see estimator_ and mapping_")
        return self.fitted_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fitted_") or hasattr(self, "mapping_")

    def _rows(self, X: Rows, reset: bool = False) -> np.ndarray:
        X = as_pandas(X)
        keep_columns(self, X, reset)
        if self.backbone is not None:
            read = read_rows(X, numbers=self.backbone in NUMBERS if isinstance(self.backbone, str) else False)
            if hasattr(X, "columns") or (read.ndim == 2 and read.dtype.kind == "f"):
                validate_data(self, X if hasattr(X, "columns") else read, skip_check_array=True, reset=reset)
            if reset and not len(read):
                raise ValueError("X has no rows; fit needs some")
            if reset:
                self._modalities = read.dtype.names or ()
            return order_modalities(read, self._modalities)
        x: np.ndarray = validate_data(self, told_table(off_graph(X)), dtype=np.float32, reset=reset)
        return x

    def _trainer(self, seed: int, backbone: Backbone) -> Trainer:
        kind = "regression" if self._numbers else "classification"
        recipe = fill_recipe({}, type(self._copy()), backbone.name, backbone.weights, backbone.frozen, kind)
        recipe.pop("answers", None)  # y is scaled before it comes here
        return Trainer(read_recipe(self.train, recipe), seed=seed, device=self.device)

    def _copy(self) -> Algorithm:
        return copy_algorithm(self.algorithm)

    def _domain(self, name: str, x: np.ndarray, y: np.ndarray | None, names: tuple[str, ...] = ()) -> Domain:
        x = np.ascontiguousarray(x)
        content = "array" if self.backbone is None else hashlib.sha256(x.tobytes()).hexdigest()
        objective = "regression" if self._numbers else "classification"
        return Domain(name, x, y, names or self._names(), content, objective=objective)

    def _task(self, X: np.ndarray, labels: np.ndarray, target: np.ndarray) -> Task:
        return self._join(self._domain("source", X, labels.astype(np.int64)), self._domain("target", target, None))

    @staticmethod
    def _join(source: Domain, blind: Domain, protocol: str = "uda") -> Task:
        return Task("source->target", source, blind, source.take(np.arange(0), "none"), blind, protocol)

    def _names(self) -> tuple[str, ...]:
        raise NotImplementedError


def has_behind(name: str) -> Callable[[Any], bool]:
    """For `available_if`: the estimator behind, if there is one, has the method."""
    return lambda self: self._final() is None or hasattr(self._final(), name)
