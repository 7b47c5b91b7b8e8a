"""What a solved method does to rows, apart from the classifier that it would fit: for any estimator behind it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter
from torch import Tensor

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.lacking import Lacking, find_lacking
from dalib.core.memory import hold_memory
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS, is_class
from dalib.train.device import seeded


def overrides(algorithm: Algorithm, *names: str) -> bool:
    """A method that solves has its own `align`, `weigh` …"""
    return any(getattr(type(algorithm), name) is not getattr(FeatureAlgorithm, name) for name in names)


def is_separable(algorithm: Algorithm) -> bool:
    """Its classifier comes after what it does to rows, so that another may stand in its place."""
    return isinstance(algorithm, FeatureAlgorithm) and not overrides(algorithm, "fit", "predict")


def list_methods(*names: str) -> str:
    """Names of the separable methods that override one of `names`, for messages."""
    classes = {name: ALGORITHMS.get(name) for name in ALGORITHMS.names()}
    fit = {
        name
        for name, cls in classes.items()
        if issubclass(cls, FeatureAlgorithm)
        and cls.fit is FeatureAlgorithm.fit
        and any(getattr(cls, n) is not getattr(FeatureAlgorithm, n) for n in names)
    }
    return ", ".join(sorted(fit))


class Mapping:
    """A method solved on arrays, in float64.

    Args
        algorithm: separable; it is attached here
        x_s, x_t: rows (n_s, d), (n_t, d)
        labels: (n_s,) int64 in [0, classes); None for methods that read none
        classes: K
        seed: of what it draws
        x_few, few_labels: labelled rows of the target (m, d), and their labels (m,)
        origin: (n_s,) which source a row is from; None where nobody said
    Attributes
        moved: source rows (n_s, d') where the method puts them
        weight: (n_s,) >= 0, of mean 1 (over all labelled rows, where the method weighs those of the target too)
        moved_few, weight_few: those of the target, as target rows and of weight 1 unless the method says otherwise
    """

    def __init__(
        self, algorithm: FeatureAlgorithm, x_s: np.ndarray, labels: np.ndarray | None, x_t: np.ndarray, classes: int,
        seed: int = 0, x_few: np.ndarray | None = None, few_labels: np.ndarray | None = None,
        origin: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.algorithm = algorithm
        y = torch.as_tensor(np.zeros(len(x_s), np.int64) if labels is None else labels)
        self._x_s, self._x_t = np.ascontiguousarray(x_s), np.ascontiguousarray(x_t)
        with hold_memory(), seeded(seed, torch.device("cpu")), torch.no_grad():
            algorithm.attach(Network(identity(x_s.shape[1]), classes, 0))
            algorithm.check_memory(len(x_s), len(x_t))
            sources = 1 if origin is None else len(np.unique(origin))
            for sentence, remedy in find_lacking(
                algorithm, 0 if x_few is None else len(x_few), len(x_s), sources, True
            ).items():
                warnings.warn(f"{sentence}; {remedy}", Lacking, stacklevel=4)
            z_s, z_t = _tensor(self._x_s), _tensor(self._x_t)
            if origin is not None:
                algorithm.tell_sources(torch.as_tensor(origin))
            weight = algorithm.weigh(z_s, y, z_t) if overrides(algorithm, "weigh") else torch.ones(len(z_s))
            self.moved: np.ndarray = algorithm.align(z_s, y, z_t).numpy() if overrides(algorithm, "align") else x_s
            self.weight: np.ndarray = (weight.double() / weight.double().mean()).numpy()
            few = x_s[:0] if x_few is None else x_few
            self.moved_few, self.weight_few = self.project(few), np.ones(len(few))
            if len(few) and overrides(algorithm, "weigh_labelled", "align_labelled"):
                own = torch.arange(len(x_s) + len(few)) >= len(x_s)
                z = torch.cat([z_s, _tensor(few)])
                y = torch.cat([y, torch.as_tensor(np.zeros(len(few), np.int64) if few_labels is None else few_labels)])
                if origin is not None:
                    algorithm.tell_sources(torch.as_tensor(np.append(origin, np.full(len(few), origin.max() + 1))))
                placed = algorithm.align_labelled(z, y, z_t, own).numpy()
                weight = algorithm.weigh_labelled(z, y, z_t, own).double()
                both = (weight / weight.mean()).numpy()
                self.moved, self.moved_few = placed[: len(x_s)], placed[len(x_s) :]
                self.weight, self.weight_few = both[: len(x_s)], both[len(x_s) :]

    @torch.no_grad()
    def project(self, x: np.ndarray) -> np.ndarray:
        """Target-like rows (n, d) -> (n, d')."""
        return self.algorithm.project(_tensor(x)).numpy() if overrides(self.algorithm, "project") else x

    @torch.no_grad()
    def carry(self, x: np.ndarray) -> np.ndarray:
        """Source rows that were not there in the fit, (n, d) -> (n, d')."""
        if not overrides(self.algorithm, "align"):
            return x
        rows = (_tensor(part) for part in (x, self._x_s, self._x_t, self.moved))
        return self.algorithm.carry(*rows).numpy()


def _tensor(x: np.ndarray) -> Tensor:
    x = np.ascontiguousarray(x)
    return torch.from_numpy(x if x.flags.writeable else x.copy()).double()  # PyTorch warns of read-only arrays


def copy_algorithm(given: Any) -> Algorithm:
    """A fresh one of the same hyper-parameters; None = source_only, a name = its defaults.

    Raises
        TypeError: no algorithm
    """
    if given is None:
        given = "source_only"
    if isinstance(given, str):
        made: Algorithm = ALGORITHMS.get(given)()
        return made
    if is_class(given, Algorithm):
        raise TypeError(f"algorithm is the class {given.__name__}; pass an instance, {given.__name__}()")
    if not isinstance(given, Algorithm):
        raise TypeError(f"algorithm = {given!r} is no Algorithm; pass one, such as DANN(), or its name, 'dann'")
    return type(given)(**given.hparams)


def need_separable(algorithm: Algorithm, what: str) -> FeatureAlgorithm:
    """The algorithm; DalibError unless rows and classifier are two steps of it.

    what: needs that, for the message
    """
    if not isinstance(algorithm, FeatureAlgorithm) or not is_separable(algorithm):
        name = algorithm.name_for_people()
        why = "is its own classifier" if isinstance(algorithm, FeatureAlgorithm) else "trains a network"
        raise DalibError(
            f"{what} needs a method that moves or weighs rows, and {name} {why}; use AdaptationClassifier({name!r}), "
            f"or one of {list_methods('align', 'weigh')}"
        )
    return algorithm


def need_no_labels(algorithm: FeatureAlgorithm, what: str) -> None:
    """DalibError for a method that groups source rows by class, where there are none."""
    if algorithm.uses_labels:
        name = algorithm.name_for_people()
        raise DalibError(f"{what}, and {name} groups source rows by class; take one of coral, gfk, pca_map, tca, kmm")


def fit_weighted(estimator: BaseEstimator, X: Any, y: np.ndarray, weight: np.ndarray | None) -> BaseEstimator:
    """The estimator, fitted with row weights unless they are all 1 (then it need not take any).

    Raises
        DalibError: it takes none
    """
    if weight is None or bool((weight == 1).all()):
        return estimator.fit(X, y)
    name = f"{find_weighted(estimator)}sample_weight"
    with config_context(enable_metadata_routing=False):
        return estimator.fit(X, y, **{name: weight})


def find_weighted(estimator: BaseEstimator) -> str:
    """What stands before `sample_weight` in the arguments of `fit`: the steps of a Pipeline, or nothing.

    Raises
        DalibError: its last step takes none
    """
    last, path = estimator, ""
    while isinstance(last, Pipeline):
        path, last = f"{path}{last.steps[-1][0]}__", last.steps[-1][1]
    if not has_fit_parameter(last, "sample_weight"):
        raise DalibError(
            f"{type(last).__name__} takes no sample_weight, so nothing can weigh its rows; use one that does, such as "
            "LogisticRegression, SVC or RandomForestClassifier"
        )
    return path


def say_bare(name: str, then: str) -> None:
    """A word where nothing was said of a target; then: what the method is."""
    warnings.warn(
        f"{name} without a target is {then}; give X_target, or sample_domain (through a Pipeline or a search: with "
        "sklearn.set_config(enable_metadata_routing=True))",
        Lacking,
        stacklevel=5,
    )


def warn_of_idle(algorithm: Algorithm, n: int, weight: np.ndarray) -> None:
    """A word where the weights leave next to nothing: fewer than 2 % of the rows carry 99 % of them."""
    share = np.sort(weight)[::-1].cumsum() / max(weight.sum(), 1e-300)
    rows = int(np.searchsorted(share, 0.99)) + 1
    if n >= 50 and rows < 0.02 * n:
        warnings.warn(
            f"{algorithm.name_for_people()} gives 99 % of the weight to {rows} of {n} source rows: the domains hardly "
            "overlap; a wider kernel or a method that moves rows may do better",
            UserWarning,
            stacklevel=4,
        )
