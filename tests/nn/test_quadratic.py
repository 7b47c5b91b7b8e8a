"""Quadratic programmes with bounds against SciPy's solvers and a problem solved by bisection."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, brentq, linprog, minimize

from dalib.nn.quadratic import optimality_gap, solve_bounded

BOUNDS = [(1000.0, 1.0, 19.0), (1.5, 8.0, 12.0), (1000.0, 0.0, 4.0), (0.9, 5.0, 1e6), (3.0, 25.0, 25.1)]


def problem(n: int = 10, rank: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, rank))
    return A @ A.T / rank, n * rng.standard_normal(n) / 3


def objective(x: np.ndarray, K: np.ndarray, kappa: np.ndarray) -> float:
    return float(0.5 * x @ K @ x - kappa @ x)


def solve(K: np.ndarray, kappa: np.ndarray, *bounds: float, **options: float) -> np.ndarray:
    return solve_bounded(torch.tensor(K), torch.tensor(kappa), *bounds, **options).numpy()  # type: ignore[arg-type]


def assert_feasible(x: np.ndarray, upper: float, low: float, high: float) -> None:
    assert x.min() >= 0
    assert x.max() <= upper
    assert low <= x.sum() <= high


@pytest.mark.parametrize("rank", [10, 3])
@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_minimum_is_that_of_an_independent_solver(rank: int, bounds: tuple[float, float, float]) -> None:
    K, kappa = problem(rank=rank)
    upper, low, high = bounds
    x = solve(K, kappa, *bounds, tolerance=1e-10)
    start = np.full(10, (low / 10 + min(upper, high / 10)) / 2)
    reference = minimize(
        lambda v: objective(v, K, kappa),
        start,
        jac=lambda v: K @ v - kappa,
        method="SLSQP",
        bounds=[(0, upper)] * 10,
        constraints=[LinearConstraint(np.ones((1, 10)), low, high)],
        options={"ftol": 1e-15, "maxiter": 2000},
    )
    assert_feasible(x, *bounds)
    assert objective(x, K, kappa) == pytest.approx(reference.fun, rel=1e-8, abs=1e-8)
    if rank == 10:
        np.testing.assert_allclose(x, reference.x, atol=1e-3)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_diagonal_problem_is_solved_by_one_price(bounds: tuple[float, float, float]) -> None:
    """x_i = (kappa_i - price) / K_ii between the bounds; the price is 0 unless the sum leaves its range."""
    rng = np.random.default_rng(1)
    d, kappa = rng.uniform(0.5, 2, 10), 3 * rng.standard_normal(10)
    upper, low, high = bounds

    def at(price: float) -> np.ndarray:
        return np.clip((kappa - price) / d, 0, upper)

    total = at(0.0).sum()
    edge = min(max(total, low), high)
    price = 0.0 if edge == total else float(brentq(lambda p: at(p).sum() - edge, -1e4, 1e4, xtol=1e-14))
    x = solve(np.diag(d), kappa, *bounds, tolerance=1e-13)
    np.testing.assert_allclose(x, at(price), atol=1e-5)  # the root of the gap


@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_gap_is_that_of_a_linear_programme(bounds: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(2)
    upper, low, high = bounds
    for shift in (-3.0, 0.0, 3.0):
        g, x = rng.standard_normal(10) + shift, rng.uniform(0, 1, 10)
        best = linprog(g, A_ub=np.stack([np.ones(10), -np.ones(10)]), b_ub=[high, -low], bounds=(0, upper))
        gap = float(optimality_gap(torch.tensor(g), torch.tensor(x), *bounds))
        assert gap == pytest.approx(float(g @ x - best.fun), abs=1e-8)


def test_a_singular_kernel_of_hundreds_of_rows_is_solved_to_its_gap() -> None:
    rng = np.random.default_rng(3)
    z = rng.standard_normal((300, 2))
    K = np.exp(-((z[:, None] - z[None]) ** 2).sum(2) / 8)
    kappa = 300 * np.exp(-((z[:, None] - z[None, :50] - 1) ** 2).sum(2) / 8).mean(1)
    bounds = (1000.0, 15.0, 585.0)
    x = solve(K, kappa, *bounds)
    assert_feasible(x, *bounds)
    gap = float(optimality_gap(torch.tensor(K @ x - kappa), torch.tensor(x), *bounds))
    assert gap <= 1e-8 * (0.5 * x @ K @ x + abs(kappa @ x))
    assert np.linalg.matrix_rank(K) < 150


def test_rows_that_are_alike_get_the_same_x() -> None:
    K, kappa = problem(5)
    twice = np.tile(np.arange(5), 2)
    x = solve(K[np.ix_(twice, twice)], kappa[twice], 1000.0, 1.0, 19.0)
    np.testing.assert_allclose(x[:5], x[5:], atol=1e-6)


def test_a_flat_objective_has_a_solution() -> None:
    assert_feasible(solve(np.zeros((4, 4)), np.zeros(4), 2.0, 1.0, 7.0), 2.0, 1.0, 7.0)


@pytest.mark.parametrize("bounds", [(1.0, 10.0, 12.0), (1.0, 3.0, 3.0), (1.0, -1.0, 3.0)])
def test_bounds_without_a_point_between_them_are_refused(bounds: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="no x strictly between the bounds"):
        solve(*problem(), *bounds)


def test_too_few_steps_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not reach a gap of 1e-08 in 2 steps"):
        solve(*problem(), 1000.0, 1.0, 19.0, max_iterations=2)
