"""On simulated suites the intervals cover the truth, and what is called a difference is rarely none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from dalib.report.statistics import (
    difference_interval,
    friedman,
    holm,
    iqm,
    mean_interval,
    probability_of_improvement,
    stratified_bootstrap,
    wilcoxon_exact,
)
from tests.support.simulated_suites import coverage, simulate, truth

SIZES = [pytest.param(n, t, marks=[] if n == 3 else [pytest.mark.slow]) for n in (3, 5, 10) for t in (6, 12)]


@pytest.mark.parametrize(("n", "tasks"), SIZES)
@pytest.mark.parametrize("kind", ["equal", "unequal", "skewed", "heavy"])
def test_the_interval_of_the_mean_covers(kind: str, n: int, tasks: int) -> None:
    suites, means = simulate(kind, n, tasks, 1500)
    assert 0.93 <= coverage((mean_interval(scores) for scores in suites), means.mean()) <= 0.985


@pytest.mark.parametrize(("n", "tasks"), SIZES)
def test_the_bootstrap_of_the_interquartile_mean_covers(n: int, tasks: int) -> None:
    suites, _ = simulate("equal", n, tasks, 600)
    true = truth("equal", n, tasks, iqm)
    assert 0.92 <= coverage((stratified_bootstrap(s, iqm, 400, i) for i, s in enumerate(suites)), true) <= 0.98


@pytest.mark.parametrize(("n", "tasks"), SIZES)
def test_seeds_that_are_lucky_everywhere_need_the_interval_over_seed_averages(n: int, tasks: int) -> None:
    suites, means = simulate("shared", n, tasks, 1000)
    averages = suites.mean(axis=2, keepdims=True)
    assert coverage((mean_interval(scores) for scores in suites), means.mean()) < 0.92
    assert 0.93 <= coverage((mean_interval(scores) for scores in averages), means.mean()) <= 0.97


@pytest.mark.parametrize(("n", "tasks"), SIZES)
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0, 3.0])
def test_the_interval_of_the_probability_of_improvement_covers(shift: float, n: int, tasks: int) -> None:
    noise = np.random.default_rng([n, tasks, int(shift)]).standard_normal((600, 2, n, tasks))
    found = (probability_of_improvement(x + shift, y).interval for x, y in noise)
    assert coverage(found, float(norm.cdf(shift / np.sqrt(2)))) >= 0.93


@pytest.mark.parametrize("runs", [(3, 3), (3, 5)])
@pytest.mark.parametrize("kind", ["equal", "unequal"])
def test_equal_methods_are_called_better_or_harmful_in_one_of_forty_cases_each(
    kind: str, runs: tuple[int, int]
) -> None:
    first, means = simulate(kind, runs[0], 6, 2000, seed=1)
    second, other = simulate(kind, runs[1], 6, 2000, seed=2)
    found = [difference_interval(x - means, y - other) for x, y in zip(first, second, strict=True)]
    assert 0.01 <= np.mean([interval.above_zero for interval in found]) <= 0.035
    assert 0.01 <= np.mean([interval.below_zero for interval in found]) <= 0.035


def test_wilcoxon_rejects_no_more_often_than_it_says() -> None:
    gaps = np.random.default_rng(0).normal(size=(3000, 6))
    p = np.array([wilcoxon_exact(gap, np.zeros(6)).p for gap in gaps])
    for level in (0.03125, 0.0625, 0.25):
        assert np.mean(p <= level) == pytest.approx(level, abs=4 * np.sqrt(level / len(p)))


def test_after_holm_a_table_of_equal_methods_has_a_false_claim_in_one_of_twenty_cases_at_most() -> None:
    tables = np.random.default_rng(1).normal(size=(400, 5, 12))
    claims = [min(holm([wilcoxon_exact(row, table[0]).p for row in table[1:]])) <= 0.05 for table in tables]
    assert 0 < np.mean(claims) <= 0.05 + 3 * np.sqrt(0.05 / len(claims))


def test_friedman_rejects_equal_methods_as_often_as_it_says() -> None:
    p = np.array([friedman(matrix).p for matrix in np.random.default_rng(2).normal(size=(500, 6, 3))])
    for level in np.unique(p):
        assert np.mean(p <= level) == pytest.approx(level, abs=4 * np.sqrt(level / len(p)))
