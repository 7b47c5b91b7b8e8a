"""Precision, recall and F1 of one set of answers come from one call."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def macro_scores(y: np.ndarray, answer: np.ndarray) -> tuple[float, float, float]:
    """(precision, recall, F1), each the mean over the classes that occur in y; never predicted = precision 0.

    Shapes: y (n,), answer (n,) int
    """
    return _scores(y.astype(np.int64).tobytes(), answer.astype(np.int64).tobytes())


@lru_cache(maxsize=1)
def _scores(y_bytes: bytes, answer_bytes: bytes) -> tuple[float, float, float]:
    from sklearn.metrics import precision_recall_fscore_support

    y, answer = np.frombuffer(y_bytes, np.int64), np.frombuffer(answer_bytes, np.int64)
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, answer, labels=np.unique(y), average="macro", zero_division=0
    )
    return float(precision), float(recall), float(f1)
