"""The conditional map of features and predictions against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.adversarial import conditional_map

g = torch.Generator().manual_seed(0)
Z = torch.randn(7, 5, generator=g, dtype=torch.float64)
P = torch.randn(7, 3, generator=g, dtype=torch.float64).softmax(1)
MAPS = (torch.randn(5, 11, generator=g, dtype=torch.float64), torch.randn(3, 11, generator=g, dtype=torch.float64))


def test_the_exact_map_is_the_outer_product_of_every_row() -> None:
    reference = np.array([np.outer(p, z).ravel() for z, p in zip(Z.numpy(), P.numpy(), strict=True)])
    np.testing.assert_allclose(conditional_map(Z, P).numpy(), reference, atol=1e-12)
    np.testing.assert_allclose(conditional_map(Z.float(), P.float()).numpy(), reference, atol=1e-6)


def test_the_random_map_is_the_scaled_product_of_two_projections() -> None:
    z, p, (r_z, r_p) = Z.numpy(), P.numpy(), (m.numpy() for m in MAPS)
    reference = np.array(
        [
            [sum(z[i, a] * r_z[a, j] for a in range(5)) * sum(p[i, c] * r_p[c, j] for c in range(3)) for j in range(11)]
            for i in range(7)
        ]
    ) / np.sqrt(11)
    np.testing.assert_allclose(conditional_map(Z, P, MAPS).numpy(), reference, atol=1e-8)


def test_the_random_map_keeps_inner_products_on_average() -> None:
    r = torch.Generator().manual_seed(1)
    wide = tuple(torch.randn(n, 200_000, generator=r, dtype=torch.float64) for n in (5, 3))
    mapped, exact = conditional_map(Z, P, wide), conditional_map(Z, P)  # type: ignore[arg-type]
    torch.testing.assert_close(mapped @ mapped.T, exact @ exact.T, rtol=0, atol=0.1)


@pytest.mark.parametrize("maps", [None, MAPS])
def test_the_map_has_the_right_gradient(maps: tuple[torch.Tensor, torch.Tensor] | None) -> None:
    inputs = (Z[:3].clone().requires_grad_(), P[:3].clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda z, p: conditional_map(z, p, maps), inputs)
