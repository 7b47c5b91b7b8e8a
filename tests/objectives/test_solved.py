"""Methods that solve, on answers that are no classes: ridge regression and logistic regressions behind what they do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression, Ridge

import dalib
from dalib import Task
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.registry import ALGORITHMS
from dalib.nn.linalg import recolour
from dalib.train.model_file import load_model, save_model
from tests.support.numbers import fit, make_task

SOLVED = [n for n in ALGORITHMS.able("regression") if issubclass(ALGORITHMS.get(n), FeatureAlgorithm)]


def as_yes_or_no(task: Task, hidden: float = 0.0) -> Task:
    """The same rows, asked whether each number is positive; a part of the answers is not annotated."""
    rng = np.random.default_rng(5)

    def ask(domain: dalib.Domain, part: float) -> dalib.Domain:
        if domain.y is None:
            return replace(domain, objective="multilabel")
        y = (domain.labels > 0).astype(np.int64)
        return replace(domain, y=np.where(rng.random(y.shape) < part, -1, y), objective="multilabel")

    return Task(
        task.name, ask(task.labelled, hidden), *(ask(d, 0.0) for d in (task.target, task.validation, task.test))
    )


@pytest.mark.filterwarnings("ignore:sfa counts where a column is above 0")
@pytest.mark.parametrize("name", SOLVED)
def test_every_solved_method_for_numbers_gives_finite_ones_and_keeps_them_in_its_file(name, tmp_path) -> None:
    task = make_task(n=60)
    fitted = fit(ALGORITHMS.get(name)(), task)
    told = fitted.outputs(task.test).prediction
    assert told.shape == (60, 2) and told.isfinite().all()
    again = load_model(save_model(fitted, tmp_path / "model"), device="cpu").outputs(task.test).prediction
    assert (again == told).all()


def test_linear_probe_is_scikit_learns_ridge() -> None:
    task = make_task()
    x, y = np.asarray(task.labelled.x, float), task.labelled.labels.astype(float)
    for C in (0.01, 1.0, 100.0):
        got = fit(dalib.LinearProbe(C=C), task).outputs(task.test).prediction.numpy()
        expected = Ridge(alpha=x.var(0).mean() / C).fit(x, y).predict(np.asarray(task.test.x, float))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_more_columns_than_rows_and_row_weights_give_scikit_learns_ridge_too() -> None:
    import torch

    from dalib.nn.ridge import fit_weighted_ridge

    rng = np.random.default_rng(0)
    for n, d in ((9, 30), (30, 9)):
        x, y, w = rng.standard_normal((n, d)), rng.standard_normal((n, 3)), rng.random(n)
        W, b = fit_weighted_ridge(*map(torch.tensor, (x, y)), 2.0, torch.tensor(w))
        v = ((x - np.average(x, axis=0, weights=w)) ** 2 * w[:, None]).sum(0).mean() / w.sum()
        expected = Ridge(alpha=v / 2).fit(x, y, sample_weight=w)
        np.testing.assert_allclose(W.numpy(), expected.coef_, atol=1e-10)
        np.testing.assert_allclose(b.numpy(), expected.intercept_, atol=1e-10)


def test_coral_is_ridge_on_recoloured_rows() -> None:
    import torch

    task = make_task()
    moved = recolour(*(torch.as_tensor(d.x).double() for d in (task.labelled, task.target)), 1.0).numpy()
    expected = Ridge(alpha=moved.var(0).mean()).fit(moved, task.labelled.labels).predict(np.asarray(task.test.x, float))
    np.testing.assert_allclose(fit(dalib.CORAL(), task).outputs(task.test).prediction.numpy(), expected, atol=1e-4)


def test_jdot_on_numbers_is_plans_and_ridge_regressions_in_turn_whatever_their_unit() -> None:
    task = make_task(n=40, unit=250.0)
    x_s, x_t = (np.asarray(d.x, float) for d in (task.labelled, task.target))
    y = task.labelled.labels.astype(float)
    scaled = (y - y.mean(0)) / y.std(0)
    distance = cdist(x_s, x_t, "sqeuclidean")
    distance, label, model = distance / distance.max(), 0.0, None
    for _ in range(10):
        plan = ot.emd(ot.unif(40), ot.unif(40), distance + label)
        model = Ridge(alpha=40 * 0.01 * x_t.var(0).sum()).fit(x_t, 40 * plan.T @ scaled)
        label = cdist(scaled, model.predict(x_t), "sqeuclidean")
    got = fit(dalib.JDOT(), task).outputs(task.test).prediction.numpy()
    np.testing.assert_allclose(got, model.predict(x_t) * y.std(0) + y.mean(0), rtol=1e-3, atol=1e-2)


def test_several_yes_or_no_answers_are_a_logistic_regression_each_on_the_rows_that_say() -> None:
    task = as_yes_or_no(make_task(n=80), hidden=0.3)
    got = fit(dalib.LinearProbe(), task).outputs(task.test).prediction.numpy()
    x, y = np.asarray(task.labelled.x, float), task.labelled.labels
    for k in range(2):
        told = y[:, k] >= 0
        model = LogisticRegression(tol=1e-6, max_iter=5000).fit(x[told], y[told, k])
        np.testing.assert_allclose(got[:, k], model.decision_function(np.asarray(task.test.x, float)), atol=1e-3)


def test_a_column_that_is_always_yes_is_answered_yes_and_one_without_answers_says_nothing() -> None:
    task = as_yes_or_no(make_task(n=30))
    y = task.labelled.labels.copy()
    y[:, 0], y[:, 1] = 1, -1
    got = fit(dalib.CORAL(), replace(task, labelled=replace(task.labelled, y=y))).outputs(task.test).prediction
    assert (got[:, 0] > 10).all() and (got[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        (dalib.CORAL(classifier="svm"), "coral.classifier = 'svm' tells classes apart, but the labels are for regress"),
        (dalib.OTMap(method="class_regularised"), "ot_map groups source rows by class here, but the labels are for"),
    ],
)
def test_what_means_nothing_for_numbers_is_refused(algorithm, message) -> None:
    with pytest.raises(DalibError, match=message):
        fit(algorithm, make_task(n=20))
