"""Numbers of one candidate: accuracies, macro precision, recall and F1, per class, and every validator's score."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import numpy as np

from dalib.core.registry import VALIDATORS
from dalib.core.types import Outputs
from dalib.core.validator import Validator


def decide(logits: np.ndarray, known: int, reject: float = 1.0) -> np.ndarray:
    """Labels (n,): the largest logit. With `known` logits, rows of entropy above reject * log(known) get label `known`.

    Shapes: logits (n, known), or (n, known + 1) with unknown classes last, to which `reject` does not apply
    """
    guess = logits.argmax(1)
    if reject < 1 and logits.shape[1] == known:
        from scipy.special import entr, softmax

        doubtful = entr(softmax(logits.astype(float), axis=1)).sum(1) > reject * np.log(known)
        guess = np.where(doubtful, known, guess)
    return guess


def domain_metrics(outputs: Outputs, prefix: str, known: int, reject: float = 1.0) -> dict[str, float]:
    """`<prefix>_accuracy` and, over the classes that occur in y, `_macro_precision`, `_macro_recall`, `_macro_f1`.

    `_predicted_classes` and `_effective_classes` need no labels, see `spread`.
    All in [0, 1]; a class that is never predicted has precision 0. Empty for a domain without rows or labels.
    If y holds unknown classes (label `known`) also `_known_accuracy` (mean recall of the known classes, OS*),
    `_unknown_accuracy`, `_h_score` (their harmonic mean, Fu et al. 2020, doi:10.1007/978-3-030-58555-6_34) and
    `_unknown_auroc` (area under the ROC curve of unknown against known, by the probability of unknown or 1 - max p).
    """
    if outputs.y is None or not len(outputs.y):
        return {}
    from sklearn.metrics import precision_recall_fscore_support

    y, logits = outputs.y.numpy(), outputs.logits.numpy()
    guess = decide(logits, known, reject)
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, guess, labels=np.unique(y), average="macro", zero_division=0
    )
    found = {
        f"{prefix}_accuracy": float((y == guess).mean()),
        **{f"{prefix}_{k}": v for k, v in spread(guess, outputs.logits.shape[1]).items()},
        f"{prefix}_macro_precision": float(precision),
        f"{prefix}_macro_recall": float(recall),
        f"{prefix}_macro_f1": float(f1),
    }
    return found | ({f"{prefix}_{k}": v for k, v in _open_metrics(y, guess, logits, known).items()})


def spread(guess: np.ndarray, classes: int) -> dict[str, float]:
    """How many of the classes the predictions (n,) use, as a part of `classes`.

    `predicted_classes`: those predicted at all. `effective_classes`: exp of the entropy of the predictions' histogram;
    1 when all are predicted equally often, 1 / K when one takes everything.
    """
    share = np.unique(guess, return_counts=True)[1] / len(guess)
    effective = float(np.exp(-(share * np.log(share)).sum()))
    return {"predicted_classes": len(share) / classes, "effective_classes": effective / classes}


def _open_metrics(y: np.ndarray, guess: np.ndarray, logits: np.ndarray, known: int) -> dict[str, float]:
    foreign = y == known
    if not foreign.any() or foreign.all():
        return {}
    from scipy.special import softmax
    from sklearn.metrics import roc_auc_score

    p = softmax(logits.astype(float), axis=1)
    doubt = p[:, known] if logits.shape[1] > known else 1 - p.max(1)
    inside = float(np.mean([(guess[y == c] == c).mean() for c in np.unique(y[~foreign])]))
    outside = float((guess[foreign] == known).mean())
    both = inside + outside
    return {
        "known_accuracy": inside,
        "unknown_accuracy": outside,
        "h_score": 2 * inside * outside / both if both else 0.0,
        "unknown_auroc": float(roc_auc_score(foreign, doubt)),
    }


def class_metrics(
    outputs: Outputs, classes: tuple[str, ...], known: int, reject: float = 1.0
) -> dict[str, dict[str, float]]:
    """class -> {`target_precision`, `target_recall`, `target_f1`, `n`} for the classes that occur in y."""
    if outputs.y is None or not len(outputs.y):
        return {}
    from sklearn.metrics import precision_recall_fscore_support

    y, guess = outputs.y.numpy(), decide(outputs.logits.numpy(), known, reject)
    present = np.unique(y)
    columns = precision_recall_fscore_support(y, guess, labels=present, zero_division=0)
    names = ("target_precision", "target_recall", "target_f1", "n")
    return {
        classes[c]: {name: round(float(column[i]), 6) for name, column in zip(names, columns, strict=True)}
        for i, c in enumerate(present)
    }


@lru_cache(maxsize=1)
def _validators() -> dict[str, Validator]:
    return {name: VALIDATORS.get(name)() for name in VALIDATORS.names()}


def scores(
    validation: Outputs,
    target: Outputs,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    features: bool = True,
) -> dict[str, float]:
    """Every validator on one candidate; only the oracle is shown target labels. Not-applicable scores are left out.

    Args
        only: names to compute beside the oracle; None = all
        without: names to skip
        features: z is there; otherwise validators that read it are skipped
    """
    blind = Outputs(target.z, target.logits, None)
    found = {
        name: validator.score(validation, target if validator.uses_target_labels else blind)
        for name, validator in _validators().items()
        if name not in without
        and (only is None or name in only or name == "oracle")
        and (features or not validator.uses_features)
    }
    return {name: float(f"{value:.6g}") for name, value in found.items() if np.isfinite(value)}
