"""Recall of known and of unknown classes, which several metrics are made of."""

from __future__ import annotations

import math

import numpy as np


def known_recall(y: np.ndarray, answer: np.ndarray, known: int) -> float:
    """Mean over the known classes that occur in y of their recall; nan without such rows. y, answer (n,) int."""
    classes = np.unique(y[y != known])
    return float(np.mean([(answer[y == c] == c).mean() for c in classes])) if len(classes) else math.nan


def unknown_recall(y: np.ndarray, answer: np.ndarray, known: int) -> float:
    """Part of the rows of no known class that are called unknown; nan without such rows. y, answer (n,) int."""
    foreign = y == known
    return float((answer[foreign] == known).mean()) if foreign.any() else math.nan
