"""Ridge regression against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from dalib.nn.ridge import fit_ridge


def rows(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 3, rng.standard_normal((n, 2)) - 1


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (8, 8)])
@pytest.mark.parametrize("reg", [1e-3, 0.5])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_ridge_is_scikit_learns(shape: tuple[int, int], reg: float, dtype: torch.dtype, atol: float) -> None:
    z, y = rows(*shape)
    reference = Ridge(alpha=len(z) * reg * z.var(0).sum()).fit(z, y)
    W, b = fit_ridge(torch.as_tensor(z, dtype=dtype), torch.as_tensor(y, dtype=dtype), reg)
    assert W.dtype == b.dtype == dtype
    np.testing.assert_allclose(W.T.numpy(), reference.coef_, atol=atol)
    np.testing.assert_allclose(b.numpy(), reference.intercept_, atol=atol)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_ridge_has_the_right_gradient(shape: tuple[int, int]) -> None:
    z, y = (torch.from_numpy(a).requires_grad_() for a in rows(*shape))
    assert torch.autograd.gradcheck(lambda z, y: fit_ridge(z, y, 0.1), (z, y))


@pytest.mark.parametrize("z", [torch.zeros(4, 3), torch.full((4, 3), 1e6), torch.ones(2, 3)])
def test_constant_rows_get_the_mean(z: torch.Tensor) -> None:
    y = torch.arange(2.0 * len(z)).reshape(-1, 2)
    W, b = fit_ridge(z.double(), y.double(), 0.1)
    torch.testing.assert_close(z.double() @ W + b, y.double().mean(0).expand(len(z), -1))


def test_predictions_do_not_depend_on_the_features_scale() -> None:
    z, y = (torch.from_numpy(a) for a in rows(20, 4))
    (W, b), (W_9, b_9) = fit_ridge(z, y, 0.1), fit_ridge(1e9 * z, y, 0.1)
    torch.testing.assert_close(1e9 * z @ W_9 + b_9, z @ W + b, rtol=0, atol=1e-8)
