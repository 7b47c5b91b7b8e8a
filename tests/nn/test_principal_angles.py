"""Distances of subspaces and of inverse Gram matrices: the authors' formulas by plain SVDs, and gradients by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dalib.nn import principal_angles
from dalib.nn.principal_angles import gram_distance, subspace_distance


def batches(n: int, m: int, d: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    a = torch.randn(n, d, generator=g, dtype=torch.float64)
    b = torch.randn(m, d, generator=g, dtype=torch.float64) * 1.5 + 0.3
    return a.requires_grad_(), b.requires_grad_()


def rsd_by_svd(z_s: Tensor, z_t: Tensor, mismatch: float) -> Tensor:
    """Angles between spans by three decompositions with torch's own gradients."""
    U_s = torch.linalg.svd(z_s.T, full_matrices=False).U
    U_t = torch.linalg.svd(z_t.T, full_matrices=False).U
    P_s, cosine, Ph_t = torch.linalg.svd(U_s.T @ U_t)
    return (1 - cosine**2).sqrt().sum() + mismatch * torch.linalg.matrix_norm(P_s.abs() - Ph_t.T.abs())


@pytest.mark.parametrize("mismatch", [0.0, 0.1, 2.0])
def test_the_subspace_distance_is_the_formula_of_the_paper(mismatch: float) -> None:
    z_s, z_t = batches(7, 7, 40)
    torch.testing.assert_close(subspace_distance(z_s, z_t, mismatch), rsd_by_svd(z_s, z_t, mismatch))


def test_its_gradient_is_autograds_where_singular_values_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    z_s, z_t = batches(7, 7, 40)
    monkeypatch.setattr(principal_angles, "BROADENING", 1e-12)
    got = torch.autograd.grad(subspace_distance(z_s, z_t, 0.1), (z_s, z_t))
    expected = torch.autograd.grad(rsd_by_svd(z_s, z_t, 0.1), (z_s, z_t))
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


def test_equal_spans_are_at_distance_zero_and_orthogonal_ones_at_their_dimension() -> None:
    z = torch.randn(4, 12, dtype=torch.float64)
    assert float(subspace_distance(z, 3 * z, 0.1)) < 1e-5
    apart = torch.eye(12, dtype=torch.float64) * torch.arange(12, 0, -1)
    assert float(subspace_distance(apart[:3], apart[6:9], 0.0)) == pytest.approx(3.0)


def test_at_most_half_of_the_dimensions_is_compared() -> None:
    z_s, z_t = batches(20, 30, 9)
    U_s, U_t = (torch.linalg.svd(z.T, full_matrices=False).U[:, :4] for z in (z_s, z_t))
    P_s, cosine, Ph_t = torch.linalg.svd(U_s.T @ U_t)
    expected = (1 - cosine**2).sqrt().sum() + 0.1 * torch.linalg.matrix_norm(P_s.abs() - Ph_t.T.abs())
    torch.testing.assert_close(subspace_distance(z_s, z_t, 0.1), expected)
    assert float(expected.detach()) > 0.5


@pytest.mark.parametrize("z", [torch.zeros(6, 8), torch.ones(6, 8), torch.eye(6, 8)])
@pytest.mark.parametrize("distance", [subspace_distance, gram_distance])
def test_degenerate_batches_have_finite_gradients(z: Tensor, distance: object) -> None:
    z_s, z_t = z.clone().requires_grad_(), z.clone().requires_grad_()
    value = distance(z_s, z_t)  # type: ignore[operator]
    assert value.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, (z_s, z_t)))


def gram_by_pinv(z_s: Tensor, z_t: Tensor, angle: float, scale: float, threshold: float) -> Tensor:
    """The whole (d + 1, d + 1) Gram matrices and torch's truncated pseudo-inverse."""
    A_s, A_t = (torch.cat([torch.ones(len(z), 1).to(z), z], 1) for z in (z_s, z_t))
    grams = [A.T @ A for A in (A_s, A_t)]
    values = [torch.linalg.svdvals(G) for G in grams]
    numbers = []
    for v in values:
        share = (v.cumsum(0) / v.sum()).detach()
        limit = max(float(share[1]), threshold)
        numbers.append(max(i for i, s in enumerate(share.tolist()) if s <= limit))
    k = max(numbers)
    cut = [
        torch.linalg.pinv(G, rtol=float((v[k] / v[0]).detach()) * (1 + 1e-9))
        for G, v in zip(grams, values, strict=True)
    ]
    cosine = torch.nn.functional.cosine_similarity(cut[0], cut[1], dim=0, eps=1e-6)
    return angle * (1 - cosine).abs().mean() + scale * (values[0][:k] - values[1][:k]).norm() / k


@pytest.mark.parametrize("shape", [(8, 8, 20), (8, 8, 4), (30, 30, 6)])
@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.95, 0.999])
def test_the_gram_distance_is_that_of_truncated_pseudo_inverses(shape: tuple[int, int, int], threshold: float) -> None:
    z_s, z_t = batches(*shape)
    torch.testing.assert_close(
        gram_distance(z_s, z_t, 0.05, 0.001, threshold), gram_by_pinv(z_s, z_t, 0.05, 0.001, threshold)
    )


@pytest.mark.parametrize("shape", [(6, 5, 9), (9, 9, 4)])
def test_its_gradient_is_that_of_small_differences(shape: tuple[int, int, int]) -> None:
    assert torch.autograd.gradcheck(lambda a, b: gram_distance(a, b, 0.05, 0.001, 0.9), batches(*shape), atol=1e-6)


def test_the_same_batch_is_at_distance_zero() -> None:
    z = torch.randn(9, 5, dtype=torch.float64)
    assert float(gram_distance(z, z.clone())) == pytest.approx(0.0, abs=1e-6)
