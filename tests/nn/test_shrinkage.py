"""The smallest singular values against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.shrinkage import smallest_squared_singular_values
from tests.support.tensors import randn


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6)])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_small_singular_values_are_numpys(shape: tuple[int, int], k: int) -> None:
    z = randn(*shape)
    expected = (np.sort(np.linalg.svd(z.numpy(), compute_uv=False))[:k] ** 2).sum()
    assert float(smallest_squared_singular_values(z, k)) == pytest.approx(expected, abs=1e-8)
    assert float(smallest_squared_singular_values(z.float(), k)) == pytest.approx(expected, abs=1e-4)
    assert torch.autograd.gradcheck(lambda v: smallest_squared_singular_values(v, k), (z.requires_grad_(),))


@pytest.mark.parametrize("constant", [0.0, 1.0, 1e4])
def test_rows_that_are_alike_have_nothing_to_shrink(constant: float) -> None:
    z = torch.full((6, 32), constant, requires_grad=True)
    value = smallest_squared_singular_values(z)
    value.backward()
    assert float(value.detach()) <= 1e-6 * float(z.detach().square().sum())
    assert z.grad is not None and z.grad.isfinite().all()
    assert smallest_squared_singular_values(z.detach().bfloat16()).dtype == torch.float32
