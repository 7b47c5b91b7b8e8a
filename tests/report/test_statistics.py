"""Statistics of comparison tables against hand computations, SciPy and brute force."""

from __future__ import annotations

import math
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from dalib.core.errors import DalibError
from dalib.report.statistics import (
    average_ranks,
    cliques,
    compare,
    diagram,
    difference_interval,
    draw_critical_difference,
    friedman,
    holm,
    iqm,
    mean,
    mean_interval,
    median,
    nemenyi_critical_difference,
    probability_of_improvement,
    smallest_p,
    stratified_bootstrap,
    wilcoxon_exact,
)

SCORES = np.array([[0.1, 0.5, 0.9, 0.7], [0.3, 0.6, 0.8, 0.5]])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_aggregates_agree_with_a_hand_computation() -> None:
    assert mean(SCORES) == pytest.approx(0.55)
    assert iqm(SCORES) == pytest.approx((0.5 + 0.5 + 0.6 + 0.7) / 4)
    assert median(SCORES) == pytest.approx((0.55 + 0.6) / 2)


@pytest.mark.parametrize("shape", [(1, 1), (3, 6), (5, 7), (2, 1)])
def test_the_interquartile_mean_is_scipys_trimmed_mean(shape: tuple[int, int], rng: np.random.Generator) -> None:
    scores = rng.random((4, *shape))
    assert iqm(scores) == pytest.approx([stats.trim_mean(one, 0.25, axis=None) for one in scores], abs=1e-14)


def test_average_ranks_share_ties_even_when_rounding_differs() -> None:
    first = np.array([[0.1 + 0.2, 0.9, 0.5]])
    second = np.array([[0.3, 0.8, 0.6], [0.3, 0.8, 0.6]])
    third = np.array([[0.1, 0.7, 0.7]])
    ranks = average_ranks({"a": first, "b": second, "c": third})
    assert ranks == pytest.approx({"a": (1.5 + 1 + 3) / 3, "b": (1.5 + 2 + 2) / 3, "c": (3 + 3 + 1) / 3})


def test_on_one_task_the_intervals_are_the_textbook_t_intervals(rng: np.random.Generator) -> None:
    x, y, z = rng.normal(size=(5, 1)), rng.normal(size=(5, 1)), rng.normal(size=(3, 1))
    one = stats.ttest_1samp(x[:, 0], 0).confidence_interval(0.95)
    paired = stats.ttest_rel(x[:, 0], y[:, 0]).confidence_interval(0.95)
    welch = stats.ttest_ind(x[:, 0], z[:, 0], equal_var=False).confidence_interval(0.95)
    assert mean_interval(x) == pytest.approx((one.low, one.high), abs=1e-10)
    assert difference_interval(x, y) == pytest.approx((paired.low, paired.high), abs=1e-10)
    assert difference_interval(x, z) == pytest.approx((welch.low, welch.high), abs=1e-10)


def test_tasks_are_strata_so_their_difficulty_does_not_widen_the_interval() -> None:
    scores = np.array([[0.90, 0.30], [0.92, 0.34], [0.94, 0.35]])
    variances = [np.var(column, ddof=1) for column in scores.T]
    df = 2 * sum(variances) ** 2 / sum(v**2 for v in variances)
    half = stats.t.ppf(0.975, df) * math.sqrt(sum(variances) / 3) / 2
    assert mean_interval(scores) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=1e-12)
    assert mean_interval(scores + np.array([0.0, 0.6])) == pytest.approx(np.add(mean_interval(scores), 0.3), abs=1e-12)


@pytest.mark.parametrize("shape", [(3, 6), (10, 12)])
def test_the_bootstrap_of_the_mean_agrees_with_the_t_interval(shape: tuple[int, int], rng: np.random.Generator) -> None:
    scores = rng.normal(size=shape)
    expected = mean_interval(scores)
    found = stratified_bootstrap(scores, mean, reps=20_000)
    assert found == pytest.approx(expected, abs=0.04 * (expected.high - expected.low))


def test_the_bootstrap_repeats_itself_and_depends_on_its_seed(rng: np.random.Generator) -> None:
    scores = rng.random((3, 6))
    assert stratified_bootstrap(scores, iqm, 500, 1) == stratified_bootstrap(scores, iqm, 500, 1)
    assert stratified_bootstrap(scores, iqm, 500, 1) != stratified_bootstrap(scores, iqm, 500, 2)


def test_one_seed_has_no_interval_and_a_deterministic_method_has_a_point() -> None:
    one, same = np.array([[0.4, 0.6]]), np.tile([[0.4, 0.7]], (3, 1))
    found = (mean_interval(one), difference_interval(one, same), stratified_bootstrap(one, iqm))
    assert np.isnan(found).all()
    assert not difference_interval(one, same).below_zero
    assert mean_interval(same) == pytest.approx((0.55, 0.55))
    assert stratified_bootstrap(same, iqm) == pytest.approx((0.55, 0.55))
    assert difference_interval(same - 0.1, same).below_zero


def test_methods_of_one_mean_are_told_apart_by_no_rounding() -> None:
    """0.7 + 0.1 and 0.6 + 0.2 differ in the last bit, and methods without chance have a point for an interval."""
    x, y = np.array([[0.7, 0.1]] * 3), np.array([[0.6, 0.2]] * 3)
    assert difference_interval(x, y).high != 0
    for a, b in ((x, y), (y, x)):
        line = compare({"a": a, "b": b}, "b")["a"]
        assert not line.better and not line.negative_transfer


def test_the_probability_of_improvement_counts_pairs_and_halves_ties() -> None:
    x, y = np.array([[0.3, 0.5], [0.1, 0.6]]), np.array([[0.2, 0.5], [0.1, 0.1], [0.4, 0.1 + 0.5]])
    wins = [1 + 1 + 0 + 0 + 0.5 + 0, 0.5 + 1 + 0 + 1 + 1 + 0.5]
    assert probability_of_improvement(x, y).probability == pytest.approx(sum(wins) / 12)
    u = [stats.mannwhitneyu(x[:, t], y[:, t].round(9)).statistic / 6 for t in range(2)]
    assert probability_of_improvement(x, y).probability == pytest.approx(np.mean(u))


@pytest.mark.parametrize(("n", "m", "shift"), [(3, 3, 0.0), (5, 3, 1.0), (10, 10, 0.5)])
def test_the_ends_of_its_interval_solve_newcombes_equation(
    n: int, m: int, shift: float, rng: np.random.Generator
) -> None:
    x, y = rng.normal(size=(n, 4)) + shift, rng.normal(size=(m, 4))
    estimate, (low, high) = probability_of_improvement(x, y)

    def excess(p: float) -> float:
        k = (n + m) / 2 - 1
        v = p * (1 - p) * (1 + k * ((1 - p) / (2 - p) + p / (1 + p))) / (n * m)
        return (estimate - p) ** 2 - 1.959964**2 * v / 4

    assert low == pytest.approx(optimize.brentq(excess, 1e-9, estimate), abs=3e-4)
    assert high == pytest.approx(optimize.brentq(excess, estimate, 1 - 1e-9), abs=3e-4)


def test_winning_every_run_is_not_certainty() -> None:
    won = probability_of_improvement(np.ones((3, 6)), np.zeros((3, 6)))
    lost = probability_of_improvement(np.zeros((3, 6)), np.ones((3, 6)))
    assert won.probability == won.interval.high == 1
    assert 0.8 < won.interval.low < 0.9
    assert lost.interval == pytest.approx((0, 1 - won.interval.low), abs=1e-3)
    assert np.isnan(probability_of_improvement([[0.4]], [[0.3]]).interval).all()


@pytest.mark.parametrize("n", [1, 4, 6, 12, 20])
def test_wilcoxon_is_scipys_exact_test_where_nothing_ties(n: int, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=n) + 0.4, rng.normal(size=n)
    expected = stats.wilcoxon(x, y, method="exact")
    found = wilcoxon_exact(x, y)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue), abs=1e-12)
    assert (found.n_blocks, found.smallest_p) == (n, smallest_p(n))


@pytest.mark.parametrize("trial", range(5))
def test_wilcoxon_with_ties_counts_every_sign_pattern(trial: int) -> None:
    x, y = np.random.default_rng(trial).integers(0, 5, size=(2, 9)) / 10
    gap = [round(a - b, 6) for a, b in zip(x, y, strict=True) if round(a - b, 6) != 0]
    ranks = stats.rankdata(np.abs(gap))
    least = min(ranks[np.array(gap) > 0].sum(), ranks[np.array(gap) < 0].sum())
    sums = [np.dot(ranks, signs) for signs in product((0, 1), repeat=len(gap))]
    expected = np.mean([min(s, ranks.sum() - s) <= least for s in sums])
    found = wilcoxon_exact(x, y)
    assert (found.p, found.n_blocks, found.statistic) == pytest.approx((expected, len(gap), least))


def test_six_tasks_cannot_survive_a_correction_for_two_methods() -> None:
    assert [smallest_p(n) for n in (0, 1, 5, 6, 12)] == [1, 1, 0.0625, 0.03125, 2.0**-11]
    won = wilcoxon_exact(np.arange(1, 7), np.zeros(6))
    assert won.p == won.smallest_p == 0.03125
    assert min(holm([won.p, won.p])) > 0.05


def test_methods_that_never_differ_have_no_blocks() -> None:
    found = wilcoxon_exact([0.1 + 0.2, 0.4], [0.3, 0.4])
    assert (found.p, found.n_blocks, found.smallest_p) == (1, 0, 1)


def test_holm_agrees_with_a_hand_computation() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@pytest.mark.parametrize("ties", [False, True])
def test_friedmans_statistic_is_scipys(ties: bool, rng: np.random.Generator) -> None:
    matrix = rng.integers(0, 4, size=(8, 5)) / 4 if ties else rng.random((8, 5))
    found = friedman(matrix, reps=10)
    expected = stats.friedmanchisquare(*matrix.T).statistic
    ratio = 7 * expected / (8 * 4 - expected)
    assert found.statistic == pytest.approx(expected)
    assert found.p_iman_davenport == pytest.approx(stats.f.sf(ratio, 4, 28))


@pytest.mark.parametrize("trial", range(4))
def test_friedmans_p_counts_every_arrangement(trial: int) -> None:
    matrix = np.random.default_rng(trial).integers(0, 4, size=(4, 3)) + np.array([0, 0, 1])
    ranks = stats.rankdata(matrix, axis=1)

    def spread(rows: object) -> float:
        return float(((np.sum(rows, axis=0) - 8) ** 2).sum())

    every = [spread(rows) for rows in product(*(list(permutations(row)) for row in ranks))]
    found = friedman(matrix)
    assert found.exact
    assert found.p == pytest.approx(np.mean(np.array(every) >= spread(ranks) - 1e-9))


@pytest.mark.parametrize("trial", [0, 8, 19, 20])
def test_friedmans_p_is_exact_where_rank_sums_lie_close(trial: int) -> None:
    """Ties among four methods give sums of squares that differ by less than the number of methods."""
    matrix = np.random.default_rng(trial).integers(0, 3, (3, 4))
    ranks = stats.rankdata(matrix, axis=1)
    centre = ranks.sum() / 4
    orders = product(*(permutations(row) for row in ranks))
    spreads = np.array([((np.sum(rows, axis=0) - centre) ** 2).sum() for rows in orders])
    seen = ((ranks.sum(0) - centre) ** 2).sum()
    assert friedman(matrix).p == pytest.approx(np.mean(spreads >= seen - 1e-9))


def test_friedmans_p_is_the_one_in_the_tables() -> None:
    assert friedman([[1, 2, 3]] * 3).p == pytest.approx(1 / 36)
    assert friedman([[1, 2, 3]] * 4).p == pytest.approx(1 / 216)
    assert friedman([[2, 2, 2]] * 4).p == 1


def test_sampled_arrangements_agree_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = [[1, 2, 3, 4], [2, 1, 4, 3], [1, 4, 3, 2], [4, 2, 1, 3], [1, 2, 4, 3], [1, 3, 2, 4]]
    every = friedman(matrix)
    monkeypatch.setattr("dalib.report.statistics.tests_over_tasks.MOST", 0)
    sampled = friedman(matrix, reps=8000)
    assert (every.exact, sampled.exact) == (True, False)
    assert 0.02 < every.p < 0.5
    assert sampled.p == pytest.approx(every.p, abs=4 * np.sqrt(every.p / 8000))
    assert friedman(np.tile(np.arange(4), (6, 1)), reps=100).p == pytest.approx(1 / 101)


@pytest.mark.parametrize(
    ("k", "q05", "q10"), [(2, 1.960, 1.645), (3, 2.343, 2.052), (5, 2.728, 2.459), (10, 3.164, 2.920)]
)
def test_the_critical_difference_has_demsars_quantiles(k: int, q05: float, q10: float) -> None:
    unit = math.sqrt(k * (k + 1) / (6 * 14))
    assert nemenyi_critical_difference(k, 14) == pytest.approx(q05 * unit, abs=1e-3 * unit)
    assert nemenyi_critical_difference(k, 14, alpha=0.1) == pytest.approx(q10 * unit, abs=1e-3 * unit)


@pytest.mark.parametrize("trial", range(6))
def test_cliques_are_the_maximal_groups_within_reach(trial: int) -> None:
    rng = np.random.default_rng(trial)
    ranks = {f"m{i}": float(r) for i, r in enumerate(rng.uniform(1, 8, 8).round(1))}
    groups = [
        set(names)
        for size in range(2, 9)
        for names in combinations(ranks, size)
        if max(ranks[n] for n in names) - min(ranks[n] for n in names) < 2.05
    ]
    maximal = [group for group in groups if not any(group < other for other in groups)]
    assert sorted(map(sorted, cliques(ranks, 2.05))) == sorted(map(sorted, maximal))


def test_exactly_the_critical_difference_apart_is_a_difference() -> None:
    assert cliques({"a": 1.0, "b": 2.0, "c": 2.5}, 1.0) == [("b", "c")]


@pytest.mark.parametrize(("k", "suffix"), [(2, "png"), (3, "svg"), (12, "pdf"), (40, "svg")])
def test_the_diagram_names_every_method(tmp_path: Path, k: int, suffix: str) -> None:
    ranks = {f"$method_{i}": 1 + (k - 1) * (i / k) ** 2 for i in range(k)}
    path = draw_critical_difference(ranks, 1.5, tmp_path / f"cd.{suffix}")
    assert path.stat().st_size > 2000
    if suffix == "svg":
        text = path.read_text(encoding="utf-8")
        assert all(f"{name}  " in text or f"  {name} " in text for name in ranks)
        assert "CD = 1.50" in text


@pytest.fixture(scope="module")
def methods() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    base = np.linspace(0.5, 0.9, 6) + 0.01 * rng.standard_normal((3, 6))
    noise = 0.01 * rng.standard_normal((3, 3, 6))
    return {
        "better": base + 0.05 + noise[0],
        "source_only": base,
        "worse": base - 0.05 + noise[1],
        "single": (base + noise[2])[:1],
    }


def test_compare_gathers_what_the_functions_say(methods: dict[str, np.ndarray]) -> None:
    rows = compare(methods, "source_only", reps=500, seed=3)
    ranks = average_ranks(methods)
    assert list(rows) == list(methods)
    for name, row in rows.items():
        scores, base = methods[name], methods["source_only"]
        assert (row.n_seeds, row.n_tasks) == scores.shape
        assert (row.mean, row.iqm, row.rank) == pytest.approx((scores.mean(), float(iqm(scores)), ranks[name]))
        assert row.interval == pytest.approx(mean_interval(scores), nan_ok=True)
        assert row.iqm_interval == pytest.approx(stratified_bootstrap(scores, iqm, 500, 3), nan_ok=True)
        if name != "source_only":
            assert row.improvement == probability_of_improvement(scores, base)
            assert row.difference == pytest.approx(scores.mean() - base.mean())
            assert row.difference_interval == pytest.approx(difference_interval(scores, base), nan_ok=True)
            assert row.p == wilcoxon_exact(scores.mean(axis=0), base.mean(axis=0)).p
    others = ["better", "worse", "single"]
    assert [rows[n].p_holm for n in others] == pytest.approx(holm([rows[n].p for n in others]))


def test_compare_flags_harm_and_gain_but_never_without_an_interval(methods: dict[str, np.ndarray]) -> None:
    rows = compare(methods, "source_only", reps=200)
    assert [(name, row.better, row.negative_transfer) for name, row in rows.items()] == [
        ("better", True, False),
        ("source_only", False, False),
        ("worse", False, True),
        ("single", False, False),
    ]
    assert (rows["worse"].p, rows["worse"].smallest_p) == (0.03125, 0.03125)
    assert rows["worse"].p_holm > 0.05
    own = rows["source_only"]
    assert np.isnan([own.p, own.p_holm, own.difference, own.improvement.probability, *own.difference_interval]).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mean_interval([0.1, 0.2]), "num_runs, num_tasks"),
        (lambda: mean_interval([[0.1, math.nan]]), "not finite"),
        (lambda: difference_interval(np.ones((3, 2)), np.ones((3, 4))), "same tasks"),
        (lambda: probability_of_improvement(np.ones((3, 2)), np.ones((3, 1))), "same tasks"),
        (lambda: stratified_bootstrap(np.ones((3, 2)), iqm, reps=10), "reps = 10"),
        (lambda: compare({}, "a"), "no methods"),
        (lambda: compare({"dann": np.ones((3, 2))}, "dan"), "did you mean 'dann'"),
        (lambda: wilcoxon_exact([1, 2], [1, 2, 3]), "shape"),
        (lambda: smallest_p(-1), "n_blocks = -1"),
        (lambda: holm([0.5, 1.5]), "[0, 1]"),
        (lambda: holm([math.nan]), "[0, 1]"),
        (lambda: friedman([[1], [2]]), "two methods"),
        (lambda: nemenyi_critical_difference(1, 6), "k = 1"),
        (lambda: cliques({"a": 1.0}, 0), "cd = 0"),
        (lambda: cliques({"a": math.nan}, 1), "not finite"),
        (lambda: draw_critical_difference({"a": 1.0, "b": 2.0}, 1, "cd.jpg"), ".png"),
        (lambda: draw_critical_difference({"a": 1.0}, 1, "cd.png"), "two or more"),
    ],
)
def test_mistakes_are_named(call, says: str) -> None:
    with pytest.raises(DalibError) as error:
        call()
    assert says in str(error.value)


def test_the_bars_of_a_diagram_lie_between_the_axis_and_the_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four groups that overlap take four levels."""
    figures: list[Any] = []
    monkeypatch.setattr(diagram, "save_figure", lambda figure, path, **_: figures.append(figure) or path)
    ranks = {f"m{i}": 1 + 0.5 * i for i in range(8)}
    diagram.draw_critical_difference(ranks, 1.7, tmp_path / "cd.png")
    (axes,) = figures[0].axes
    bars = sorted({round(float(line.get_ydata()[0]), 6) for line in axes.lines if line.get_linewidth() > 2})
    labels = [text for text in axes.texts if "  " in text.get_text()]
    names = {next(word for word in text.get_text().split() if word in ranks): text.get_position() for text in labels}
    assert len(bars) > 2 and len(names) == 8
    assert max(y for _, y in names.values()) < min(bars) and max(bars) < 0
    left, right = ([name for name, (x, _) in names.items() if (x < 1) == side] for side in (True, False))
    assert [len(left), len(right)] == [4, 4], "half of them at each side"
    (told,) = (text for text in axes.texts if text.get_text().startswith("CD = "))
    ruler = max(float(y) for line in axes.lines for y in line.get_ydata())
    assert told.get_position()[0] == pytest.approx(1 + 1.7 / 2), "over the middle of its ruler"
    assert told.get_va() == "bottom" and ruler < told.get_position()[1] < ruler + 0.1, "and just above it"
    leaders = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(leaders) == 8
    for line in leaders:
        x = line.get_xdata()
        assert (x[2] < 1 or x[2] > 8) and -0.5 < x[2] < 9.5, "they end just outside of the scale"
