"""The validators, which need no label of the target, as scikit-learn's scorers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils._metadata_requests import _MetadataRequester

from dalib.core.errors import DalibError
from dalib.core.registry import VALIDATORS
from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.data.given import Rows
from dalib.estimator.classifier import AdaptationClassifier
from dalib.estimator.domains import find_missing, read_domains


def make_scorer(validator: str = "information_maximisation") -> ValidatorScorer:
    """For `scoring` of GridSearchCV and cross_validate: a validator's score of a classifier.

    Rows to score are the target's; with sample_domain (which is routed to it) those of the source are the held-out
    rows that `dev`, `importance_weighted`, `circular`, `source_accuracy`, `coral_distance` and `mmd_distance` compare
    (DalibError without any). Labels of target rows are not looked at, but for the validator `oracle`.

    Args
        validator: its name (`dalib list validators`)

    Example
        GridSearchCV(AdaptationClassifier(CORAL()), {"algorithm__reg": [0.1, 1.0]}, scoring=make_scorer("ami"),
        cv=SourceTargetShuffleSplit(3)).fit(X, y, sample_domain=d)
    """
    return ValidatorScorer(validator)


class ValidatorScorer(_MetadataRequester):
    """What `make_scorer` makes: called with (estimator, X, y, sample_domain)."""

    __metadata_request__score = {"sample_domain": True}

    def __init__(self, validator: str) -> None:
        self.validator = validator
        self._chosen: Validator = VALIDATORS.get(validator)()

    def __repr__(self) -> str:
        return f"make_scorer({self.validator!r})"

    def score(self, estimator: Any, X: Any, y: Any = None, sample_domain: Any = None) -> float:
        """The same as a call; named so that scikit-learn finds what it asks for."""
        return self(estimator, X, y, sample_domain)

    def __call__(
        self, estimator: BaseEstimator, X: Any, y: ArrayLike | None = None, sample_domain: ArrayLike | None = None
    ) -> float:
        _check_probabilities(estimator, self._chosen, repr(self))
        if sample_domain is None:
            target, held = X, None
        else:
            is_target, _ = read_domains(sample_domain)
            if not is_target.any():
                raise DalibError(f"{self!r} has no row of the target to score; see the splitter's test rows")
            target = _safe_indexing(X, np.flatnonzero(is_target))
            held = None if is_target.all() else _safe_indexing(X, np.flatnonzero(~is_target))
        labels = None if y is None else np.asarray(y)
        of_target = labels if sample_domain is None or labels is None else labels[is_target]
        of_held = None if held is None or labels is None else labels[~is_target]
        there = find_outputs(estimator, target, of_target if self._chosen.uses_target_labels else None)
        here = Outputs(there.z[:0], there.logits[:0], torch.zeros(0, dtype=torch.int64))
        if held is not None:
            here = find_outputs(estimator, held, of_held)
        score = float(self._chosen.score(here, there))
        if held is None and math.isnan(score):
            raise DalibError(
                f"{self!r} is nan of the {len(there.z)} target rows alone: those that compare held-out source rows "
                "want cv = SourceTargetShuffleSplit(test='both') and sample_domain"
            )
        return score


def target_scorer(X_target: Rows, validator: str = "information_maximisation") -> Callable[..., float]:
    """For `scoring` of GridSearchCV and cross_val_score: a validator's score on unlabelled target rows.

    Args
        X_target: rows of the target, as `fit` takes them
        validator: name of a validator (`dalib list validators`)

    The default reads probabilities, and so do entropy, bnm, snd and rank_me: methods that give none (MEDA, JDOT,
    EasyTL, nearest neighbours) are refused. `make_scorer` is for tables with `sample_domain`.

    Example
        GridSearchCV(AdaptationClassifier(CORAL()), {"algorithm__reg": [0.1, 1.0]}, scoring=target_scorer(X_t))
    """
    chosen: Validator = VALIDATORS.get(validator)()

    def score(estimator: BaseEstimator, X: Rows, y: ArrayLike | None = None) -> float:
        _check_probabilities(estimator, chosen, f"target_scorer(validator='{validator}')")
        return float(chosen.score(find_outputs(estimator, X, y), find_outputs(estimator, X_target, None)))

    return score


def _check_probabilities(estimator: Any, chosen: Validator, asked: str) -> None:
    if not chosen.uses_probabilities:
        return
    if isinstance(estimator, AdaptationClassifier) and estimator.estimator is None:
        estimator._fitted().algorithm.need_probabilities(asked)
    elif not hasattr(estimator, "predict_proba"):
        raise DalibError(f"{asked} needs probabilities, and {type(estimator).__name__} gives none")


def find_outputs(estimator: Any, X: Any, y: ArrayLike | None) -> Outputs:
    """Features and logits of rows, which are taken for the target's, by any classifier.

    Features are the network's, those that the last step of a Pipeline sees, or the rows as they are.
    """
    labels = None
    if y is not None and not find_missing(np.asarray(y)).any():
        places = {label: i for i, label in enumerate(estimator.classes_.tolist())}
        labels = torch.as_tensor([places.get(label, len(places)) for label in np.asarray(y).tolist()])
    if isinstance(estimator, AdaptationClassifier) and estimator.estimator is None:
        made = estimator._outputs(X)
        return Outputs(made.z, made.logits[:, : len(estimator.classes_)], labels)
    if isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            return find_outputs(estimator[-1], estimator[:-1].transform(X), y)
        return find_outputs(estimator[-1], X, y)
    if isinstance(estimator, AdaptationClassifier):
        X, estimator = estimator._behind(X), estimator.estimator_
    z = torch.as_tensor(np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float32))
    return Outputs(z, torch.as_tensor(_logits(estimator, X), dtype=torch.float32), labels)


def _logits(estimator: Any, X: Any) -> np.ndarray:
    """log p where there are probabilities, else the decision function, else one for the class predicted."""
    if hasattr(estimator, "predict_proba"):
        return np.log(np.clip(estimator.predict_proba(X), 1e-12, None))
    if hasattr(estimator, "decision_function"):
        score = np.asarray(estimator.decision_function(X))
        return np.stack([-score, score], 1) / 2 if score.ndim == 1 else score
    return (np.asarray(estimator.predict(X))[:, None] == estimator.classes_).astype(float)
