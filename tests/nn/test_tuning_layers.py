"""Parts of regularised and parameter-efficient fine-tuning against NumPy, plain loops and plain torch layers."""

from __future__ import annotations

import copy
import itertools
import math
from collections import deque

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalib.backbones import load_backbone
from dalib.nn.adapter import Adapted, Adapter, insert_adapters, output_width
from dalib.nn.averaging import move_towards
from dalib.nn.contrastive import contrast_with_classes, push_rows
from dalib.nn.feature_maps import feature_map_distance, find_outlets, record_outputs
from dalib.nn.gradient_norm import carry_gradient, unit_step
from dalib.nn.low_rank import LowRank, add_low_rank_updates
from dalib.nn.shrinkage import smallest_squared_singular_values
from dalib.nn.stoch_norm import make_stochastic

BACKBONES = ("tiny", "mobilenet_v2")


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def layers() -> nn.Sequential:
    """A convolution, a batch norm, a grouped convolution and a linear layer, for (B, 4, 6, 6)."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Flatten(),
        nn.Linear(96, 5),
    )


# feature maps


@pytest.mark.parametrize("shape", [(4, 5), (4, 3, 5), (4, 5, 2, 3)])
def test_the_distance_sums_channels_and_averages_rows_and_positions(shape: tuple[int, ...]) -> None:
    a, b = randn(*shape), randn(*shape, seed=1)
    rows_a, rows_b = ((v.flatten(2) if v.ndim == 4 else v.reshape(4, -1, 5).mT).numpy() for v in (a, b))
    total = 0.0
    for i, c, position in itertools.product(*map(range, rows_a.shape)):
        total += (rows_a[i, c, position] - rows_b[i, c, position]) ** 2
    expected = total / (2 * rows_a.shape[0] * rows_a.shape[2])
    assert float(feature_map_distance(a, b)) == pytest.approx(expected, abs=1e-8)
    assert float(feature_map_distance(a.float(), b.float())) == pytest.approx(expected, abs=1e-4)
    assert torch.autograd.gradcheck(feature_map_distance, (a.requires_grad_(), b))


@pytest.mark.parametrize("name", BACKBONES)
def test_every_block_has_an_outlet_and_the_last_one_is_what_the_backbone_pools(name: str) -> None:
    backbone = load_backbone(name, "none")
    module = backbone.module.eval()
    names = find_outlets(module, backbone.groups)
    assert len(set(names)) == len(backbone.groups)
    with torch.no_grad(), record_outputs(module.get_submodule(n) for n in names) as maps:
        z = module(torch.randn(2, 3, 64, 64))
    assert len(maps) == len(names)
    torch.testing.assert_close(maps[-1].mean((2, 3)), z)
    with torch.no_grad():
        module(torch.randn(2, 3, 64, 64))
    assert len(maps) == len(names), "hooks stay behind"


def test_blocks_that_only_list_layers_are_read_at_their_last_layer() -> None:
    resnet = load_backbone("resnet18", "none")
    assert find_outlets(resnet.module, resnet.groups) == ["bn1", "layer1", "layer2", "layer3", "layer4"]
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    tokens = nn.ParameterList([nn.Parameter(torch.zeros(2))])
    listed = [nn.ModuleList([module[0], tokens]), module[1:3], nn.Linear(2, 2)]
    assert find_outlets(module, listed) == ["0", "2"]


# low-rank updates


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


# stochastic normalisation


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


# adapters


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5), (3, 5, 2, 4), (3, 2, 4, 5)])
def test_an_adapter_adds_a_bottleneck_at_every_position(shape: tuple[int, ...]) -> None:
    adapter, h = Adapter(5, 2).double(), randn(*shape)
    assert torch.equal(adapter(h), h)
    for p in adapter.parameters():
        nn.init.normal_(p)
    D, d, U, u = (p.detach().numpy() for p in adapter.parameters())
    axis = 1 if len(shape) == 4 and shape[1] == 5 else -1
    rows = h.movedim(axis, -1).reshape(-1, 5).numpy()
    expected = np.stack([row + U @ np.maximum(D @ row + d, 0) + u for row in rows])
    got = adapter(h).detach()
    assert got.shape == h.shape
    np.testing.assert_allclose(got.movedim(axis, -1).reshape(-1, 5).numpy(), expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        adapter.float()(h.float()).detach().movedim(axis, -1).reshape(-1, 5).numpy(), expected, rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("name", BACKBONES)
def test_adapters_fit_behind_every_block_and_change_nothing_at_first(name: str) -> None:
    backbone = load_backbone(name, "none")
    module, x = backbone.module.eval(), torch.randn(2, 3, 64, 64)
    names = find_outlets(module, backbone.groups)
    with torch.no_grad(), record_outputs(module.get_submodule(n) for n in names) as maps:
        before = module(x)
    assert [output_width(module.get_submodule(n)) for n in names] == [m.shape[1] for m in maps]
    for _ in range(2):
        adapters = insert_adapters(module, list(backbone.groups), 8)
        with torch.no_grad():
            assert torch.equal(module(x), before)
        assert [m for m in module.modules() if isinstance(m, Adapter)] == adapters
        assert [a.down.weight.shape for a in adapters] == [(8, m.shape[1]) for m in maps]
    assert not any(isinstance(m.block, Adapted) for m in module.modules() if isinstance(m, Adapted))


def test_a_block_without_layers_of_a_width_is_refused() -> None:
    with pytest.raises(ValueError, match="ReLU has no layer"):
        output_width(nn.ReLU())


# contrasts


def test_the_contrast_is_a_mean_over_keys_of_the_own_class() -> None:
    own, stored = unit(randn(4, 3))[:, 0], randn(4, 3, 2, seed=1)
    filled = torch.tensor([[True, True], [True, False], [False, False]])
    y = torch.tensor([0, 1, 2, 0])
    total = 0.0
    for i in range(4):
        keys = [(float(own[i]), True)]
        keys += [(float(stored[i, k, j]), k == int(y[i])) for k in range(3) for j in range(2) if filled[k, j]]
        below = math.log(sum(math.exp(s / 0.3) for s, _ in keys))
        positive = [s / 0.3 - below for s, is_own in keys if is_own]
        total -= sum(positive) / len(positive) / 4
    assert float(contrast_with_classes(own, stored, filled, y, 0.3)) == pytest.approx(total, abs=1e-8)
    assert float(contrast_with_classes(own.float(), stored.float(), filled, y, 0.3)) == pytest.approx(total, abs=1e-4)
    leaves = own.requires_grad_(), stored.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: contrast_with_classes(a, b, filled, y, 0.3), leaves)


def test_an_empty_store_leaves_nothing_to_contrast() -> None:
    own = torch.ones(3, requires_grad=True)
    value = contrast_with_classes(
        own, torch.zeros(3, 2, 4), torch.zeros(2, 4, dtype=torch.bool), torch.zeros(3).long(), 0.07
    )
    value.backward()
    assert float(value.detach()) == 0 and own.grad is not None and own.grad.isfinite().all()


def test_the_queue_is_a_deque_per_class() -> None:
    K, n, d = 3, 4, 2
    queue, reference = torch.zeros(K, n, d), [deque([(0.0, 0.0)] * n, maxlen=n) for _ in range(K)]
    g = torch.Generator().manual_seed(0)
    for size in (5, 1, 7, 16, 3):
        rows, y = torch.randn(size, d, generator=g), torch.randint(0, 2 if size == 7 else K, (size,), generator=g)
        if size == 16:
            y[:9] = 1
        kept = [[tuple(r) for r, c in zip(rows.tolist(), y.tolist(), strict=True) if c == k] for k in range(K)]
        for k in range(K):
            reference[k] = deque([*kept[k], *reference[k]][:n], maxlen=n)
        queue = push_rows(queue, rows, y)
        assert queue.is_contiguous()
        assert torch.equal(queue, torch.tensor([list(r) for r in reference]))


# the spectrum's small end


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6)])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_small_singular_values_are_numpys(shape: tuple[int, int], k: int) -> None:
    z = randn(*shape)
    expected = (np.sort(np.linalg.svd(z.numpy(), compute_uv=False))[:k] ** 2).sum()
    assert float(smallest_squared_singular_values(z, k)) == pytest.approx(expected, abs=1e-8)
    assert float(smallest_squared_singular_values(z.float(), k)) == pytest.approx(expected, abs=1e-4)
    assert torch.autograd.gradcheck(lambda v: smallest_squared_singular_values(v, k), (z.requires_grad_(),))


@pytest.mark.parametrize("constant", [0.0, 1.0, 1e4])
def test_rows_that_are_alike_have_nothing_to_shrink(constant: float) -> None:
    z = torch.full((6, 32), constant, requires_grad=True)
    value = smallest_squared_singular_values(z)
    value.backward()
    assert float(value.detach()) <= 1e-6 * float(z.detach().square().sum())
    assert z.grad is not None and z.grad.isfinite().all()
    assert smallest_squared_singular_values(z.detach().bfloat16()).dtype == torch.float32


# gradients and averages


def test_a_unit_step_has_the_length_and_direction_of_the_whole_gradient() -> None:
    parts = [randn(2, 3), randn(4, seed=1)]
    whole = np.concatenate([p.numpy().ravel() for p in parts])
    got = np.concatenate([p.numpy().ravel() for p in unit_step(parts, 0.3)])
    np.testing.assert_allclose(got, 0.3 * whole / np.linalg.norm(whole), rtol=0, atol=1e-12)
    assert all(float(p.abs().max()) == 0 for p in unit_step([torch.zeros(2), torch.zeros(3)], 0.3))


def test_a_carried_gradient_is_the_given_one_and_the_value_stays() -> None:
    weights = [randn(2, 3).requires_grad_(), randn(4).requires_grad_()]
    given = [randn(2, 3, seed=2), randn(4, seed=3)]
    value = carry_gradient(torch.tensor(1.5, dtype=torch.float64), given, weights)
    assert float(value.detach()) == 1.5
    for got, expected in zip(torch.autograd.grad(3 * value, weights), given, strict=True):
        torch.testing.assert_close(got, 3 * expected, rtol=0, atol=0)


def test_followers_move_by_the_part_and_counters_are_copied() -> None:
    mine, other = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    nn.init.constant_(other.weight, 3.0)
    other(torch.randn(4, 2))
    mean = other.running_mean.clone()
    move_towards([mine], [other], torch.tensor(0.25))
    assert mine.weight.tolist() == [1.5, 1.5] and int(mine.num_batches_tracked) == 1
    torch.testing.assert_close(mine.running_mean, 0.25 * mean)
