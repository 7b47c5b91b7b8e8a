import pytest
import torch
from torch import Tensor

from dalib.nn.discrepancy import FACTORS, coral_distance, mean_squared_distance, mmd2
from dalib.nn.joint_discrepancy import joint_mmd2


def rows(n: int, d: int, seed: int, shift: float = 0.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=g, dtype=torch.float64) + shift


def plain_kernel(z: Tensor, bandwidths: Tensor) -> Tensor:
    squared = (z[:, None] - z[None]).square().sum(2)
    return torch.exp(-squared[..., None] / (2 * bandwidths)).sum(2)


def plain_mmd2(k: Tensor, n: int, biased: bool) -> Tensor:
    ss, tt, st = k[:n, :n], k[n:, n:], k[:n, n:]
    if biased:
        return ss.mean() + tt.mean() - 2 * st.mean()
    m = len(tt)
    within = (ss.sum() - ss.trace()) / (n * (n - 1)) + (tt.sum() - tt.trace()) / (m * (m - 1))
    return within - 2 * st.mean()


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_mmd2_has_the_gradient_of_autograd_on_the_plain_formula(biased: bool, given: bool) -> None:
    z_s, z_t = rows(7, 5, 0).requires_grad_(), rows(9, 5, 1, 0.5).requires_grad_()
    bandwidths = torch.tensor([0.7, 3.0], dtype=torch.float64) if given else None
    found = mmd2(z_s, z_t, bandwidths, "biased" if biased else "unbiased")
    pooled = torch.cat([z_s, z_t])
    sigma2 = (
        mean_squared_distance(pooled) * torch.tensor(FACTORS, dtype=torch.float64) if bandwidths is None else bandwidths
    )
    plain = plain_mmd2(plain_kernel(pooled, sigma2), 7, biased)
    torch.testing.assert_close(found, plain, rtol=1e-10, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad(3 * found, [z_s, z_t]), torch.autograd.grad(3 * plain, [z_s, z_t]), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_joint_mmd2_of_three_layers_has_the_gradient_of_autograd_on_the_plain_formula() -> None:
    layers_s = [rows(6, d, d).requires_grad_() for d in (2, 3, 4)]
    layers_t = [rows(5, d, 10 + d, 0.3).requires_grad_() for d in (2, 3, 4)]
    sigma2 = torch.tensor([2.0, 5.0], dtype=torch.float64)
    found = joint_mmd2(layers_s, layers_t, [sigma2] * 3)
    kernels = [plain_kernel(torch.cat(pair), sigma2) for pair in zip(layers_s, layers_t, strict=True)]
    plain = plain_mmd2(kernels[0] * kernels[1] * kernels[2], 6, biased=False)
    torch.testing.assert_close(found, plain, rtol=1e-10, atol=1e-12)
    leaves = layers_s + layers_t
    for a, b in zip(torch.autograd.grad(found, leaves), torch.autograd.grad(plain, leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("distance", [mmd2, coral_distance])
def test_many_runs_at_once_have_the_gradients_of_each(distance) -> None:  # type: ignore[no-untyped-def]
    z_s, z_t = rows(3 * 6, 4, 0).view(3, 6, 4), rows(3 * 5, 4, 1, 1.0).view(3, 5, 4)
    together = torch.vmap(torch.func.grad(distance, argnums=(0, 1)))(z_s, z_t)
    for i in range(3):
        leaves = z_s[i].clone().requires_grad_(), z_t[i].clone().requires_grad_()
        for a, b in zip(together, torch.autograd.grad(distance(*leaves), leaves), strict=True):
            torch.testing.assert_close(a[i], b)


def test_there_is_no_gradient_of_the_gradient() -> None:
    z = rows(6, 4, 0).requires_grad_()
    (first,) = torch.autograd.grad(mmd2(z, rows(5, 4, 1)), z, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        first.sum().backward()
