"""Density ratios against refits with scikit-learn, known Gaussians, and their limits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, minimize
from sklearn.linear_model import LogisticRegression

from dalib.nn import density_ratio
from dalib.nn.density_ratio import discriminative_weights, kernel_mean_matching, kliep, left_out_errors, ulsif

SIGMAS = (2.0, 0.7, 0.25)


REGS = (1.0, 0.1, 0.01)


Estimate = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


ESTIMATES: dict[str, Estimate] = {
    "kmm": lambda z_s, z_t: kernel_mean_matching(z_s, z_t, 0.2),
    "kliep": kliep,
    "ulsif": ulsif,
}


def gaussians(n_s: int, n_t: int, d: int = 2, shift: float = 1.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """N(0, I) and N(shift e_1, I): the log-ratio at z is shift z_1 - shift² / 2."""
    rng = np.random.default_rng(seed)
    z_s, z_t = rng.standard_normal((n_s, d)), rng.standard_normal((n_t, d))
    z_t[:, 0] += shift
    return torch.tensor(z_s), torch.tensor(z_t)


def kernel(z_s: torch.Tensor, z_t: torch.Tensor, factor: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """exp(-||a - b||² / (2 sigma²)), sigma = factor * root mean squared distance over all pairs of pooled rows."""
    pooled = np.concatenate([z_s.numpy(), z_t.numpy()])
    squared = factor**2 * np.mean([((a - b) ** 2).sum() for a in pooled for b in pooled])
    return lambda a, b: np.array([[np.exp(-((p - q) ** 2).sum() / (2 * squared)) for q in b] for p in a])


def in_order(z: torch.Tensor) -> np.ndarray:
    return np.array(sorted(map(tuple, z.numpy())))


@pytest.mark.parametrize(("bandwidth", "B", "eps"), [(0.3, 1000.0, None), (1.0, 1000.0, None), (0.3, 1.5, 0.1)])
def test_matched_means_are_those_of_an_independent_solver(bandwidth: float, B: float, eps: float | None) -> None:
    z_s, z_t = gaussians(12, 9)
    k = kernel(z_s, z_t, bandwidth)
    K, kappa = k(z_s.numpy(), z_s.numpy()), 12 / 9 * k(z_s.numpy(), z_t.numpy()).sum(1)
    slack = 12 * ((np.sqrt(12) - 1) / np.sqrt(12) if eps is None else eps)

    def distance(w: np.ndarray) -> float:
        """||mean w phi(z_s) - mean phi(z_t)||², up to a constant."""
        return float(0.5 * w @ K @ w - kappa @ w)

    reference = minimize(
        distance,
        np.ones(12),
        jac=lambda w: K @ w - kappa,
        method="SLSQP",
        bounds=[(0, B)] * 12,
        constraints=[LinearConstraint(np.ones((1, 12)), 12 - slack, 12 + slack)],
        options={"ftol": 1e-15, "maxiter": 2000},
    )
    w = kernel_mean_matching(z_s, z_t, bandwidth, B, eps).numpy()
    assert abs(w.sum() - 12) <= slack
    assert w.max() <= B
    assert distance(w) == pytest.approx(reference.fun, rel=2e-8)


def fit_by_em(A: np.ndarray, iterations: int = 3000) -> np.ndarray:
    """KLIEP's maximum by expectation-maximisation: A_jl = k(t_j, c_l) / mean_i k(s_i, c_l)."""
    theta = np.full(A.shape[1], 1 / A.shape[1])
    for _ in range(iterations):
        theta = theta * (A / (A @ theta)[:, None]).mean(0)
    return theta


def test_kliep_chooses_its_width_by_rows_left_out_and_maximises_their_likelihood() -> None:
    z_s, z_t = gaussians(30, 24)
    sources, targets = in_order(z_s), in_order(z_t)
    centres = targets[[0, 4, 9, 14, 19]]
    scores, weights = [], []
    for sigma in SIGMAS:
        k = kernel(z_s, z_t, sigma)
        S, T, score = k(sources, centres), k(targets, centres), 0.0
        for f in range(4):
            out_s, out_t = np.arange(30) % 4 == f, np.arange(24) % 4 == f
            mean = S[~out_s].mean(0)
            alpha = fit_by_em(T[~out_t] / mean) / mean
            score += (np.log(T[out_t] @ alpha).mean() - (S[out_s] @ alpha).mean()) / 4
        scores.append(score)
        weights.append(k(z_s.numpy(), centres) / S.mean(0) @ fit_by_em(T / S.mean(0)))
    got = kliep(z_s, z_t, centres=5, sigmas=SIGMAS, folds=4)
    assert np.diff(np.sort(scores))[-1] > 0.01
    np.testing.assert_allclose(got, weights[int(np.argmax(scores))], atol=1e-4)
    assert float(got.mean()) == pytest.approx(1, abs=1e-12)


def test_what_kliep_fits_to_choose_its_width_is_within_a_ten_thousandth_of_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a bound of its own: a mean log-likelihood lies at most log max_l mean_j p_l / p below the best one."""
    gaps, fit = [], density_ratio.fit_proportions

    def watch(log_density: torch.Tensor, **how: float) -> torch.Tensor:
        theta = fit(log_density, **how)
        P = (log_density - log_density.amax(1, keepdim=True)).exp().numpy()
        gaps.append(float(np.log((P / (P @ theta.numpy())[:, None]).mean(0).max())))
        return theta

    monkeypatch.setattr(density_ratio, "fit_proportions", watch)
    for n in range(20, 60, 5):
        kliep(*gaussians(n, n + 7), centres=8, folds=4)
    assert len(gaps) > 200 and max(gaps) <= 1e-4 + 1e-12


def solve_ulsif(S: np.ndarray, T: np.ndarray, reg: float) -> np.ndarray:
    H = sum(np.outer(row, row) for row in S) / len(S)
    return np.maximum(np.linalg.solve(H + reg * np.eye(S.shape[1]), T.mean(0)), 0)


@pytest.mark.parametrize(("n_s", "n_t"), [(9, 6), (6, 9), (7, 7)])
def test_left_out_errors_are_those_of_refits(n_s: int, n_t: int) -> None:
    rng = np.random.default_rng(1)
    S, T, n = rng.uniform(size=(n_s, 4)), rng.uniform(size=(n_t, 4)), min(n_s, n_t)
    i, j = rng.permutation(n_s)[:n], rng.permutation(n_t)[:n]
    expected = []
    for reg in REGS:
        pairs = []
        for a, b in zip(i, j, strict=True):
            alpha = solve_ulsif(np.delete(S, a, 0), np.delete(T, b, 0), reg)
            pairs.append((S[a] @ alpha) ** 2 / 2 - T[b] @ alpha)
        expected.append(np.mean(pairs))
    got = left_out_errors(torch.tensor(S), torch.tensor(T), torch.tensor(i), torch.tensor(j), REGS)
    np.testing.assert_allclose(got, expected, rtol=1e-8)


def test_ulsif_fits_with_the_width_and_ridge_of_the_least_left_out_error() -> None:
    z_s, z_t = gaussians(15, 20)
    sources, targets = in_order(z_s), in_order(z_t)
    centres = targets[[0, 4, 8, 12, 16]]
    best = (np.inf, np.zeros(15))
    for sigma in SIGMAS:
        k = kernel(z_s, z_t, sigma)
        S, T = k(sources, centres), k(targets, centres)
        for reg in REGS:
            error = 0.0
            for p in range(15):
                q = p * 20 // 15
                alpha = solve_ulsif(np.delete(S, p, 0), np.delete(T, q, 0), reg)
                error += ((S[p] @ alpha) ** 2 / 2 - T[q] @ alpha) / 15
            if error < best[0]:
                best = error, k(z_s.numpy(), centres) @ solve_ulsif(S, T, reg)
    got = ulsif(z_s, z_t, centres=5, sigmas=SIGMAS, regs=REGS)
    np.testing.assert_allclose(got, best[1], rtol=1e-8)


@pytest.mark.parametrize("estimate", [kliep, ulsif])
def test_a_known_bounded_ratio_is_found(estimate: Estimate) -> None:
    """N(0, I) and N(e_1 / 2, 0.6² I): the error as a part of the ratio's own variance, about 1 for equal weights.

    Over ten draws it is 0.06 for either on average, and 0.3 for uLSIF in one, which is among these three. Kernel mean
    matching is not tested here: its weights match means and are no pointwise estimate.
    """
    centre, errors = torch.tensor([0.5, 0.0], dtype=torch.float64), []
    for seed in range(3):
        z_s, z_t = gaussians(800, 800, shift=0.0, seed=seed)
        true = (z_s.square().sum(1) / 2 - (z_s - centre).square().sum(1) / 0.72).exp() / 0.36
        errors.append(float((estimate(z_s, 0.6 * z_t + centre) - true).square().mean() / true.var()))
    assert np.mean(errors) < 0.2


def test_matched_means_are_the_targets() -> None:
    z_s, z_t = gaussians(300, 300)
    w = kernel_mean_matching(z_s, z_t, 1.0)
    np.testing.assert_allclose((w[:, None] * z_s).mean(0), z_t.mean(0), atol=0.1)
    assert abs(float(z_s[:, 0].mean() - z_t[:, 0].mean())) > 0.8


@pytest.mark.parametrize("name", ESTIMATES)
def test_row_order_and_units_do_not_matter(name: str) -> None:
    z_s, z_t = gaussians(40, 50, d=3)
    estimate = ESTIMATES[name]
    w = estimate(z_s, z_t)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    for a, b, expected in ((z_s[order], z_t.flip(0), w[order]), (1e3 * z_s + 1e4, 1e3 * z_t + 1e4, w)):
        torch.testing.assert_close(estimate(a, b), expected, rtol=1e-6, atol=1e-8)
    for scale in (1e-30, 1e30):
        torch.testing.assert_close(estimate(scale * z_s, scale * z_t), w, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ESTIMATES)
def test_float32_features_give_the_kernel_weights_of_float64(name: str) -> None:
    z_s, z_t = gaussians(40, 50, d=3)
    w = ESTIMATES[name](z_s.float(), z_t.float())
    assert w.dtype == torch.float64
    torch.testing.assert_close(w, ESTIMATES[name](z_s, z_t), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ESTIMATES)
@pytest.mark.parametrize("value", [0.0, 1.0, 1e30])
def test_collapsed_features_have_weights_of_one(name: str, value: float) -> None:
    w = ESTIMATES[name](torch.full((20, 4), value), torch.full((30, 4), value))
    np.testing.assert_allclose(w, 1.0, atol=1e-3)


@pytest.mark.parametrize("name", ESTIMATES)
def test_domains_that_lie_apart_have_finite_weights(name: str) -> None:
    w = ESTIMATES[name](*gaussians(30, 20, shift=1e6))
    assert w.isfinite().all()
    assert (w >= 0).all()


@pytest.mark.parametrize("name", ESTIMATES)
def test_kernel_weights_are_nan_where_no_ratio_can_be_estimated(name: str) -> None:
    z = gaussians(10, 10)[0]
    assert ESTIMATES[name](z[:0], z).shape == (0,)
    for z_s, z_t in ((z[:1], z), (z, z[:1]), (z, z * torch.inf)):
        assert ESTIMATES[name](z_s, z_t).isnan().all()


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
