"""How often a run of one method beats a run of another on the same task."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from dalib.report.statistics.intervals import LEVEL, UNKNOWN, Interval
from dalib.report.statistics.scores import DECIMALS, check_pair


class Improvement(NamedTuple):
    """probability: in [0, 1], 0.5 for equal methods."""

    probability: float
    interval: Interval


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> Improvement:
    """P(X > Y) + P(X = Y) / 2 for a run of x and a run of y on the same task, averaged over tasks; with its interval.

    Per task this is Mann and Whitney's U / (n m). The 95 % interval is every p with |estimate - p| <= z sqrt(V(p) / T),
    V(p) = (p (1 - p) + k (p / (2 - p) - p^2) + k (2 p^2 / (1 + p) - p^2)) / (n m),  k = (n + m) / 2 - 1
    and stays honest where all runs of x win: bootstrapped seeds would then give the interval [1, 1]. It treats tasks as
    equally hard to win, which only makes it wider when they are not.

    Args
        x: (num_runs, num_tasks)
        y: (num_runs_y, num_tasks); nan ends where both have one run
    Raises DalibError for scores that are not 2-d and finite or have different tasks.
    Reference
        Agarwal et al. (NeurIPS 2021, arXiv:2108.13264) for the average over tasks. Newcombe. Confidence Intervals for
        an Effect Size Measure Based on the Mann-Whitney Statistic, Part 2. Statistics in Medicine 2006 (method 5) for
        V; the sum over tasks is ours.
    """
    x, y = check_pair(x, y)
    gap = (x[:, None] - y[None]).round(DECIMALS)
    estimate = float(((gap > 0) + 0.5 * (gap == 0)).mean())
    if len(x) == len(y) == 1:
        return Improvement(estimate, UNKNOWN)
    p = np.linspace(0, 1, 4001)
    k = (len(x) + len(y)) / 2 - 1
    variance = (p * (1 - p) + k * (p / (2 - p) - p**2) + k * (2 * p**2 / (1 + p) - p**2)) / (len(x) * len(y))
    inside = p[(p - estimate) ** 2 <= ndtri((1 + LEVEL) / 2) ** 2 * variance / x.shape[1]]
    low, high = (float(inside.min()), float(inside.max())) if len(inside) else (estimate, estimate)
    return Improvement(estimate, Interval(min(low, estimate), max(high, estimate)))
