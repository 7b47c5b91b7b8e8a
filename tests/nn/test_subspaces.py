"""Subspaces against NumPy: eigenvectors of the covariance, quadrature along the geodesic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import expm, subspace_angles
from sklearn.decomposition import PCA

from dalib.nn.subspaces import count_axes, geodesic_flow, paired_axes, principal_axes


def basis(d: int, k: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(torch.from_numpy(np.random.default_rng(seed).standard_normal((d, k))))[0]


def test_principal_axes_are_the_covariances_leading_eigenvectors() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((30, 6)) @ rng.standard_normal((6, 6)) + 5
    values, vectors = np.linalg.eigh(np.cov(z.T))
    P = principal_axes(torch.from_numpy(z), 3).numpy()
    np.testing.assert_allclose(np.abs(P.T @ vectors[:, np.argsort(-values)[:3]]), np.eye(3), atol=1e-8)


def test_there_are_no_more_axes_than_columns_or_than_rows_less_one() -> None:
    assert principal_axes(torch.randn(5, 3), 20).shape == (3, 3)
    assert principal_axes(torch.randn(3, 7), 20).shape == (7, 2)


def test_axes_that_rounding_would_choose_are_left_out() -> None:
    few = torch.randn(4, 9, dtype=torch.float64)
    for z in (few.repeat(5, 1), torch.randn(20, 3, dtype=torch.float64) @ torch.randn(3, 9, dtype=torch.float64) + 1e3):
        assert principal_axes(z, 20).shape == (9, 3)
    assert not principal_axes(few[:1], 20).any() and principal_axes(few[:1], 20).shape == (9, 1)


def test_of_two_samples_as_many_axes_are_taken_as_the_smaller_has() -> None:
    many, few = torch.randn(30, 9), torch.randn(5, 9)
    assert [P.shape for P in paired_axes(many, few, 6)] == [P.shape for P in paired_axes(few, many, 6)] == [(9, 4)] * 2


@pytest.mark.parametrize("shape", [(30, 6), (5, 12)])
@pytest.mark.parametrize("part", [0.5, 0.9, 0.999])
def test_axes_are_counted_as_sklearns_principal_components_are(shape: tuple[int, int], part: float) -> None:
    rng = np.random.default_rng(1)
    z = rng.standard_normal(shape) * np.arange(1, shape[1] + 1) + 7
    assert count_axes(torch.from_numpy(z), part) == PCA(part, svd_solver="full").fit(z).n_components_


def test_rows_that_do_not_differ_have_one_axis() -> None:
    assert count_axes(torch.ones(4, 3, dtype=torch.float64)) == 1


@pytest.mark.parametrize(("d", "k"), [(7, 2), (7, 3), (5, 4)])
def test_the_flow_kernel_is_the_integral_along_the_geodesic(d: int, k: int) -> None:
    """Independent of the closed form: Phi(t) = Q exp(tB) [I; 0] with B from the tangent at P_s, Gauss-Legendre in t."""
    P_s, P_t = basis(d, k, 0).numpy(), basis(d, k, 1).numpy()
    overlap = P_s.T @ P_t
    tangent = (P_t - P_s @ overlap) @ np.linalg.inv(overlap)
    U, s, Vh = np.linalg.svd(tangent, full_matrices=False)
    velocity = U @ np.diag(np.arctan(s)) @ Vh
    B = velocity @ P_s.T - P_s @ velocity.T
    nodes, weights = np.polynomial.legendre.leggauss(24)
    G = np.zeros((d, d))
    for t, w in zip((nodes + 1) / 2, weights / 2, strict=True):
        Phi = expm(t * B) @ P_s
        G += w * Phi @ Phi.T
    assert subspace_angles(expm(B) @ P_s, P_t).max() < 1e-7
    W = geodesic_flow(torch.from_numpy(P_s), torch.from_numpy(P_t)).numpy()
    assert W.shape == (d, 2 * k)
    np.testing.assert_allclose(W @ W.T, G, atol=1e-8)


def test_the_flow_between_equal_subspaces_is_the_projector() -> None:
    P = basis(6, 2, 0)
    W = geodesic_flow(P, P @ basis(2, 2, 3))
    torch.testing.assert_close(W @ W.T, P @ P.T, atol=1e-8, rtol=0)


def test_orthogonal_subspaces_meet_half_way() -> None:
    """theta = pi / 2: the diagonal blocks are 1/2, the cross blocks 1 / pi."""
    e = torch.eye(4, dtype=torch.float64)
    W = geodesic_flow(e[:, :1], e[:, 1:2])
    block = torch.tensor([[0.5, 1 / torch.pi], [1 / torch.pi, 0.5]], dtype=torch.float64)
    torch.testing.assert_close((W @ W.T)[:2, :2].abs(), block, atol=1e-8, rtol=0)


def test_the_flow_does_not_depend_on_the_bases() -> None:
    P_s, P_t = basis(8, 3, 0), basis(8, 3, 1)
    one, other = geodesic_flow(P_s, P_t), geodesic_flow(P_s @ basis(3, 3, 4), -P_t.flip(1))
    torch.testing.assert_close(one @ one.T, other @ other.T, atol=1e-8, rtol=0)
