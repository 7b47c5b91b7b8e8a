"""Virtual adversarial perturbations against NumPy on a linear softmax model, and passes that leave no trace."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor, nn

from dalib.nn.virtual_adversarial import own_virtual_adversarial, same_function, virtual_adversarial
from tests.support.tensors import unit_rows


def test_a_perturbation_is_about_the_networks_own_prediction_without_dropout() -> None:
    """A linear network: the worst direction by iteration on the Gauss-Newton matrix, from the same random start."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 4)).double().train()
    x = torch.randn(6, 3, dtype=torch.float64)
    torch.manual_seed(5)
    found = own_virtual_adversarial(network, network, x, radius=0.7, xi=1e-4, iterations=3)
    torch.manual_seed(5)
    d = torch.randn_like(x).numpy()
    W, b = network[1].weight.detach().numpy(), network[1].bias.detach().numpy()
    p = softmax(x.numpy() @ W.T + b, axis=1)
    for i in range(6):
        H = W.T @ (np.diag(p[i]) - np.outer(p[i], p[i])) @ W
        v = unit_rows(d[i])
        for _ in range(3):
            v = unit_rows(H @ v)
        moved = log_softmax((x[i].numpy() + 0.7 * v) @ W.T + b)
        assert float(found[i].detach()) == pytest.approx((p[i] * (np.log(p[i]) - moved)).sum(), rel=1e-3)
    assert network.training and network[0].training


B, D, K = 6, 5, 3


Array = np.ndarray


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, W, BIAS = rows(B, D), rows(D, K, seed=1), rows(K, seed=2)


def linear(x: Tensor) -> Tensor:
    return x @ W.to(x.dtype) + BIAS.to(x.dtype)


def bent(x: Tensor) -> Tensor:
    return linear(torch.tanh(x) + 0.3 * x.square())


def first_direction() -> Tensor:
    """What torch draws at seed 0, in float64."""
    torch.manual_seed(0)
    return torch.randn_like(X)


def kl(p: Array, log_q: Array) -> float:
    return sum(a * (np.log(a) - b) for a, b in zip(p, log_q, strict=True))


def reference(radius: float, xi: float, iterations: int) -> list[float]:
    """Row by row, with the linear model's gradient W (q - p)."""
    w, bias, values = W.numpy(), BIAS.numpy(), []
    for x, d in zip(X.numpy(), first_direction().numpy(), strict=True):
        p, d = softmax(x @ w + bias), d / np.linalg.norm(d)
        for _ in range(iterations):
            gradient = w @ (softmax((x + xi * d) @ w + bias) - p)
            d = gradient / np.linalg.norm(gradient)
        values.append(kl(p, log_softmax((x + radius * d) @ w + bias)))
    return values


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("radius", [0.1, 2.0])
def test_the_divergence_of_a_linear_model_is_that_of_a_loop(radius: float, iterations: int) -> None:
    torch.manual_seed(0)
    got = virtual_adversarial(linear, X, linear(X).softmax(1), radius, 1e-3, iterations)
    np.testing.assert_allclose(got.numpy(), reference(radius, 1e-3, iterations), rtol=0, atol=1e-8)


def test_single_precision_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    start = first_direction().float()
    monkeypatch.setattr(torch, "randn_like", lambda x: start)
    x = X.float()
    got = virtual_adversarial(linear, x, linear(x).softmax(1), 0.1, 1e-2)
    np.testing.assert_allclose(got.numpy(), reference(0.1, 1e-2, 1), rtol=0, atol=1e-4)


def test_the_gradient_is_that_of_finite_differences_where_the_model_is_bent() -> None:
    p, xi, h, expected = bent(X).softmax(1), 1e-2, 1e-6, []
    for x, d, target in zip(X, first_direction(), p.numpy(), strict=True):

        def divergence(r: Tensor, x: Tensor = x, target: Array = target) -> float:
            return kl(target, bent((x + r)[None]).log_softmax(1)[0].numpy())

        at = xi * d / d.norm()
        slope = torch.tensor([(divergence(at + h * e) - divergence(at - h * e)) / (2 * h) for e in torch.eye(D)])
        expected.append(divergence(0.5 * slope.double() / slope.norm()))
    torch.manual_seed(0)
    np.testing.assert_allclose(virtual_adversarial(bent, X, p, 0.5, xi).numpy(), expected, rtol=0, atol=1e-6)


def test_iterations_find_the_direction_of_largest_curvature() -> None:
    """KL(p || q(x + r)) is rᵀ H r / 2 to second order, H = W (diag p - p pᵀ) Wᵀ."""
    w, radius, largest = W.numpy(), 1e-3, []
    for p in linear(X).softmax(1).numpy():
        largest.append(np.linalg.eigvalsh(w @ (np.diag(p) - np.outer(p, p)) @ w.T)[-1])
    got = virtual_adversarial(linear, X, linear(X).softmax(1), radius, 1e-4, iterations=60)
    np.testing.assert_allclose(2 * got.numpy() / radius**2, largest, rtol=1e-2)


def test_its_gradient_for_the_model_is_that_of_the_divergence_at_a_fixed_perturbation() -> None:
    model, seen = nn.Linear(D, K).double(), []

    def watched(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return model(x)

    p = model(X).softmax(1)
    virtual_adversarial(watched, X, p, 1.0).sum().backward()
    got = [w.grad.clone() for w in model.parameters() if w.grad is not None]
    fixed = nn.functional.kl_div(model(seen[-1]).log_softmax(1), p.detach(), reduction="sum")
    for a, b in zip(got, torch.autograd.grad(fixed, [*model.parameters()]), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(D,), (3, 4, 4)])
def test_each_row_of_any_shape_moves_by_the_radius_and_the_input_is_left_alone(shape: tuple[int, ...]) -> None:
    x, seen = rows(B, *shape).requires_grad_(), []
    v = rows(x[0].numel(), K, seed=3)

    def watched(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1) @ v

    before = x.detach().clone()
    with torch.no_grad():
        value = virtual_adversarial(watched, x, watched(x).softmax(1), 2.0, 1e-3)
    for moved, length in zip(seen[1:], (1e-3, 2.0), strict=True):
        np.testing.assert_allclose((moved - before).flatten(1).norm(dim=1).numpy(), length, rtol=1e-9)
    assert value.shape == (B,) and (value > 0).all()
    assert torch.equal(x.detach(), before) and x.grad is None


@pytest.mark.parametrize("f", [lambda x: 1e4 * linear(x), lambda x: 0 * linear(x)])
def test_certain_and_constant_predictions_stay_finite(f: Callable[[Tensor], Tensor]) -> None:
    scale = torch.ones(1, requires_grad=True)
    x = X.float()
    value = virtual_adversarial(lambda x: scale * f(x), x, f(x).softmax(1), 1.0).sum()
    value.backward()
    assert value.isfinite() and scale.grad is not None and scale.grad.isfinite().all()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(D, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, K)
    ).double()


def test_passes_compute_one_function_and_leave_no_trace() -> None:
    net = network().train()
    net[3].eval()
    state, modes = {k: v.clone() for k, v in net.state_dict().items()}, [m.training for m in net.modules()]
    generator = torch.get_rng_state()
    with same_function(net):
        first, second = net(X), net(X)
        alone = net[1](net[0](X[:3]))
    assert torch.equal(first, second) and torch.equal(generator, torch.get_rng_state())
    torch.testing.assert_close(alone.mean(0), torch.zeros(8).double(), rtol=0, atol=1e-12)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert modes == [m.training for m in net.modules()] and net[1].track_running_stats


def test_modes_come_back_after_an_error() -> None:
    net = network().train()
    with pytest.raises(ZeroDivisionError), same_function(net):
        raise ZeroDivisionError
    assert all(m.training for m in net.modules()) and net[1].track_running_stats and net[3].track_running_stats
