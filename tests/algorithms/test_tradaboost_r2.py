"""TrAdaBoost.R2: a loop over scikit-learn's ridge regressions, a weighted median, and source rows that mislead."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import dalib
from dalib import Task
from dalib.core.needs import Size
from tests.support.algorithms import check_refusal
from tests.support.numbers import error, fit, make_task


def boosted(task: Task, rounds: int, C: float) -> tuple[list[Ridge], list[float]]:
    """The rounds, one after the other, by scikit-learn."""
    x, y = np.asarray(task.labelled.x, float), np.asarray(task.labelled.labels, float)
    own = task.labelled.origin == 1
    w = np.ones(len(x)) / len(x)
    beta = 1 / (1 + np.sqrt(2 * np.log((~own).sum()) / rounds))
    models, says = [], []
    for _ in range(rounds):
        v = (w[:, None] * (x - np.average(x, axis=0, weights=w)) ** 2).sum(0).mean()
        model = Ridge(alpha=v / C).fit(x, y, sample_weight=w / w.mean())
        e = (np.abs(model.predict(x) - y) / y.std(0)).mean(1)
        e /= e.max()
        error = (w[own] * e[own]).sum() / w[own].sum()
        held = min(error, 0.5)
        beta_t = held / (1 - held)
        w = np.where(own, w * beta_t**-e, w * beta**e)
        w /= w.sum()
        models.append(model)
        says.append(np.log(1 / beta_t))
    return models, says


def weighted_median(values: np.ndarray, say: np.ndarray) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(say[order].cumsum(), say.sum() / 2)])


@pytest.mark.parametrize(("rounds", "C"), [(1, 1.0), (6, 0.3), (11, 5.0)])
def test_it_is_a_loop_over_ridge_regressions_and_a_weighted_median(rounds: int, C: float) -> None:
    task = make_task(n=60, few=8, turned=0.5)
    models, says = boosted(task, rounds, C)
    later = range(rounds // 2, rounds)
    each = np.stack([models[t].predict(np.asarray(task.test.x, float)) for t in later])
    say = np.array([says[t] for t in later])
    say = say if say.any() else np.ones(len(say))
    expected = np.apply_along_axis(weighted_median, 0, each, say)
    got = fit(dalib.TrAdaBoostR2(rounds=rounds, C=C), task).outputs(task.test).prediction.numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_on_least_squares_it_answers_what_adapt_does_with_the_beta_of_its_documentation() -> None:
    """ADAPT 0.4.5 (fd67cb7), `2. - estimator_error` made `1. - …`, LinearRegression on y / y.std(0), times that."""
    expected = [
        [-1.03399141, -1.31406071],
        [-1.76059093, 3.33385474],
        [-0.57295465, 1.39801844],
        [-0.4307519, -1.84967402],
    ]
    task = make_task(n=60, few=8, turned=0.2)
    got = fit(dalib.TrAdaBoostR2(rounds=11, C=1e12), task).outputs(task.test).prediction.numpy()
    np.testing.assert_allclose(got[:4], expected, rtol=1e-5)


def test_where_every_error_is_a_half_or_more_the_rounds_have_equal_votes() -> None:
    task = make_task(n=60, few=8, turned=1.0)
    models, says = boosted(task, 2, 1.0)
    assert says == [0.0, 0.0]
    got = fit(dalib.TrAdaBoostR2(rounds=2), task).outputs(task.test).prediction.numpy()
    np.testing.assert_allclose(got, models[1].predict(np.asarray(task.test.x, float)), rtol=1e-5, atol=1e-6)


def test_it_beats_ridge_regression_where_the_source_answers_otherwise() -> None:
    task = make_task(n=200, few=20, moved=0.0, turned=1.0)
    plain, boosted_error = (error(fit(a, task), task.test) for a in (dalib.LinearProbe(), dalib.TrAdaBoostR2()))
    assert boosted_error < 0.7 * plain


def test_without_labelled_target_rows_it_is_ridge_regression() -> None:
    task = make_task()
    first, second = (fit(a, task).outputs(task.test).prediction for a in (dalib.TrAdaBoostR2(), dalib.LinearProbe()))
    np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-5, atol=1e-6)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("TrAdaBoostR2", {"rounds": 0}, "tradaboost_r2.rounds = 0 is out of range; give a whole number >= 1")


def test_numbers_that_are_read_round_after_round_count_in_what_it_takes() -> None:
    """Of many rows of few columns they took seven times as long as the products."""
    needs = dalib.TrAdaBoostR2(rounds=10).needs(Size(30_000, 30_000, 50, 1))
    assert needs.passes == 8 * 10 * 30_000 * 50 and needs.products == pytest.approx(10 * 30_000 * 50**2, rel=0.01)
