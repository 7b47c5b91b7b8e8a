"""Stochastic normalisation: one of two branches per channel."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from dalib.nn.stoch_norm import make_stochastic
from tests.support.tensors import randn


@pytest.mark.parametrize("shape", [(8, 6), (5, 6, 4), (4, 6, 3, 2), (3, 6, 2, 2, 2)])
def test_each_channel_takes_one_of_the_two_branches(shape: tuple[int, ...]) -> None:
    plain = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(shape)](6).double()
    for value in (plain.weight.data, plain.bias.data, plain.running_mean, plain.running_var):
        value.copy_(1 + torch.rand(6))
    norm = copy.deepcopy(plain)
    assert make_stochastic(norm, 0.5) == 1 and isinstance(norm, type(plain))
    assert list(norm.state_dict()) == list(plain.state_dict())
    x = randn(*shape)
    columns = x.numpy().swapaxes(0, 1).reshape(6, -1)
    w, b, m, v = (t.detach().numpy().copy() for t in (plain.weight, plain.bias, plain.running_mean, plain.running_var))
    by_batch, by_moving = (
        np.stack([w[c] * (columns[c] - mean[c]) / math.sqrt(var[c] + 1e-5) + b[c] for c in range(6)])
        for mean, var in ((columns.mean(1), columns.var(1)), (m, v))
    )
    torch.manual_seed(0)
    taken = []
    for _ in range(40):
        norm.load_state_dict(plain.state_dict())
        got = norm(x).detach().numpy().swapaxes(0, 1).reshape(6, -1)
        first, second = (np.abs(got - branch).max(1) < 1e-8 for branch in (by_batch, by_moving))
        assert (first ^ second).all()
        taken.append(first)
    assert 0.4 < np.mean(taken) < 0.6 and np.std(taken, axis=0).min() > 0
    expected = copy.deepcopy(plain)
    expected(x)
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(norm.state_dict()[key], value, rtol=0, atol=1e-12)
    torch.testing.assert_close(norm.eval()(x), expected.eval()(x), rtol=0, atol=0)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_at_the_ends_it_is_a_batch_norm_in_training_or_evaluation(p: float) -> None:
    x, plain = randn(6, 4), nn.BatchNorm1d(4).double()
    norm = copy.deepcopy(plain)
    make_stochastic(norm, p)
    torch.testing.assert_close(norm(x), plain.train(bool(p))(x), rtol=0, atol=0)
    assert make_stochastic(norm, 0.3) == 1 and norm.p == 0.3
    assert torch.autograd.gradcheck(lambda v: copy.deepcopy(norm.eval())(v), (x.requires_grad_(),))


def test_constant_rows_have_finite_gradients_and_layers_without_moving_statistics_stay() -> None:
    norm, x = nn.BatchNorm1d(4), torch.full((5, 4), 1e4, requires_grad=True)
    make_stochastic(norm, 0.5)
    norm(x).square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    module = nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False))
    before = module(randn(5, 4).float())
    make_stochastic(module, 0.5)
    assert torch.equal(module(randn(5, 4).float()), before)
