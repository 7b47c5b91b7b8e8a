"""How far apart two average ranks must be before they differ, and which methods are then not told apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import studentized_range

from dalib.core.errors import DalibError


def nemenyi_critical_difference(k: int, n: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of average ranks, q sqrt(k (k + 1) / (6 n)), q = studentised range / sqrt(2).

    Args
        k: methods, >= 2
        n: tasks, >= 1; the formula is a large-n one
        alpha: family-wise level, in (0, 1)
    Raises DalibError outside these ranges.
    Reference
        Demsar. Statistical Comparisons of Classifiers over Multiple Data Sets. JMLR 2006.
    """
    if k < 2 or n < 1 or not 0 < alpha < 1:
        raise DalibError(f"k = {k}, n = {n}, alpha = {alpha}; needs k >= 2, n >= 1 and alpha in (0, 1)")
    q = studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * n)))


def cliques(ranks: Mapping[str, float], cd: float) -> list[tuple[str, ...]]:
    """Maximal groups of two or more methods whose average ranks lie less than `cd` apart, best first.

    Args
        ranks: method -> average rank, 1 = best
        cd: critical difference, > 0
    Raises DalibError for a cd that is not positive or a rank that is not finite.
    """
    if not cd > 0:
        raise DalibError(f"cd = {cd}; must be > 0")
    if not all(np.isfinite(rank) for rank in ranks.values()):
        raise DalibError("a rank is not finite; leave incomplete methods out of the diagram")
    names = sorted(ranks, key=lambda name: ranks[name])
    maximal: list[tuple[str, ...]] = []
    reached = 0
    for start, first in enumerate(names):
        stop = start + sum(ranks[name] - ranks[first] < cd for name in names[start:])
        if stop > max(reached, start + 1):
            maximal.append(tuple(names[start:stop]))
        reached = max(reached, stop)
    return maximal
