"""Low-rank updates against NumPy and plain torch layers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dalib.nn.low_rank import LowRank, add_low_rank_updates
from tests.support.tensors import randn


def layers() -> nn.Sequential:
    """A convolution, a batch norm, a grouped convolution and a linear layer, for (B, 4, 6, 6)."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Flatten(),
        nn.Linear(96, 5),
    )


def test_an_update_is_a_convolution_with_few_filters_followed_by_a_1x1_convolution() -> None:
    x, layer = randn(2, 4, 6, 6), nn.Conv2d(4, 8, 3, stride=2, padding=1).double()
    plain = copy.deepcopy(layer)
    (update,) = add_low_rank_updates(layer, 3, 0.7)
    nn.init.normal_(update.B)
    filters = F.conv2d(x, update.A.view(3, 4, 3, 3), stride=2, padding=1)
    expected = plain(x) + 0.7 * F.conv2d(filters, update.B[:, :, None, None])
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("shape", [(7, 5), (6, 4, 3, 3)])
def test_the_updated_weight_is_numpys(shape: tuple[int, ...]) -> None:
    W = randn(*shape)
    update = LowRank(W.shape, 2, 0.5).double()
    assert torch.equal(update(W), W)
    nn.init.normal_(update.B)
    B, A = update.B.detach().numpy(), update.A.detach().numpy()
    matrix = W.numpy().reshape(shape[0], -1)
    expected = [
        [w + 0.5 * sum(B[i, r] * A[r, j] for r in range(2)) for j, w in enumerate(m)] for i, m in enumerate(matrix)
    ]
    np.testing.assert_allclose(update(W).detach().numpy(), np.reshape(expected, shape), rtol=0, atol=1e-8)
    change = (update(W) - W).reshape(shape[0], -1)
    assert int(torch.linalg.matrix_rank(change)) == 2


def test_dense_layers_get_an_update_and_the_function_stays_until_it_learns() -> None:
    module, x = layers().eval(), torch.randn(2, 4, 6, 6)
    before = module(x)
    updates = add_low_rank_updates(module, 2, 1.0)
    assert [tuple(u.B.shape) + tuple(u.A.shape) for u in updates] == [(6, 2, 2, 36), (5, 2, 2, 96)]
    assert torch.equal(module(x), before)


def test_a_second_update_starts_from_the_learned_weights_and_leaves_a_copy_alone() -> None:
    module, x = layers().double().eval(), randn(2, 4, 6, 6)
    for update in add_low_rank_updates(module, 2, 1.0):
        nn.init.normal_(update.B)
    learned, other = module(x), copy.deepcopy(module)
    updates = add_low_rank_updates(module, 3, 1.0)
    assert [m for m in module.modules() if isinstance(m, LowRank)] == updates
    for both in (module, other):
        torch.testing.assert_close(both(x), learned, rtol=0, atol=1e-8)


def test_attention_gets_updates_of_both_projections() -> None:
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).double()
    x = randn(2, 5, 8)
    before = block.train()(x)
    updates = add_low_rank_updates(block, 2, 1.0)
    assert [u.B.shape[0] for u in updates] == [24, 8, 16, 8]
    torch.testing.assert_close(block(x), before, rtol=0, atol=1e-12)
    for update in updates:
        nn.init.normal_(update.B)
    with torch.no_grad():
        changed = block(x)
        assert float((changed - before).abs().max()) > 0.1
        torch.testing.assert_close(block.eval()(x), changed, rtol=0, atol=1e-8)
