"""Suites whose true scores are known: accuracies of one method, seeds by tasks, drawn many times."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from dalib.report.statistics import Interval

KINDS = ("equal", "unequal", "skewed", "heavy", "failing", "shared")
"""Noise of a seed: normal with one spread; spreads from 0.2 to 4 points; gamma, long towards low; t with 3 degrees of
freedom; 5 % of the runs lose 20 points; normal with correlation 0.2 between the tasks of one seed."""


def simulate(kind: str, runs: int, tasks: int, suites: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(suites, runs, tasks) scores and the (tasks,) true means, evenly between 0.5 and 0.9."""
    rng = np.random.default_rng([seed, runs, tasks, KINDS.index(kind)])
    means = rng.permutation(np.linspace(0.5, 0.9, tasks))
    spreads = rng.permutation(np.geomspace(0.2, 4.0, tasks))
    shape = (suites, runs, tasks)
    normal = 0.01 * rng.standard_normal(shape)
    if kind == "unequal":
        return means + spreads * normal, means
    if kind == "skewed":
        return means + 0.01 * (2 - rng.gamma(2.0, 1.0, shape)), means
    if kind == "heavy":
        return means + 0.01 * rng.standard_t(3, shape), means
    if kind == "failing":
        return means + normal - 0.2 * (rng.random(shape) < 0.05) + 0.01, means
    if kind == "shared":
        return means + np.sqrt(0.8) * normal + np.sqrt(0.2) * 0.01 * rng.standard_normal((suites, runs, 1)), means
    return means + normal, means


def truth(kind: str, runs: int, tasks: int, statistic: Callable[[np.ndarray], np.ndarray]) -> float:
    """The statistic with so many seeds that nothing is left to chance."""
    rng = np.random.default_rng(1)
    scores, _ = simulate(kind, runs, tasks, 20_000)
    return float(statistic(rng.permuted(scores.reshape(-1, tasks), axis=0)))


def coverage(intervals: Iterator[Interval], true: float) -> float:
    return float(np.mean([interval.low <= true <= interval.high for interval in intervals]))
