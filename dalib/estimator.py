"""The scikit-learn face of the same algorithms: arrays in, labels out."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from dalib.assemble import check_crop
from dalib.backbones import load_backbone, own_weights, takes_rows
from dalib.core.algorithm import Algorithm, FeatureAlgorithm
from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, VALIDATORS
from dalib.core.rows import row_shape
from dalib.core.types import Domain, Outputs, Task, name_unknown
from dalib.data.given import (
    Rows,
    find_column_moments,
    order_modalities,
    plain_table,
    read_labels,
    read_rows,
    scale_columns,
)
from dalib.data.oddities import warn_of_absent, warn_of_equal_rows, warn_of_scales, warn_of_source_rows
from dalib.nn.classifiers import nearest_temperature
from dalib.train.arguments import check_arguments, check_images, read_recipe, read_seed
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.recipes import fill_recipe
from dalib.train.trainer import Trainer

NUMBERS = ("mlp", "cnn1d")
"""Backbones that take whole numbers as numbers, not as token ids."""


def _is_nearest(algorithm: Algorithm) -> bool:
    """It answers by the nearest of the rows that it moved."""
    return (
        isinstance(algorithm, FeatureAlgorithm)
        and algorithm.classifier == "nearest"
        and type(algorithm).fit is FeatureAlgorithm.fit
    )


MANY = 20_000
"""Rows above which `fit` does not look at its own answers."""


class AdaptationClassifier(ClassifierMixin, BaseEstimator):
    """Any algorithm as a scikit-learn classifier on arrays: features, or whatever a backbone takes.

    Args
        algorithm: an Algorithm, or the name of one; it is copied, never changed. None = SourceOnly(), which needs more
            steps than the default on small tables: LinearProbe() or CORAL() are solved exactly. Its hyper-parameters
            are `algorithm__weight` … in set_params and GridSearchCV
        backbone: what turns rows into features: the name of one that is built to fit (`mlp`, `cnn1d`,
            `text_transformer`, `modalities` …), a Backbone, or any module; it is copied, never changed. None: rows are
            features (n, d). With one, X may be time series (n, C, T), token ids (n, L), uint8 images (n, 3, R, R), or
            several modalities {name: array}; a module takes rows (n, *S) of any kind, whatever their channels
        train: TrainConfig, or a dictionary of its fields, or None; what it leaves open is the backbone's recipe
        standardise: subtract the mean and divide by the standard deviation, each domain by its own; rows to predict are
            taken for target rows, so they get those of the target seen in fit
        random_state: int, numpy RandomState or None (a fresh seed)
        device: `auto`, `cpu`, `cuda`

    Attributes
        classes_ (K,), n_features_in_ (tables), fitted_ (`Fitted`), moments_ (mean and deviation of the target, if
        standardised), unknown_ (what rows of no known class are called, of methods that reject: OSBP)

    A Pipeline transforms X only. With `sklearn.set_config(enable_metadata_routing=True)`,
    make_pipeline(StandardScaler(), AdaptationClassifier(…).set_fit_request(X_target=True),
    transform_input=["X_target"]).fit(X_s, y_s, X_target=X_t) scales both by the source's moments.

    Every row to predict is taken for a row of the target. `score` on held-out rows of the source, which is what
    cross_val_score and GridSearchCV compute, is therefore wrong for methods that move rows and picks those that do not
    (a warning says so); choose by `scoring=target_scorer(X_target)` instead.

    Example
        AdaptationClassifier(DANN()).fit(X_s, y_s, X_t).predict(X_t)
    """

    def __init__(
        self,
        algorithm: Algorithm | str | None = None,
        *,
        backbone: str | Backbone | nn.Module | None = None,
        train: TrainConfig | dict[str, Any] | None = None,
        standardise: bool = False,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
    ) -> None:
        self.algorithm = algorithm
        self.backbone = backbone
        self.train = train
        self.standardise = standardise
        self.random_state = random_state
        self.device = device

    def fit(self, X: Rows, y: ArrayLike, X_target: Rows | None = None) -> AdaptationClassifier:
        """X (n_s, d), or rows as the backbone takes them, labelled by y (n_s,); X_target unlabelled, None = X."""
        x_s: np.ndarray
        X, y = _off_graph(X), _off_graph(y)
        check_arguments(self.standardise, self.train, self.backbone)
        seed = read_seed(self.random_state)
        if y is not None:
            y = read_labels(y)
        if self.backbone is None:
            x_s, y = validate_data(self, plain_table(X), y, dtype=np.float32)
        else:
            x_s, y = self._rows(X, reset=True), column_or_1d(y)
            check_consistent_length(x_s, y)
        check_classification_targets(y)
        algorithm = self._copy()
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds 1 class ({self.classes_.tolist()[0]!r}); a classifier needs at least 2")
        x_t = x_s if X_target is None else self._rows(X_target)
        self._moments = None
        if X_target is not None and x_s.ndim == 2 and x_s.dtype.kind == "f" and x_t.shape[1:] == x_s.shape[1:]:
            self._moments = find_column_moments(x_s), find_column_moments(x_t)
        if self.standardise:
            if x_s.ndim != 2 or x_s.dtype.kind != "f":
                raise ValueError("standardise = True is for features (n, d); leave it out")
            self.moments_ = find_column_moments(x_t)
            x_s, x_t = scale_columns(x_s, find_column_moments(x_s)), scale_columns(x_t, self.moments_)
        else:
            warn_of_scales(x_s, x_t, features=self.backbone is None)
        warn_of_equal_rows(x_s, x_t)
        backbone = self._build(x_s, x_t, seed)
        self.fitted_ = self._trainer(seed, backbone).fit(algorithm, self._task(x_s, labels, x_t), backbone)
        if algorithm.rejects:
            self.unknown_ = self._name_unknown()
        self._warn_of_underfitting(x_s, labels)
        if len(x_t) <= MANY and X_target is not None:
            answers = self.fitted_.outputs(self._domain("X_target", x_t, None)).logits.argmax(1).numpy()
            warn_of_absent(labels, answers, self.classes_.tolist())
        return self

    def decision_function(self, X: Rows) -> np.ndarray:
        """Logits (n, K); for two classes the difference (n,), as scikit-learn wants it."""
        logits = self._logits(X)[:, : len(self.classes_)]
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    @property
    def predict_proba(self) -> Callable[[Rows], np.ndarray]:
        """Class probabilities (n, K); of a method that rejects rows, what is missing to 1 is that of `unknown_`.

        Of nearest neighbours they are a softmax of distances, whose temperature the source rows, moved as the method
        moves them and left out one by one, make likeliest. Methods whose scores are regressions or margins (MEDA, JDOT,
        EasyTL, classifier = "svm") have none, as with other classifiers of scikit-learn: AttributeError;
        `decision_function` is there.
        """
        try:
            algorithm = self._copy()
            if not _is_nearest(algorithm):
                algorithm.need_probabilities("predict_proba")
        except TypeError:  # no algorithm at all: fit says so
            return self._predict_proba
        except DalibError as error:
            raise AttributeError(f"{error}; decision_function and predict are there") from None
        return self._predict_proba

    def _predict_proba(self, X: Rows) -> np.ndarray:
        logits, algorithm = torch.as_tensor(self._logits(X)).double(), self._fitted().algorithm
        if _is_nearest(algorithm):
            known = dict(algorithm.named_buffers())
            logits = logits / nearest_temperature(known["classifier_rows"], known["classifier_labels"])
        p = logits.softmax(1)
        return p[:, : len(self.classes_)].numpy()

    def score(self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy on labelled rows, which are taken for rows of the target; a warning where they look like X of fit.

        cross_val_score and GridSearchCV score held-out rows of X by default: choose by `scoring=target_scorer(…)`.
        """
        check_is_fitted(self)
        if not self._moves_rows():
            warn_of_source_rows(self._rows(X), self._moments)
        return float(super().score(X, y, sample_weight))

    def predict(self, X: Rows) -> np.ndarray:
        """Labels (n,)."""
        winner, known = self._logits(X).argmax(1), len(self.classes_)
        labels = self.classes_[np.minimum(winner, known - 1)]
        if (winner < known).all():
            return labels
        wide = labels.astype(object) if labels.dtype.kind in "USO" else labels.astype(np.int64)
        wide[winner == known] = self.unknown_
        return np.asarray(wide)

    def _fitted(self) -> Fitted:
        check_is_fitted(self)
        return self.fitted_

    def _logits(self, X: Rows, mixed: bool = True) -> np.ndarray:
        check_is_fitted(self)
        x = self._rows(X)
        if mixed and self._moves_rows():
            warn_of_source_rows(x, self._moments)
        if self.standardise:
            x = scale_columns(x, self.moments_)
        return self.fitted_.outputs(self._domain("X", x, None)).logits.numpy()

    def _moves_rows(self) -> bool:
        """Source and target rows go different ways, so that the source's are wrong where the target's are meant."""
        cls, plain = type(self._fitted().algorithm), FeatureAlgorithm
        solved = issubclass(cls, plain)
        return self.standardise or (
            solved and any(getattr(cls, name) is not getattr(plain, name) for name in ("align", "project", "fit"))
        )

    def _rows(self, X: Rows, reset: bool = False) -> np.ndarray:
        if self.backbone is not None:
            read = read_rows(X, numbers=self.backbone in NUMBERS if isinstance(self.backbone, str) else False)
            if hasattr(X, "columns") or (read.ndim == 2 and read.dtype.kind == "f"):
                validate_data(self, X if hasattr(X, "columns") else read, skip_check_array=True, reset=reset)
            if reset and not len(read):
                raise ValueError("X has no rows; a classifier needs some of at least 2 classes")
            if reset:
                self._modalities = read.dtype.names or ()
            return order_modalities(read, self._modalities)
        x: np.ndarray = validate_data(self, plain_table(_off_graph(X)), dtype=np.float32, reset=False)
        return x

    def _build(self, x_s: np.ndarray, x_t: np.ndarray, seed: int) -> Backbone:
        given = self.backbone
        if given is None or given == "identity":
            if x_s.ndim != 2:
                raise ValueError(f"identity passes features (n, d) as they are; rows are {x_s.shape[1:]}")
            return identity(x_s.shape[1])
        if isinstance(given, nn.Module):
            return Backbone.of(copy.deepcopy(given), x_s)
        if isinstance(given, Backbone):
            made = copy.deepcopy(given)
        else:
            if not takes_rows(given):
                check_images(x_s, x_t)
            how: dict[str, Any] = {"rows": row_shape(x_s, x_t)} if takes_rows(given) else {}
            made = load_backbone(given, own_weights(given), seed=seed, **how)
        if made.preprocess:
            check_images(x_s, x_t)
            prepare = made.preprocess.of_side(x_s.shape[-1])
            if prepare != made.preprocess:
                check_crop(made, prepare.crop, "side of the images")
            made = replace(made, preprocess=prepare)
        return made

    def _trainer(self, seed: int, backbone: Backbone) -> Trainer:
        recipe = fill_recipe({}, type(self._copy()), backbone.name, backbone.weights, backbone.frozen)
        return Trainer(read_recipe(self.train, recipe), seed=seed, device=self.device)

    def _copy(self) -> Algorithm:
        given = self.algorithm
        if given is None:
            given = "source_only"
        if isinstance(given, str):
            made: Algorithm = ALGORITHMS.get(given)()
            return made
        if isinstance(given, type) and issubclass(given, Algorithm):
            raise TypeError(f"algorithm is the class {given.__name__}; pass an instance, {given.__name__}()")
        if not isinstance(given, Algorithm):
            raise TypeError(f"algorithm = {given!r} is no Algorithm; pass one, such as DANN(), or its name, 'dann'")
        return type(given)(**given.hparams)

    def _name_unknown(self) -> Any:
        """What rows of no known class are called: `unknown`, or for numbers -1, or one less than the least."""
        if self.classes_.dtype.kind in "USO":
            return name_unknown(self.classes_.astype(str).tolist())
        return min(-1, int(np.floor(self.classes_.astype(float).min())) - 1)

    def _warn_of_underfitting(self, x_s: np.ndarray, labels: np.ndarray) -> None:
        """The default recipe is short: a word where it has not even learnt the source."""
        algorithm = self.fitted_.algorithm
        if self.train is not None or isinstance(algorithm, FeatureAlgorithm) or len(x_s) > MANY:
            return
        guess = self.fitted_.outputs(self._domain("X", x_s, None)).logits.numpy().argmax(1)
        right = float((guess == labels).mean())
        if right < 0.8:
            warnings.warn(
                f"after the default {self.fitted_.config.steps} steps {right:.0%} of X's own rows are right; give more "
                "(train={'steps': 5000}), scale the columns (standardise=True) or take a method that is solved, "
                "such as LinearProbe() or CORAL()",
                UserWarning,
                stacklevel=3,
            )

    def _domain(self, name: str, x: np.ndarray, y: np.ndarray | None) -> Domain:
        x = np.ascontiguousarray(x)
        content = "array" if self.backbone is None else hashlib.sha256(x.tobytes()).hexdigest()
        return Domain(name, x, y, tuple(map(str, self.classes_)), content)

    def _task(self, X: np.ndarray, labels: np.ndarray, target: np.ndarray) -> Task:
        source = self._domain("source", X, labels.astype(np.int64))
        blind = self._domain("target", target, None)
        return Task("source->target", source, blind, source.take(np.arange(0), "none"), blind)


def target_scorer(X_target: Rows, validator: str = "information_maximisation") -> Callable[..., float]:
    """For `scoring` of GridSearchCV and cross_val_score: a validator's score on unlabelled target rows.

    Args
        X_target: rows of the target, as `fit` takes them
        validator: name of a validator (`dalib list validators`) that needs no features

    The default reads probabilities, and so do entropy, bnm, snd and rank_me: methods that give none (MEDA, JDOT,
    EasyTL, nearest neighbours) are refused.

    Example
        GridSearchCV(AdaptationClassifier(CORAL()), {"algorithm__reg": [0.1, 1.0]}, scoring=target_scorer(X_t))
    """

    chosen = VALIDATORS.get(validator)()

    def score(estimator: AdaptationClassifier, X: Rows, y: ArrayLike | None = None) -> float:
        if chosen.uses_probabilities:
            estimator._fitted().algorithm.need_probabilities(f"target_scorer(validator='{validator}')")
        held = torch.as_tensor(estimator._logits(X, mixed=False))
        labels = None if y is None else torch.as_tensor(np.searchsorted(estimator.classes_, np.asarray(y)))
        target = torch.as_tensor(estimator._logits(X_target))
        return float(chosen.score(Outputs(held, held, labels), Outputs(target, target, None)))

    return score


def _off_graph(x: Any) -> Any:
    """A tensor without its history, on the CPU, as arrays are made of; anything else as it is."""
    return x.detach().cpu() if isinstance(x, torch.Tensor) else x
