"""JDOT: Joint distribution optimal transport by block coordinate descent; target rows stay where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import Ridge

from tests.support.algorithms import check_refusal
from tests.support.carried_labels import (
    DRAWS,
    D,
    Data,
    K,
    check_a_class_without_source_rows_is_never_predicted,
    check_collapsed_and_huge_features_give_finite_logits,
    check_rows_that_were_not_transported_are_classified_as_well,
    check_surf_average_is_far_above_that_of_nearest_neighbours,
    fit,
    logits,
    moved,
    scores,
)


def ridge(x: np.ndarray, y: np.ndarray, reg: float) -> Ridge:
    return Ridge(alpha=len(x) * reg * x.var(0).sum()).fit(x, y)


def jdot_cost(data: Data, f: Ridge | None, alpha: float) -> np.ndarray:
    distance = cdist(data[0], data[2], "sqeuclidean")
    label = 0.0 if f is None else cdist(np.eye(K)[data[1]], f.predict(data[2]), "sqeuclidean")
    return alpha * distance / distance.max() + label


def jdot_by_pot(data: Data, alpha: float, reg: float, iterations: int) -> Ridge:
    """POT's plans and scikit-learn's ridge regressions in turn."""
    x_s, y_s, x_t, _ = data
    f = None
    for _ in range(iterations):
        plan = ot.emd(ot.unif(len(x_s)), ot.unif(len(x_t)), jdot_cost(data, f, alpha))
        f = ridge(x_t, len(x_t) * plan.T @ np.eye(K)[y_s], reg)
    return f


def jdot_objective(data: Data, f: Ridge, alpha: float, reg: float) -> float:
    """The least over plans."""
    x_s, _, x_t, _ = data
    transport = ot.emd2(ot.unif(len(x_s)), ot.unif(len(x_t)), jdot_cost(data, f, alpha))
    return float(transport + reg * x_t.var(0).sum() * (f.coef_**2).sum())


@pytest.mark.parametrize("hparams", [(1.0, 0.01, 1), (1.0, 0.01, 10), (0.1, 0.1, 10), (5.0, 0.001, 3)])
@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-8), (np.float32, 1e-4)])
def test_jdot_is_pots_plan_and_scikit_learns_ridge_in_turn(
    hparams: tuple[float, float, int], dtype: Any, atol: float
) -> None:
    alpha, reg, iterations = hparams
    got = fit("JDOT", moved(), dtype, alpha=alpha, reg=reg, iterations=iterations)
    expected = jdot_by_pot(moved(), alpha, reg, iterations).predict(moved()[2])
    np.testing.assert_allclose(logits(got, moved()[2].astype(dtype)), expected, atol=atol)


def test_more_columns_than_rows_give_the_same_solution() -> None:
    x_s, y_s, x_t, y_t = moved(60, 40)
    wide = np.random.default_rng(2).standard_normal((D, 50)) / 5
    data = x_s @ wide, y_s, x_t @ wide, y_t
    expected = jdot_by_pot(data, 1.0, 0.01, 10).predict(data[2])
    np.testing.assert_allclose(logits(fit("JDOT", data), data[2]), expected, atol=1e-8)


def test_jdots_objective_never_rises() -> None:
    values = [jdot_objective(moved(), jdot_by_pot(moved(), 1.0, 0.01, i), 1.0, 0.01) for i in (1, 2, 3, 10)]
    assert np.diff(values).max() <= 1e-12
    assert values[-1] < values[0] - 1e-3
    model = fit("JDOT", moved())
    f = jdot_by_pot(moved(), 1.0, 0.01, 1)
    f.coef_, f.intercept_ = model.W.T.numpy(), model.b.numpy()
    assert jdot_objective(moved(), f, 1.0, 0.01) == pytest.approx(values[-1], abs=1e-10)


def test_jdot_beats_its_own_classifier_and_a_single_plan() -> None:
    draws = [moved(seed=seed) for seed in DRAWS]
    before = np.mean([(ridge(x, np.eye(K)[y], 0.01).predict(x_t).argmax(1) == y_t).mean() for x, y, x_t, y_t in draws])
    once, after = scores("JDOT", iterations=1), scores("JDOT")
    assert (after > before + 0.2).all(), f"{after}, source only: {before:.3f}"
    assert (after > once + 0.01).all(), f"{after}, a single plan: {once}"


def test_rows_that_were_not_transported_are_classified_as_well() -> None:
    check_rows_that_were_not_transported_are_classified_as_well("JDOT")


def test_a_class_without_source_rows_is_never_predicted() -> None:
    check_a_class_without_source_rows_is_never_predicted("JDOT")


@pytest.mark.parametrize(
    "change",
    [lambda x: 0 * x, lambda x: 0 * x + 1e6, lambda x: 1e12 * x, lambda x: 1e-12 * x],
    ids=["zero", "constant", "huge", "tiny"],
)
def test_collapsed_and_huge_features_give_finite_logits(change: Any) -> None:
    check_collapsed_and_huge_features_give_finite_logits("JDOT", change)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"alpha": 0.0}, "jdot.alpha = 0.0 is out of range; give a number > 0"),
        ({"reg": -1.0}, "jdot.reg = -1.0 is out of range; give a number > 0"),
        ({"iterations": 0}, "jdot.iterations = 0 is out of range; give a whole number >= 1"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("JDOT", hparams, message)


@pytest.mark.slow
def test_surf_average_is_far_above_that_of_nearest_neighbours(shared_data: Path) -> None:
    check_surf_average_is_far_above_that_of_nearest_neighbours(shared_data, "JDOT", 45.0)
