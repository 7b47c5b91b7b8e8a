"""Every method against the baseline: the numbers of a comparison table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from dalib.core.errors import unknown
from dalib.report.statistics.aggregates import average_ranks, iqm, mean
from dalib.report.statistics.improvement import Improvement, probability_of_improvement
from dalib.report.statistics.intervals import (
    UNKNOWN,
    Interval,
    difference_interval,
    mean_interval,
    stratified_bootstrap,
)
from dalib.report.statistics.scores import Floats, check_methods
from dalib.report.statistics.tests_over_tasks import holm, smallest_p, wilcoxon_exact


@dataclass(frozen=True)
class Comparison:
    """One method. What refers to the baseline is nan in the baseline's own row; intervals are 95 %, nan for one seed.

    rank: average rank over tasks among all methods given, 1 = best
    improvement: how often a run beats a run of the baseline on the same task
    difference, difference_interval: mean minus the baseline's, in units of the score; tasks fixed, seeds vary
    p, p_holm: exact Wilcoxon test against the baseline over the tasks' means, and Holm's adjustment over all methods
    smallest_p: the least p that so many tasks allow, before adjustment (tasks on which the two are equal do not count);
        above 0.05 / (methods - 1) in all rows, no method can be significant after it
    higher_is_better: the direction that rank, improvement, `better` and `negative_transfer` go by
    """

    n_seeds: int
    n_tasks: int
    mean: float
    interval: Interval
    iqm: float
    iqm_interval: Interval
    rank: float
    improvement: Improvement
    difference: float
    difference_interval: Interval
    p: float
    p_holm: float
    smallest_p: float
    higher_is_better: bool = True

    @property
    def better(self) -> bool:
        """The difference interval lies on the better side of 0: wrong in 2.5 % of comparisons of equal methods, each on

        its own.
        """
        return self.difference_interval.is_better(1 if self.higher_is_better else -1)

    @property
    def negative_transfer(self) -> bool:
        """The difference interval lies on the worse side of 0; false where one seed gives no interval."""
        return self.difference_interval.is_worse(1 if self.higher_is_better else -1)


def compare(
    methods: Mapping[str, ArrayLike],
    baseline: str,
    reps: int = 5000,
    seed: int = 0,
    higher_is_better: bool = True,
) -> dict[str, Comparison]:
    """name -> Comparison, in the order given.

    Args
        methods: name -> scores (num_runs, num_tasks), column t the same task in all; row i is taken as the same seed
            in methods that have as many rows as the baseline
        baseline: one of the names; empty = none, and then what refers to it is nan in every row
        reps, seed: of the bootstrap of the interquartile mean
        higher_is_better: direction of the scores; means and differences stay as they are

    Raises
        DalibError: an unknown baseline, different tasks, or scores that are not finite
    """
    arrays = check_methods(methods)
    if baseline and baseline not in arrays:
        raise unknown("method", baseline, arrays)
    sign = 1 if higher_is_better else -1
    ranks = average_ranks({name: sign * array for name, array in arrays.items()})
    others = [name for name in arrays if baseline and name != baseline]
    base = arrays[baseline or next(iter(arrays))]
    tests = {name: wilcoxon_exact(arrays[name].mean(axis=0), base.mean(axis=0)) for name in others}
    adjusted = dict(zip(others, holm([tests[name].p for name in others]), strict=True))

    def row(name: str, scores: Floats) -> Comparison:
        against = name in others
        return Comparison(
            n_seeds=scores.shape[0],
            n_tasks=scores.shape[1],
            mean=float(mean(scores)),
            interval=mean_interval(scores),
            iqm=float(iqm(scores)),
            iqm_interval=stratified_bootstrap(scores, iqm, reps, seed),
            rank=ranks[name],
            improvement=probability_of_improvement(sign * scores, sign * base)
            if against
            else Improvement(math.nan, UNKNOWN),
            difference=float(scores.mean() - base.mean()) if against else math.nan,
            difference_interval=difference_interval(scores, base) if against else UNKNOWN,
            p=tests[name].p if against else math.nan,
            p_holm=adjusted.get(name, math.nan),
            smallest_p=smallest_p(tests[name].n_blocks if against else scores.shape[1]),
            higher_is_better=higher_is_better,
        )

    return {name: row(name, scores) for name, scores in arrays.items()}
