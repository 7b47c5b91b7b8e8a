"""The scikit-learn face of the same algorithms: arrays in, labels out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.types import Domain, Task
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer


class AdaptationClassifier(ClassifierMixin, BaseEstimator):
    """Any algorithm as a scikit-learn classifier on feature arrays.

    Args
        algorithm: an Algorithm; it is copied, never changed. None = SourceOnly()
        train: TrainConfig, a dictionary of its fields, or None = 300 steps of the default recipe
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
        train: TrainConfig | dict[str, Any] | None = None,
        standardise: bool = False,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
    ) -> None:
        self.algorithm = algorithm
        self.train = train
        self.standardise = standardise
        self.random_state = random_state
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, X_target: ArrayLike | None = None) -> AdaptationClassifier:
        """X (n_s, d) labelled by y (n_s,); X_target (n_t, d) unlabelled, None = X itself (no shift)."""
        x_s: np.ndarray
        x_s, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds 1 class ({self.classes_[0]!r}); a classifier needs at least 2")
        x_t = x_s if X_target is None else validate_data(self, X_target, dtype=np.float32, reset=False)
        if self.standardise:
            self.moments_ = _moments(x_t)
            x_s, x_t = _scale(x_s, _moments(x_s)), _scale(x_t, self.moments_)
        self.fitted_ = self._trainer().fit(self._copy(), self._task(x_s, labels, x_t), identity(x_s.shape[1]))
        return self

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Logits (n, K); for two classes the difference (n,), as scikit-learn wants it."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Class probabilities (n, K)."""
        return torch.as_tensor(self._logits(X)).double().softmax(1).numpy()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Labels (n,)."""
        winner = self._logits(X).argmax(1)
        return self.classes_[winner]

    def _logits(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        x: np.ndarray = validate_data(self, X, dtype=np.float32, reset=False)
        if self.standardise:
            x = _scale(x, self.moments_)
        return self.fitted_.outputs(self._domain("X", x, None)).logits.numpy()

    def _trainer(self) -> Trainer:
        config = TrainConfig(steps=300) if self.train is None else TrainConfig.model_validate(self.train)
        given = self.random_state
        if given is None:
            seed = int(np.random.default_rng().integers(2**31))
        else:
            seed = given.randint(2**31) if isinstance(given, np.random.RandomState) else int(given)
        return Trainer(config, seed=seed, device=self.device)

    def _copy(self) -> Algorithm:
        from dalib.core.registry import ALGORITHMS

        return type(self.algorithm)(**self.algorithm.hparams) if self.algorithm else ALGORITHMS.get("source_only")()

    def _domain(self, name: str, x: np.ndarray, y: np.ndarray | None) -> Domain:
        return Domain(name, np.ascontiguousarray(x), y, tuple(map(str, self.classes_)), "array")

    def _task(self, X: np.ndarray, labels: np.ndarray, target: np.ndarray) -> Task:
        source = self._domain("source", X, labels.astype(np.int64))
        blind = self._domain("target", target, None)
        return Task("source->target", source, blind, source.take(np.arange(0), "none"), blind)


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; 1 for a constant one."""
    std = x.std(0)
    return x.mean(0), np.where(std > 0, std, 1)


def _scale(x: np.ndarray, moments: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return (x - moments[0]) / moments[1]
