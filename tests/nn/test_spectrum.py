"""Singular values against NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dalib.nn.spectrum import largest_squared_singular_value, nuclear_norm

SPECTRAL: list[Callable[[Tensor], Tensor]] = [nuclear_norm, largest_squared_singular_value]


def matrix(n: int = 9, m: int = 4) -> Tensor:
    return torch.randn(n, m, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6)])
def test_values_are_numpys(shape: tuple[int, int]) -> None:
    a = matrix(*shape)
    s = np.linalg.svd(a.numpy(), compute_uv=False)
    for value, reference in ((nuclear_norm, s.sum()), (largest_squared_singular_value, s[0] ** 2)):
        assert float(value(a)) == pytest.approx(reference, abs=1e-8)
        assert float(value(a.float())) == pytest.approx(reference, abs=1e-4)


@pytest.mark.parametrize("value", SPECTRAL)
@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_gradients_are_right(value: Callable[[Tensor], Tensor], shape: tuple[int, int]) -> None:
    assert torch.autograd.gradcheck(value, (matrix(*shape).requires_grad_(),))


def test_equal_singular_values_have_the_gradient_u_v() -> None:
    q = torch.linalg.qr(matrix(4, 4))[0].requires_grad_()
    (gradient,) = torch.autograd.grad(nuclear_norm(q), q)
    torch.testing.assert_close(gradient, q.detach(), rtol=0, atol=1e-10)


def test_equal_rows_have_the_gradient_of_their_one_direction() -> None:
    row = torch.tensor([0.7, 0.2, 0.1])
    p = row.repeat(6, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(nuclear_norm(p), p)
    torch.testing.assert_close(gradient, (row / row.norm() / 6**0.5).repeat(6, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("value", SPECTRAL)
@pytest.mark.parametrize("constant", [0.0, 1.0, 1000.1])
def test_constant_matrices_stay_finite(value: Callable[[Tensor], Tensor], constant: float) -> None:
    a = torch.full((6, 32), constant, requires_grad=True)
    s = value(a)
    s.backward()
    assert s.isfinite() and a.grad is not None and a.grad.isfinite().all()


@pytest.mark.parametrize("value", SPECTRAL)
def test_bfloat16_is_computed_in_single_precision_and_rows_may_be_permuted(value: Callable[[Tensor], Tensor]) -> None:
    a = matrix().bfloat16()
    assert value(a).dtype == torch.float32
    assert float(value(a)) == pytest.approx(float(value(a.float().flip(0))), rel=1e-5)


def test_certain_and_varied_predictions_have_the_largest_norm() -> None:
    certain, alike, unsure = torch.eye(4).repeat(2, 1), torch.eye(4)[[0] * 8], torch.full((8, 4), 0.25)
    assert float(nuclear_norm(certain)) == pytest.approx(4 * 2**0.5, abs=1e-5)
    assert float(nuclear_norm(certain)) > float(nuclear_norm(alike)) > float(nuclear_norm(unsure))


@pytest.mark.parametrize("shape", [(2, 100), (100, 2)])
def test_singular_values_below_rounding_of_the_longer_side_have_no_gradient(shape: tuple[int, int]) -> None:
    a = torch.zeros(shape, dtype=torch.float64)
    a[0, 0], a[1, 1] = 1.0, 50 * torch.finfo(torch.float64).eps
    a.requires_grad_()
    nuclear_norm(a).backward()
    assert a.grad is not None and a.grad[0, 0] == 1 and a.grad[1, 1] == 0
