"""Dropout: masks of `torch.rand`, the same in every precision, and nothing outside training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dalib.core.registry import ALGORITHMS
from dalib.nn.dropout import Dropout
from tests.support.algorithms import attached


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_kept_is_what_the_uniform_numbers_of_the_seed_say(dtype: torch.dtype) -> None:
    x = torch.linspace(1, 2, 12, dtype=dtype).reshape(3, 4).requires_grad_()
    torch.manual_seed(5)
    out = Dropout(0.25)(x)
    torch.manual_seed(5)
    kept = torch.rand(3, 4) >= 0.25
    assert out.dtype == dtype and 0 < kept.sum() < 12
    wanted = torch.where(kept, x.detach().double() * 4 / 3, torch.zeros((), dtype=torch.float64))
    torch.testing.assert_close(out.double(), wanted, rtol=1e-2 if dtype == torch.bfloat16 else 1e-6, atol=0)
    out.sum().backward()
    assert x.grad is not None and torch.equal(x.grad != 0, kept)


@pytest.mark.parametrize("shape", [(7,), (64, 33)])
def test_masks_are_those_of_the_mersenne_twister(shape: tuple[int, ...]) -> None:
    """NumPy's own, so that no make of processor has a word in them."""
    twister = np.random.MT19937()
    twister._legacy_seeding(3)  # type: ignore[attr-defined]
    uniform = (twister.random_raw(int(np.prod(shape))) & 0xFFFFFF) / 2**24
    torch.manual_seed(3)
    out = Dropout(0.4)(torch.ones(shape))
    assert np.array_equal(out.numpy() != 0, uniform.reshape(shape) >= 0.4)


def test_its_mean_is_that_of_its_input() -> None:
    torch.manual_seed(0)
    out = Dropout(0.3)(torch.ones(200_000))
    assert float(out.mean()) == pytest.approx(1, abs=5e-3) and float((out == 0).float().mean()) == pytest.approx(
        0.3, abs=5e-3
    )


def test_a_rate_of_one_leaves_zeros_and_no_nan() -> None:
    x = torch.ones(7, requires_grad=True)
    out = Dropout(1.0)(x)
    out.sum().backward()
    assert x.grad is not None and not out.any() and not x.grad.any()


def test_outside_training_or_at_rate_zero_nothing_happens_and_nothing_is_drawn() -> None:
    x = torch.ones(5)
    before = torch.get_rng_state()
    assert Dropout(0.5).eval()(x) is x and Dropout(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", [n for n in ALGORITHMS.names() if "dropout" in ALGORITHMS.get(n).hypers])
def test_algorithms_draw_their_masks_here(name: str) -> None:
    """PyTorch's own dropout would make a record differ between makes of processor."""
    layers = [m for m in attached(name).modules() if isinstance(m, nn.Dropout)]
    assert layers and all(type(m) is Dropout for m in layers)
