"""95 % intervals over seeds, on tasks that are taken as they are.

The tasks are strata, not a sample: an interval says what other seeds would give on these tasks, and nothing about other
tasks. Seeds are taken as independent between tasks. Coverage as measured is in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from dalib.core.errors import DalibError
from dalib.report.statistics.scores import NOTHING, Floats, check_pair, check_scores

LEVEL = 0.95
_UPPER = (1 + LEVEL) / 2


class Interval(NamedTuple):
    """Both ends; nan where one seed gives no interval. What is within 1e-10 of 0 is 0: means differ by rounding."""

    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        return self.low > NOTHING

    @property
    def below_zero(self) -> bool:
        return self.high < -NOTHING

    def is_better(self, sign: int = 1) -> bool:
        """An interval of a difference: all of it is an advantage; sign: -1 where lower is better."""
        return self.above_zero if sign > 0 else self.below_zero

    def is_worse(self, sign: int = 1) -> bool:
        return self.is_better(-sign)


UNKNOWN = Interval(float("nan"), float("nan"))


def mean_interval(scores: ArrayLike) -> Interval:
    """t interval of the mean over seeds and tasks, tasks fixed.

    mean +- t(df) se,  se^2 = sum_t v_t / (n T^2),  df = (n - 1) (sum_t v_t)^2 / sum_t v_t^2
    where v_t is the variance of task t over its n seeds (ddof 1). Not clipped to [0, 1].
    Where a seed is lucky on all tasks at once this is too narrow; `scores.mean(axis=1, keepdims=True)` gives the wider
    interval over the seeds' averages, which assumes nothing of the kind.

    Args
        scores: (num_runs, num_tasks); nan ends for one run
    Raises DalibError for scores that are not 2-d and finite.
    Reference
        Satterthwaite. An Approximate Distribution of Estimates of Variance Components. Biometrics Bulletin 1946.
    """
    array = check_scores(scores)
    n, tasks = array.shape
    if n == 1:
        return UNKNOWN
    half = _quantile(array) * np.sqrt(array.var(axis=0, ddof=1).sum() / n) / tasks
    return Interval(float(array.mean() - half), float(array.mean() + half))


def difference_interval(x: ArrayLike, y: ArrayLike) -> Interval:
    """t interval of mean(x) - mean(y), tasks fixed; entirely below 0 means that x does harm on these tasks.

    With as many seeds in x as in y, row i of both is taken as one seed and the seeds' differences are what varies. That
    is valid for unrelated seeds too, and narrower where a seed fixes the split and the initial weights. Otherwise
    the variances of x and y add up (Welch).

    Args
        x: (num_runs, num_tasks)
        y: (num_runs_y, num_tasks), the baseline
    Raises DalibError for scores that are not 2-d and finite or have different tasks.
    """
    x, y = check_pair(x, y)
    if len(x) == len(y):
        return mean_interval(x - y)
    if min(len(x), len(y)) == 1:
        return UNKNOWN
    parts = np.concatenate([a.var(axis=0, ddof=1) / len(a) for a in (x, y)])
    freedom = np.concatenate([np.full(x.shape[1], len(a) - 1.0) for a in (x, y)])
    centre = x.mean() - y.mean()
    half = _t(parts, freedom) * np.sqrt(parts.sum()) / x.shape[1]
    return Interval(float(centre - half), float(centre + half))


def stratified_bootstrap(
    scores: ArrayLike, statistic: Callable[[Floats], Floats], reps: int = 5000, seed: int = 0
) -> Interval:
    """Bootstrap interval of `statistic`, seeds resampled within each task, widened for few seeds.

    theta + c (q - theta),  q the 2.5 % and 97.5 % percentiles,  c = sqrt(n / (n - 1)) t(df) / z
    with df as in `mean_interval`. The plain percentile interval (c = 1) covers 81-87 % for the mean of 3
    seeds: it takes the variance with ddof 0 and the normal quantile for the t. May end outside the statistic's range.

    Args
        scores: (num_runs, num_tasks); nan ends for one run
        statistic: (..., num_runs, num_tasks) -> (...), such as `iqm`
        reps: replicates, >= 100
        seed: of the resampling
    Raises DalibError for fewer replicates, and for scores that are not 2-d and finite.
    Reference
        Agarwal et al. (NeurIPS 2021, arXiv:2108.13264) for the stratified bootstrap; Hesterberg. What Teachers Should
        Know About the Bootstrap. The American Statistician 2015 for the size of the correction. Departures: the ends
        are moved rather than the percentile levels, and df is pooled over tasks rather than n - 1.
    """
    array = check_scores(scores)
    if reps < 100:
        raise DalibError(f"reps = {reps} is too few for a 95 % interval; use at least 100")
    n, tasks = array.shape
    if n == 1:
        return UNKNOWN
    drawn = np.random.default_rng(seed).integers(n, size=(reps, n, tasks))
    centre = statistic(array)
    ends = np.quantile(statistic(array[drawn, np.arange(tasks)]), [1 - _UPPER, _UPPER])
    low, high = centre + np.sqrt(n / (n - 1)) * _quantile(array) / ndtri(_UPPER) * (ends - centre)
    return Interval(float(low), float(high))


def _quantile(array: Floats) -> float:
    return _t(array.var(axis=0, ddof=1), np.full(array.shape[1], len(array) - 1.0))


def _t(parts: Floats, freedom: Floats) -> float:
    """The t quantile at Satterthwaite's degrees of freedom of the sum of `parts`; the smallest df where all are 0."""
    largest = parts.max()
    scaled = parts / largest if largest > 0 else np.ones(1)
    df = scaled.sum() ** 2 / (scaled**2 / freedom).sum() if largest > 0 else freedom.min()
    return float(stdtrit(df, _UPPER))
