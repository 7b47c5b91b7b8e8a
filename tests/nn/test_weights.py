"""Flattened and mixed weights against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dalib.nn.weights import flatten_weights, mix_states

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}


def network(seed: int, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2)).to(dtype)
    module[1].running_mean.normal_()  # type: ignore[operator, union-attr]
    return module


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_flattened_weights_are_numpys_in_any_memory_format(dtype: torch.dtype, memory: torch.memory_format) -> None:
    module = network(0, dtype)
    expected = np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])
    flat = flatten_weights(module.to(memory_format=memory).parameters())
    np.testing.assert_array_equal(flat.detach().numpy(), expected)


def test_flattened_weights_pass_gradients_and_no_weights_are_none() -> None:
    weights = [torch.randn(2, 3, dtype=torch.float64, requires_grad=True), torch.randn(4, dtype=torch.float64)]
    assert torch.autograd.gradcheck(lambda w: flatten_weights([w, weights[1]]), weights[:1])
    assert flatten_weights([]).shape == (0,)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("part", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_a_mixture_is_the_weighted_mean_of_every_entry(dtype: torch.dtype, part: float) -> None:
    first, second = network(0, dtype).state_dict(), network(1, dtype).state_dict()
    second["1.num_batches_tracked"] += 7
    mixed = mix_states(first, second, part)
    assert list(mixed) == list(second) and mixed["1.num_batches_tracked"] == 7
    for key in mixed.keys() - {"1.num_batches_tracked"}:
        expected = (1 - part) * first[key].double().numpy() + part * second[key].double().numpy()
        np.testing.assert_allclose(mixed[key].numpy(), expected, rtol=0, atol=TOLERANCE[dtype])
        assert mixed[key].dtype == dtype
        assert part not in (0, 1) or torch.equal(mixed[key], (first, second)[int(part)][key])


def test_networks_of_different_shape_are_not_mixed() -> None:
    with pytest.raises(ValueError, match=r"differ in \['b'\]"):
        mix_states({"a": torch.zeros(1)}, {"a": torch.zeros(1), "b": torch.zeros(1)}, 0.5)
