"""Density ratios against refits with scikit-learn, known Gaussians, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from dalib.nn.density_ratio import discriminative_weights


def gaussians(n_s: int, n_t: int, d: int, shift: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """N(0, I) and N(shift e_1, I): the log-ratio at z is shift z_1 - shift² / 2."""
    rng = np.random.default_rng(seed)
    z_s, z_t = rng.standard_normal((n_s, d)), rng.standard_normal((n_t, d))
    z_t[:, 0] += shift
    return torch.tensor(z_s), torch.tensor(z_t)


def scaled(z_s: torch.Tensor, z_t: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Both domains' rows, mean 0 and mean square length 1, and which of them are the target's."""
    z = np.concatenate([z_s.numpy(), z_t.numpy()])
    z = z - z.mean(0)
    return z / np.sqrt((z**2).sum(1).mean()), (np.arange(len(z)) >= len(z_s)).astype(int)


def solve(x: np.ndarray, t: np.ndarray) -> LogisticRegression:
    return LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=200).fit(x, t)


@pytest.mark.parametrize("d", [3, 60])
def test_each_weight_is_one_newton_step_from_the_fit_without_its_row(d: int) -> None:
    z_s, z_t = gaussians(12, 25, d, 1.0)
    x, t = scaled(z_s, z_t)
    fit = solve(x, t)
    theta, wide = np.append(fit.coef_[0], fit.intercept_), np.column_stack([x, np.ones(len(x))])
    ridge = np.diag(np.append(np.ones(d), 0.0))
    expected = []
    for i in range(len(z_s)):
        rest, t_rest = np.delete(wide, i, 0), np.delete(t, i)
        p = 1 / (1 + np.exp(-rest @ theta))
        gradient = rest.T @ (p - t_rest) + ridge @ theta
        hessian = (rest * (p * (1 - p))[:, None]).T @ rest + ridge
        expected.append(np.exp(wide[i] @ (theta - np.linalg.solve(hessian, gradient))) * (len(z_s) - 1) / len(z_t))
    np.testing.assert_allclose(discriminative_weights(z_s, z_t), expected, rtol=1e-5)


@pytest.mark.parametrize(("n_s", "d"), [(40, 3), (15, 30)])
def test_weights_are_close_to_those_of_refits_without_each_row(n_s: int, d: int) -> None:
    z_s, z_t = gaussians(n_s, 50, d, 1.0)
    x, t = scaled(z_s, z_t)
    exact = []
    for i in range(n_s):
        fit = solve(np.delete(x, i, 0), np.delete(t, i))
        exact.append(np.exp(fit.decision_function(x[i : i + 1])[0]) * (n_s - 1) / len(z_t))
    np.testing.assert_allclose(discriminative_weights(z_s, z_t), exact, rtol=0.05)


def test_the_ratio_of_two_gaussians_is_found() -> None:
    z_s, z_t = gaussians(2000, 3000, 2, 1.0)
    log_ratio = discriminative_weights(z_s, z_t).log() - (z_s[:, 0] - 0.5)
    assert log_ratio.square().mean().sqrt() < 0.1


def test_few_rows_in_many_dimensions_have_mean_weight_one_where_fitted_odds_are_too_small() -> None:
    z_s, z_t = gaussians(95, 1000, 256, 0.0)
    x, t = scaled(z_s, z_t)
    fitted = np.exp(solve(x, t).decision_function(x[:95])) * 95 / 1000
    weights = discriminative_weights(z_s, z_t)
    assert fitted.mean() < 0.7
    assert abs(weights.mean() - 1) < 0.25
    assert weights.log().square().mean() < np.mean(np.log(fitted) ** 2) / 2


def test_units_rotations_and_row_order_do_not_matter() -> None:
    z_s, z_t = gaussians(30, 50, 5, 1.0)
    weights = discriminative_weights(z_s, z_t)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(200, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q.T
    for a, b, expected in (
        (1e6 * z_s + 1e7, 1e6 * z_t + 1e7, weights),
        (1e-30 * z_s, 1e-30 * z_t, weights),
        (z_s @ rotation, z_t @ rotation, weights),
        (z_s[order], z_t.flip(0), weights[order]),
    ):
        torch.testing.assert_close(discriminative_weights(a, b), expected, rtol=1e-4, atol=0)


def test_float32_features_give_the_weights_of_float64() -> None:
    z_s, z_t = gaussians(30, 50, 5, 1.0)
    torch.testing.assert_close(
        discriminative_weights(z_s.float(), z_t.float()), discriminative_weights(z_s, z_t), rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("value", [0.0, 1.0, 1e30])
def test_collapsed_features_have_equal_weights_near_one(value: float) -> None:
    weights = discriminative_weights(torch.full((20, 4), value), torch.full((30, 4), value))
    assert float(weights.max() - weights.min()) < 1e-6
    assert weights.mean() == pytest.approx(1, abs=0.01)


def test_domains_that_lie_apart_have_small_finite_weights() -> None:
    z_s, z_t = gaussians(50, 50, 3, 1e6)
    weights = discriminative_weights(z_s, z_t)
    assert weights.isfinite().all()
    assert (weights > 0).all()
    assert weights.max() < 0.5


def test_weights_are_nan_where_no_ratio_can_be_estimated() -> None:
    z = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    assert discriminative_weights(z[:0], z).shape == (0,)
    assert discriminative_weights(z[:1], z).isnan().all()
    assert discriminative_weights(z, z[:0]).isnan().all()
    assert discriminative_weights(z, torch.full((4, 3), torch.inf)).isnan().all()
