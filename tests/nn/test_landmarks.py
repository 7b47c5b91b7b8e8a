"""The graph row by row is the dense one, and all rows as landmarks give the exact solution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn import landmarks
from dalib.nn.components import kernel_features
from dalib.nn.landmarks import cosine_graph, fit_at_landmarks
from dalib.nn.manifold import cosine_laplacian, fit_with_own_labels

HOW = {"weight": 10.0, "rho": 0.7, "eta": 0.1, "neighbours": 5, "iterations": 4}


def rows(n: int = 60, d: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    z = torch.eye(3, d, dtype=torch.float64)[y] * 2 + torch.randn(n, d, generator=chance, dtype=torch.float64)
    t = torch.eye(3, d, dtype=torch.float64)[y] * 2 + torch.randn(n, d, generator=chance, dtype=torch.float64) + 0.3
    return z, y, t


@pytest.mark.parametrize("chunk", [1 << 22, 130])
@pytest.mark.parametrize("k", [0, 4, 200])
def test_the_sparse_graph_is_the_dense_laplacian(k: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks, "_CHUNK", chunk)
    z = rows()[0]
    W, scale = cosine_graph(z, k)
    dense = np.eye(len(z)) - scale[:, None] * W.toarray() * scale
    np.testing.assert_allclose(dense, cosine_laplacian(z, k).numpy(), atol=1e-12)


@pytest.mark.parametrize("mu", [None, 0.3])
def test_all_rows_as_landmarks_give_the_exact_function(mu: float | None) -> None:
    """beta may differ where the kernel's matrix is nearly singular; f does not."""
    z, y, t = rows()
    exact, few = (
        fit(z, y, t, 3, *more, mu=mu, **HOW) for fit, more in ((fit_with_own_labels, ()), (fit_at_landmarks, (120,)))
    )
    x = torch.nn.functional.normalize(rows(30)[2] + 0.1)
    f, g = (kernel_features("rbf", x, kept, 0.5) @ beta + bias for kept, beta, bias in (exact, few))
    assert len(few[0]) == 120
    torch.testing.assert_close(f, g, atol=1e-5, rtol=1e-4)


def test_the_function_minimises_its_sum_in_the_span_of_its_kernels() -> None:
    """One solution given labels: the sum, spelt out over pairs of rows, is larger at every small change."""
    z, y, t = rows()
    kept, beta, _ = fit_at_landmarks(z, y, t, 3, 10, mu=0.0, **{**HOW, "iterations": 1})
    x = torch.nn.functional.normalize(torch.cat([z, t]))
    K, L = kernel_features("rbf", x, kept, 0.5), cosine_laplacian(x, HOW["neighbours"])

    def total(b: torch.Tensor) -> float:
        f = K @ b
        norm = (b * (kernel_features("rbf", kept, kept, 0.5) @ b)).sum()
        means = f[:60].mean(0) - f[60:].mean(0)
        scale = 1 / (2 / 60)  # ||M||_F = 1
        fit = (torch.eye(3).double()[y] - f[:60]).square().sum()
        return float(fit + 10 * scale * means.square().sum() + 0.7 * (f * (L @ f)).sum() + 0.1 * norm)

    least = total(beta)
    for seed in range(20):
        step = torch.randn(beta.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert total(beta + 1e-3 * step) > least < total(beta - 1e-3 * step)


def test_a_class_without_a_row_is_never_answered() -> None:
    z, y, t = rows()
    exact, few = (
        fit(z, y, t, 5, *more, mu=0.5, **HOW) for fit, more in ((fit_with_own_labels, ()), (fit_at_landmarks, (40,)))
    )
    assert torch.equal(exact[2], few[2]) and (few[2][3:] < -1e3).all() and not few[2][:3].any()
    f = kernel_features("rbf", torch.nn.functional.normalize(t), few[0], 0.5) @ few[1] + few[2]
    assert f.argmax(1).max() < 3
