"""Harmonic mean of the recall of known classes and of unknown ones."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._open import known_recall, unknown_recall


class HScore(Metric):
    """2 a b / (a + b) of a = known_accuracy and b = unknown_accuracy, in [0, 1]; 0 where both are.

    Reference
        Fu et al. Learning to Detect Open Classes for Universal Domain Adaptation. ECCV 2020.
        doi:10.1007/978-3-030-58555-6_34.
    """

    needs_unknown = True

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        inside, outside = known_recall(y, answer, known), unknown_recall(y, answer, known)
        total = inside + outside
        return 2 * inside * outside / total if total else 0.0
