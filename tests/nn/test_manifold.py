"""Graph of neighbours and aligned regression against loops, and against the objective itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsClassifier

from dalib.nn.components import mean_contrasts
from dalib.nn.manifold import cosine_laplacian, fit_aligned, fit_with_own_labels
from tests.support.tensors import tensors, unit_rows

N_S, N_T = 9, 7


PRECISIONS = [(torch.float64, 1e-8), (torch.float32, 1e-4)]


def rows(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((N_S + N_T, 3))).to(dtype)


def laplacian(z: np.ndarray, k: int) -> np.ndarray:
    n = len(z)
    cosine = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in z] for a in z])
    W = np.zeros((n, n))
    for i in range(n):
        others = sorted((j for j in range(n) if j != i), key=lambda j: -cosine[i, j])
        for j in [i, *others[:k]]:
            W[i, j] = W[j, i] = max(cosine[i, j], 0)
    D = W.sum(1)
    return np.array([[float(i == j) - W[i, j] / np.sqrt(D[i] * D[j]) for j in range(n)] for i in range(n)])


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("k", [1, 4, 100])
def test_the_laplacian_is_that_of_the_cosine_neighbours(k: int, dtype: torch.dtype, tolerance: float) -> None:
    np.testing.assert_allclose(cosine_laplacian(rows(dtype), k).numpy(), laplacian(rows().numpy(), k), atol=tolerance)


def test_a_row_is_its_own_neighbour_even_among_copies() -> None:
    L = cosine_laplacian(torch.ones(5, 2, dtype=torch.float64), 1)
    assert (L.diagonal() < 1 - 1e-3).all()
    assert torch.linalg.eigvalsh(L).min() > -1e-12


def test_rows_without_a_direction_have_no_neighbours() -> None:
    z = rows()
    z[3] = 0
    L = cosine_laplacian(z, 4)
    torch.testing.assert_close(L[3], torch.eye(len(z), dtype=z.dtype)[3])
    assert L.isfinite().all()


def parts() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """K, one-hot y, E, L."""
    z, y_s = rows(), torch.arange(N_S) % 3
    E = mean_contrasts(y_s, N_T, torch.arange(N_T) % 3, 3.0, 1.0)
    return (-torch.cdist(z, z).square() / 2).exp(), torch.eye(3).double()[y_s], E, cosine_laplacian(z, 3)


def objective(beta: np.ndarray) -> float:
    K, y, E, L = (v.numpy() for v in parts())
    f = K @ beta
    value = sum((y[i, c] - f[i, c]) ** 2 for i in range(N_S) for c in range(3))
    for c in range(3):
        for e in E.T:
            value += 2.0 * (e @ f[:, c]) ** 2
        value += 0.5 * f[:, c] @ L @ f[:, c] + 0.3 * beta[:, c] @ K @ beta[:, c]
    return float(value)


def test_no_step_from_the_solution_lowers_the_objective() -> None:
    """The objective is quadratic, so that central differences are exact: they vanish at its minimum only."""
    beta = fit_aligned(*parts(), weight=2.0, rho=0.5, eta=0.3).numpy()
    for step in np.random.default_rng(1).standard_normal((30, *beta.shape)):
        assert objective(beta + step) - objective(beta - step) == pytest.approx(0, abs=1e-8)
        assert objective(beta + step) > objective(beta)


def test_single_precision_is_near() -> None:
    exact = fit_aligned(*parts(), weight=2.0, rho=0.5, eta=0.3)
    K, y, E, L = (v.float() for v in parts())
    torch.testing.assert_close(fit_aligned(K, y, E, L, 2.0, 0.5, 0.3).double(), exact, atol=1e-4, rtol=0)


def test_gradients_are_right() -> None:
    K, y, E, L = (v.requires_grad_() for v in parts())
    assert torch.autograd.gradcheck(lambda *v: fit_aligned(v[0], v[1], v[2], v[3], 2.0, 0.5, 0.3), (K, y, E, L))


@pytest.mark.parametrize("iterations", [1, 4])
def test_own_labels_give_the_solution_of_a_loop_that_solves_the_equations(iterations: int) -> None:
    """The Laplacian is the library's own, which has tests of its own; all else is computed here."""
    rng = np.random.default_rng(3)
    y_s, y = np.arange(24) % 3, np.arange(18) % 3
    corner = 2 * np.eye(3, 4)
    g_s, g_t = corner[y_s] + 0.5 * rng.normal(size=(24, 4)), corner[y] + 0.9 * rng.normal(size=(18, 4)) + 0.4
    mu, weight, rho, eta = 0.3, 10.0, 0.7, 0.2
    found = fit_with_own_labels(
        *tensors(g_s, y_s, g_t), 4, mu=mu, weight=weight, rho=rho, eta=eta, neighbours=5, iterations=iterations
    )
    z, n, n_s = unit_rows(np.concatenate([g_s, g_t])), 42, 24
    K, L = np.exp(-(cdist(z, z) ** 2) / 2), cosine_laplacian(torch.from_numpy(z), 5).numpy()
    Y = np.concatenate([np.eye(4)[y_s], np.zeros((18, 4))])
    S = np.diag([1.0] * n_s + [0.0] * 18)
    y_t = KNeighborsClassifier(1).fit(z[:n_s], y_s).predict(z[n_s:])
    for _ in range(iterations):
        M = np.zeros((n, n))
        for k, part in ((None, (1 - mu) * 3), *((k, mu) for k in range(3))):
            e = np.zeros(n)
            mine, theirs = (
                (np.arange(n_s), np.arange(18)) if k is None else (np.where(y_s == k)[0], np.where(y_t == k)[0])
            )
            if not len(theirs):
                continue
            e[mine], e[n_s + theirs] = 1 / len(mine), -1 / len(theirs)
            M += part * np.outer(e, e)
        M /= np.linalg.norm(M)
        beta = np.linalg.solve((S + weight * M + rho * L) @ K + eta * np.eye(n), Y)
        y_t = (K[n_s:] @ beta)[:, :3].argmax(1)
    np.testing.assert_allclose(found[0], z, atol=1e-12)
    np.testing.assert_allclose(found[1], beta, atol=1e-8)
    assert found[2][:3].abs().max() == 0 and float(found[2][3]) < -1e3
