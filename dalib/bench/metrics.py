"""Numbers of one candidate: accuracies, macro precision, recall and F1, per class, and every validator's score."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dalib.core.registry import VALIDATORS
from dalib.core.types import Outputs
from dalib.core.validator import Validator


def domain_metrics(outputs: Outputs, prefix: str) -> dict[str, float]:
    """`<prefix>_accuracy` and, over the classes that occur in y, `_macro_precision`, `_macro_recall`, `_macro_f1`.

    All in [0, 1]; a class that is never predicted has precision 0. Empty for a domain without rows or labels.
    """
    if outputs.y is None or not len(outputs.y):
        return {}
    from sklearn.metrics import precision_recall_fscore_support

    y, guess = outputs.y.numpy(), outputs.logits.argmax(1).numpy()
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, guess, labels=np.unique(y), average="macro", zero_division=0
    )
    return {
        f"{prefix}_accuracy": float((y == guess).mean()),
        f"{prefix}_macro_precision": float(precision),
        f"{prefix}_macro_recall": float(recall),
        f"{prefix}_macro_f1": float(f1),
    }


def class_metrics(outputs: Outputs, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """class -> {`target_precision`, `target_recall`, `target_f1`, `n`} for the classes that occur in y."""
    if outputs.y is None or not len(outputs.y):
        return {}
    from sklearn.metrics import precision_recall_fscore_support

    y, guess = outputs.y.numpy(), outputs.logits.argmax(1).numpy()
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


def scores(validation: Outputs, target: Outputs) -> dict[str, float]:
    """Every validator on one candidate; only the oracle is shown target labels. Not-applicable scores are left out."""
    blind = Outputs(target.z, target.logits, None)
    found = {
        name: validator.score(validation, target if validator.uses_target_labels else blind)
        for name, validator in _validators().items()
    }
    return {name: round(value, 6) for name, value in found.items() if np.isfinite(value)}
