import numpy as np
import ot
import pytest
import torch
from scipy.linalg import eigh, fractional_matrix_power, sqrtm
from torch import Tensor

from dalib.nn import transport
from dalib.nn.components import mean_contrasts, transfer_components
from dalib.nn.linalg import recolour
from dalib.nn.transport import class_regularised, gaussian_map, move_gaussian, scale_cost, sinkhorn

SIZES = [(9, 7, 30), (40, 7, 30), (9, 40, 30), (40, 50, 30), (20, 25, 30)]


def samples(n_s: int, n_t: int, d: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    z_s, z_t = rng.standard_normal((n_s, d)), rng.standard_normal((n_t, d)) @ rng.standard_normal((d, d)) / 5 + 1
    return torch.from_numpy(z_s), torch.from_numpy(z_t)


def covariances(z_s: Tensor, z_t: Tensor, reg: float) -> tuple[np.ndarray, np.ndarray]:
    c_s, c_t = np.cov(z_s.numpy().T), np.cov(z_t.numpy().T)
    ridge = reg * (np.trace(c_s) + np.trace(c_t)) / (2 * len(c_s)) * np.eye(len(c_s))
    return c_s + ridge, c_t + ridge


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reg", [0.01, 1.0])
def test_recolouring_with_more_or_fewer_rows_than_features_is_the_formula(
    sizes: tuple[int, int, int], reg: float
) -> None:
    z_s, z_t = samples(*sizes)
    c_s, c_t = covariances(z_s, z_t, reg)
    rows, mean = z_s.numpy() - z_s.numpy().mean(0), z_t.numpy().mean(0)
    reference = rows @ fractional_matrix_power(c_s, -0.5) @ sqrtm(c_t) + mean
    np.testing.assert_allclose(recolour(z_s, z_t, reg).numpy(), reference, atol=1e-9)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reg", [0.01, 1.0])
def test_the_gaussian_map_with_more_or_fewer_rows_than_features_is_pots(
    sizes: tuple[int, int, int], reg: float
) -> None:
    z_s, z_t = samples(*sizes)
    c_s, c_t = covariances(z_s, z_t, reg)
    A, b = gaussian_map(z_s, z_t, reg)
    A_ref, b_ref = ot.gaussian.bures_wasserstein_mapping(z_s.numpy().mean(0), z_t.numpy().mean(0), c_s, c_t)
    np.testing.assert_allclose(A.numpy(), A_ref, atol=1e-9)
    np.testing.assert_allclose(b.numpy(), b_ref.ravel(), atol=1e-9)
    torch.testing.assert_close(move_gaussian(z_s, z_t, reg), z_s @ A + b, rtol=0, atol=1e-9)


def make_cost() -> Tensor:
    z_s, z_t = samples(20, 15, 3)
    return torch.cdist(z_s, z_t).square()


@pytest.mark.parametrize("reg", [0.01, 0.1])
def test_sinkhorn_is_pots(reg: float) -> None:
    cost = make_cost()
    a, b = (torch.arange(1.0, n + 1, dtype=torch.float64) / (n * (n + 1) / 2) for n in cost.shape)
    reference = ot.sinkhorn(a.numpy(), b.numpy(), scale_cost(cost).numpy(), reg, numItermax=100_000, stopThr=1e-12)
    np.testing.assert_allclose(sinkhorn(cost, reg, a, b).numpy(), reference, atol=1e-7)


def slow_problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two distant clusters of 50 + 30 rows, with more mass in one than its counterpart has: mass creeps across."""
    rng = np.random.default_rng(0)
    z_s, z_t = rng.standard_normal((80, 3)), rng.standard_normal((60, 3))
    z_s[:50], z_t[:35] = z_s[:50] + 6, z_t[:35] + 6
    M = ((z_s[:, None] - z_t) ** 2).sum(2)
    a, b = rng.random(80), rng.random(60)
    a[:5] = 0
    return M / M.max(), a / a.sum(), b / b.sum()


def test_long_steps_reach_the_plan_of_a_slow_problem_in_a_fraction_of_the_plain_ones() -> None:
    M, a, b = slow_problem()
    K = np.exp(-M / 0.012)
    u, v, plain = np.ones(80), np.ones(60), 0
    while np.abs(v * (u @ K) - b).sum() > 1e-12:  # Cuturi's iteration
        v = b / (u @ K)
        u = a / (K @ v)
        plain += 1
    assert plain > 1000
    found = sinkhorn(torch.from_numpy(M), 0.012, torch.from_numpy(a), torch.from_numpy(b), max_iterations=plain // 4)
    np.testing.assert_allclose(found.numpy(), u[:, None] * K * v, atol=1e-8)


def test_steps_that_make_the_error_grow_give_way_to_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    M, a, b = slow_problem()
    reference = sinkhorn(torch.from_numpy(M), 0.05, torch.from_numpy(a), torch.from_numpy(b))
    monkeypatch.setattr(transport, "_STEPS", (1.0, 2.6))
    found = sinkhorn(torch.from_numpy(M), 0.05, torch.from_numpy(a), torch.from_numpy(b))
    torch.testing.assert_close(found, reference, rtol=0, atol=1e-8)


@pytest.mark.parametrize("group", [0.01, 0.1])
def test_class_regularised_is_pots(group: float) -> None:
    cost, labels = make_cost(), torch.tensor([3, 5, 5, 9] * 5)
    a, b = (np.full(n, 1 / n) for n in cost.shape)
    M = scale_cost(cost).numpy()
    reference = ot.da.sinkhorn_lpl1_mm(a, labels.numpy(), b, M, 0.05, group, 10, 100_000, 1e-12)
    np.testing.assert_allclose(class_regularised(cost, labels, 0.05, group).numpy(), reference, atol=1e-7)


@pytest.mark.parametrize("n", [500, 410])
def test_few_of_many_components_are_those_of_the_whole_problem(n: int) -> None:
    rng = np.random.default_rng(1)
    phi = torch.from_numpy(rng.standard_normal((n, 420)) * 0.97 ** np.arange(420))
    E = mean_contrasts(torch.arange(n - 200) % 4, 200, torch.arange(200) % 4, 4.0, 1.0)
    centred, contrast = (phi - phi.mean(0)).numpy(), (phi.T @ E).numpy()
    B = contrast @ contrast.T + 0.5 * np.eye(420)
    _, reference = eigh(centred.T @ centred, B, subset_by_index=[410, 419])
    found = transfer_components(phi, E, 0.5, 10).numpy()
    np.testing.assert_allclose(np.abs(found.T @ B @ reference[:, ::-1]), np.eye(10), atol=1e-8)
