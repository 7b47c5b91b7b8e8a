"""Boosting that forgets source rows which the target's labels contradict."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.utils import _safe_indexing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from dalib.core.errors import DalibError
from dalib.estimator.labelled import LabelledEstimator, LabelledRows
from dalib.estimator.mapping import find_weighted, fit_weighted, say_bare

LEAST = 1e-10
"""An error of 0 counts as this, so that its vote is finite."""


class TrAdaBoost(ClassifierMixin, LabelledEstimator):
    """Any classifier boosted on source rows and a few labelled target rows.

    Round t of N fits h_t with the weights w, scaled to mean 1, and moves them by its mistakes e_i in {0, 1}:

    e_t = sum of w_i e_i over target rows / their sum of w,  b_t = e_t / (1 - e_t),  b = 1 / (1 + sqrt(2 ln n_s / N))
    source rows: w_i <- w_i b^e_i;  target rows: w_i <- w_i b_t^(-e_i)

    The answer is the class of the most votes log(1 / b_t) of the last half of the rounds, t >= N / 2 counted from 1.

    Args
        estimator: any classifier that takes sample_weight; it is cloned for every round
        n_estimators: N
        target_labels: labels of target rows in y: `use` learns from them; None: those of rows that have one are used
            where others are marked -1, and refused where every target row has one
        random_state: unused; that of the estimator counts

    Attributes
        estimators_, errors_ (rounds,) on the target, votes_ (rounds,), weights_ (n_s,) of the source rows after the
        last round, of mean 1, classes_

    Without anything said of a target it is the estimator itself, fitted once.

    Reference
        Dai et al. Boosting for Transfer Learning. ICML 2007. Departures: an error of 1/2 or more, which the paper rules
        out, counts as 1/2 (no vote, target weights stay) while source rows go on losing weight, and one of 0 as 1e-10;
        more than two classes vote as in AdaBoost.M1.

    Example
        TrAdaBoost(LogisticRegression()).fit(X_s, y_s, X_few, y_few).predict(X_t)
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        n_estimators: int = 50,
        target_labels: str | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.target_labels = target_labels
        self.random_state = random_state

    def _learn(self, given: LabelledRows) -> None:
        if not is_classifier(self.estimator):
            raise DalibError(f"TrAdaBoost boosts classifiers, and {type(self.estimator).__name__} is none")
        find_weighted(self.estimator)
        if not isinstance(self.n_estimators, int | np.integer) or self.n_estimators < 1:
            raise ValueError(f"n_estimators = {self.n_estimators!r} is out of range; give a whole number >= 1")
        if not given.bare and not given.own.any():
            raise DalibError(
                "TrAdaBoost learns from labelled rows of the target, and there are none: give y_target, or y other "
                "than -1 for some; without any use WeightedEstimator('kmm', …)"
            )
        if given.bare:
            say_bare("TrAdaBoost", f"{type(self.estimator).__name__} fitted once")
        check_classification_targets(given.y)
        y, own, rounds = given.y, given.own, int(self.n_estimators)
        self.classes_ = np.unique(y)
        weight, n_s = given.weight / max(given.weight.sum(), LEAST), int((~own).sum())
        b = 1 / (1 + np.sqrt(2 * np.log(n_s) / rounds))
        self.estimators_: list[Any] = []
        errors = []
        for _ in range(rounds if own.any() else 1):
            made = self._fit_round(given.X, y, weight)
            self.estimators_.append(made)
            wrong = (np.asarray(made.predict(given.X)) != y).astype(float)
            part = weight[own].sum()
            error = float((weight * wrong)[own].sum() / part) if part > 0 else 0.0
            errors.append(error)
            held = min(max(error, LEAST), 0.5)
            weight = weight * np.where(own, ((1 - held) / held) ** wrong, b**wrong)
            weight = weight / weight.sum()
        self.errors_ = np.array(errors)
        held = np.clip(self.errors_, LEAST, 0.5)
        self.votes_ = np.log((1 - held) / held)
        self.weights_ = weight[~own] / max(weight[~own].mean(), np.finfo(float).tiny)

    def _fit_round(self, X: Any, y: np.ndarray, weight: np.ndarray) -> Any:
        keep = np.flatnonzero(weight > 0)
        if len(keep) < len(weight):
            X, y, weight = _safe_indexing(X, keep), y[keep], weight[keep]
        scaled = weight / weight.mean()
        return fit_weighted(clone(self.estimator), X, y, np.ones(len(y)) if np.ptp(weight) == 0 else scaled)

    def decision_function(self, X: Any) -> np.ndarray:
        """Votes of the last half of the rounds (n, K), of sum 1; for two classes the second's less the first's (n,)."""
        votes = self.predict_proba(X)
        return votes[:, 1] - votes[:, 0] if votes.shape[1] == 2 else votes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Votes (n, K) of the last half of the rounds, of sum 1; they are shares of votes, not calibrated."""
        check_is_fitted(self, "estimators_")
        rows = self._rows(X, reset=False)
        last = slice((len(self.estimators_) + 1) // 2 - 1, None)
        votes = self.votes_[last] if self.votes_[last].any() else np.ones(len(self.votes_[last]))
        shares = np.zeros((len(rows) if not hasattr(rows, "tocsr") else rows.shape[0], len(self.classes_)))
        for made, vote in zip(self.estimators_[last], votes, strict=True):
            shares[np.arange(len(shares)), np.searchsorted(self.classes_, made.predict(rows))] += vote
        return shares / votes.sum()

    def predict(self, X: Any) -> np.ndarray:
        """Labels (n,); of equal votes the class that sorts last, as in the paper."""
        shares = self.predict_proba(X)
        return np.asarray(self.classes_[shares.shape[1] - 1 - shares[:, ::-1].argmax(1)])

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy."""
        return float(super().score(X, y, sample_weight))
