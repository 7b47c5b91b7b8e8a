"""Graph of neighbours and aligned regression against loops, and against the objective itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.components import mean_contrasts
from dalib.nn.manifold import cosine_laplacian, fit_aligned

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
