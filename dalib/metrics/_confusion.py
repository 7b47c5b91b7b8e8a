"""Which class every labelled pixel has, and which one it was given."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

IGNORE = 255


def confusion(y: np.ndarray, answer: np.ndarray, known: int) -> np.ndarray:
    """(K, K) int64: pixels of class i that were called j; those of y = 255 count nothing.

    Shapes: y, answer (n, H, W), whole numbers in any type; known = K, or 0 for the largest that occurs
    """
    y, answer = y.astype(np.uint8), answer.astype(np.uint8)
    return _count(y.tobytes(), answer.tobytes(), known).copy()


@lru_cache(maxsize=1)
def _count(y_bytes: bytes, answer_bytes: bytes, known: int) -> np.ndarray:
    y, answer = np.frombuffer(y_bytes, np.uint8), np.frombuffer(answer_bytes, np.uint8)
    told = y != IGNORE
    y, answer = y[told].astype(np.int64), answer[told].astype(np.int64)
    k = known or int(max(y.max(initial=0), answer.max(initial=0))) + 1
    return np.bincount(k * y + answer, minlength=k * k).reshape(k, k)


def overlap(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of each class (K,); nan for one that neither occurs nor is answered."""
    hits, union = counts.diagonal(), counts.sum(0) + counts.sum(1) - counts.diagonal()
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)
