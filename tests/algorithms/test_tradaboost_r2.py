"""TrAdaBoost.R2: a loop over scikit-learn's ridge regressions, a weighted median, and source rows that mislead."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import dalib
from dalib import Task
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
        beta_t = error / (2 - error)
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
    expected = np.apply_along_axis(weighted_median, 0, each, say)
    got = fit(dalib.TrAdaBoostR2(rounds=rounds, C=C), task).outputs(task.test).prediction.numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


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
