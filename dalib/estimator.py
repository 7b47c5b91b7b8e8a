"""The scikit-learn face of the same algorithms: arrays in, labels out."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
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

from dalib.backbones import load_backbone, takes_rows
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone, identity
from dalib.core.rows import combine, row_shape
from dalib.core.types import Domain, Task
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer

Rows = ArrayLike | Mapping[str, ArrayLike]


class AdaptationClassifier(ClassifierMixin, BaseEstimator):
    """Any algorithm as a scikit-learn classifier on arrays: features, or whatever a backbone takes.

    Args
        algorithm: an Algorithm; it is copied, never changed. None = SourceOnly()
        backbone: what turns rows into features: the name of one that is built to fit (`mlp`, `cnn1d`,
            `text_transformer`, `modalities` …), a Backbone, or any module; it is copied, never changed. None: rows are
            features (n, d). With one, X may be time series (n, C, T), token ids (n, L), uint8 images (n, 3, R, R), or
            several modalities {name: array}
        train: TrainConfig, a dictionary of its fields, or None = 300 steps of the default recipe, a backbone without
            weights at the full learning rate
        standardise: subtract the mean and divide by the standard deviation, each domain by its own; rows to predict are
            taken for target rows, so they get those of the target seen in fit
        random_state: int, numpy RandomState or None (a fresh seed)
        device: `auto`, `cpu`, `cuda`

    Attributes
        classes_ (K,), n_features_in_, fitted_ (`Fitted`), moments_ (mean and deviation of the target, if standardised)

    Example
        AdaptationClassifier(DANN()).fit(X_s, y_s, X_t).predict(X_t)
    """

    def __init__(
        self,
        algorithm: Algorithm | None = None,
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
        if self.backbone is None:
            x_s, y = validate_data(self, X, y, dtype=np.float32)
        else:
            x_s, y = _read(X), column_or_1d(y)
            check_consistent_length(x_s, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds 1 class ({self.classes_[0]!r}); a classifier needs at least 2")
        x_t = x_s if X_target is None else self._rows(X_target)
        if self.standardise:
            if x_s.ndim != 2 or x_s.dtype.kind != "f":
                raise ValueError("standardise = True is for features (n, d); leave it out")
            self.moments_ = _moments(x_t)
            x_s, x_t = _scale(x_s, _moments(x_s)), _scale(x_t, self.moments_)
        seed = self._seed()
        backbone = self._build(x_s, x_t, seed)
        self.fitted_ = self._trainer(seed, backbone).fit(self._copy(), self._task(x_s, labels, x_t), backbone)
        return self

    def decision_function(self, X: Rows) -> np.ndarray:
        """Logits (n, K); for two classes the difference (n,), as scikit-learn wants it."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Rows) -> np.ndarray:
        """Class probabilities (n, K)."""
        return torch.as_tensor(self._logits(X)).double().softmax(1).numpy()

    def predict(self, X: Rows) -> np.ndarray:
        """Labels (n,)."""
        winner = self._logits(X).argmax(1)
        return self.classes_[winner]

    def _logits(self, X: Rows) -> np.ndarray:
        check_is_fitted(self)
        x = self._rows(X)
        if self.standardise:
            x = _scale(x, self.moments_)
        return self.fitted_.outputs(self._domain("X", x, None)).logits.numpy()

    def _rows(self, X: Rows) -> np.ndarray:
        if self.backbone is not None:
            return _read(X)
        x: np.ndarray = validate_data(self, X, dtype=np.float32, reset=False)
        return x

    def _build(self, x_s: np.ndarray, x_t: np.ndarray, seed: int) -> Backbone:
        given = self.backbone
        if given is None:
            return identity(x_s.shape[1])
        if isinstance(given, nn.Module):
            return Backbone.of(copy.deepcopy(given), x_s)
        if isinstance(given, Backbone):
            made = copy.deepcopy(given)
        else:
            how: dict[str, Any] = {"weights": "none", "rows": row_shape(x_s, x_t)} if takes_rows(given) else {}
            made = load_backbone(given, seed=seed, **how)
        if made.preprocess and x_s.ndim == 4:
            made = replace(made, preprocess=made.preprocess.of_side(x_s.shape[-1]))
        return made

    def _seed(self) -> int:
        given = self.random_state
        if given is None:
            return int(np.random.default_rng().integers(2**31))
        return given.randint(2**31) if isinstance(given, np.random.RandomState) else int(given)

    def _trainer(self, seed: int, backbone: Backbone) -> Trainer:
        config = TrainConfig(steps=300) if self.train is None else TrainConfig.model_validate(self.train)
        if self.train is None and self.backbone is not None and backbone.weights == "none":
            config = config.model_copy(update={"backbone_rate": 1.0})
        return Trainer(config, seed=seed, device=self.device)

    def _copy(self) -> Algorithm:
        from dalib.core.registry import ALGORITHMS

        return type(self.algorithm)(**self.algorithm.hparams) if self.algorithm else ALGORITHMS.get("source_only")()

    def _domain(self, name: str, x: np.ndarray, y: np.ndarray | None) -> Domain:
        x = np.ascontiguousarray(x)
        content = "array" if self.backbone is None else hashlib.sha256(x.tobytes()).hexdigest()
        return Domain(name, x, y, tuple(map(str, self.classes_)), content)

    def _task(self, X: np.ndarray, labels: np.ndarray, target: np.ndarray) -> Task:
        source = self._domain("source", X, labels.astype(np.int64))
        blind = self._domain("target", target, None)
        return Task("source->target", source, blind, source.take(np.arange(0), "none"), blind)


def _read(X: Rows) -> np.ndarray:
    """Rows (n, *S), or a structured array of several modalities; floats in float32, whole numbers as they are."""
    if isinstance(X, Mapping):
        return combine({name: _read(part) for name, part in X.items()})
    x = np.asarray(X)
    if x.dtype.names:
        return x
    if x.dtype.kind not in "iufb" or x.ndim < 2:
        raise ValueError(f"rows have shape {x.shape} and dtype {x.dtype}; give numbers, one row per sample, or a dict")
    x = x if x.dtype.kind in "iu" else x.astype(np.float32)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError("rows hold NaN or infinity; remove or fill them")
    return x


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; 1 for a constant one."""
    std = x.std(0)
    return x.mean(0), np.where(std > 0, std, 1)


def _scale(x: np.ndarray, moments: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return (x - moments[0]) / moments[1]
