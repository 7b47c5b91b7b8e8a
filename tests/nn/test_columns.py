"""Columns by their reach: NumPy's numbers, any unit, and nothing from a column that never differed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.columns import FARTHEST, ColumnReach


def trained(*batches: np.ndarray) -> ColumnReach:
    layer = ColumnReach(batches[0].shape[1]).train()
    for batch in batches:
        layer(torch.from_numpy(batch))
    return layer.eval()


def test_one_batch_is_centred_and_divided_by_its_largest_deviation() -> None:
    x = np.random.default_rng(0).normal(3, 2, (40, 6)).astype(np.float32)
    centred = x - x.mean(0)
    expected = centred / np.abs(centred).max(0)
    np.testing.assert_allclose(trained(x)(torch.from_numpy(x)).numpy(), expected, atol=1e-6)
    assert np.abs(expected).max() == pytest.approx(1)


def test_the_mean_is_that_of_all_batches_and_the_reach_never_shrinks() -> None:
    rng = np.random.default_rng(1)
    batches = [rng.normal(0, s, (n, 3)).astype(np.float32) for s, n in ((5, 32), (1, 20), (1, 7))]
    layer = trained(*batches)
    np.testing.assert_allclose(layer.mean.numpy(), np.concatenate(batches).mean(0), atol=1e-5)
    assert (layer.reach.numpy() >= np.abs(batches[0] - batches[0].mean(0)).max(0) - 1e-5).all()


@pytest.mark.parametrize("constant", [0.0, 1.0, 7.3, -1e5, 1e-4])
def test_a_column_that_never_differed_says_nothing_whatever_it_holds_later(constant: float) -> None:
    x = np.full((64, 2), constant, np.float32)
    x[:, 1] = np.linspace(0, 1, 64)
    layer = trained(*np.split(x, 4))
    out = layer(torch.tensor([[5.0, 0.5], [constant + 1e6, 0.5]]))
    assert (out[:, 0] == 0).all()
    assert layer(torch.tensor([[5.0, 1.0]]))[0, 1] == pytest.approx(1, abs=1e-4)


def test_the_unit_of_a_column_does_not_matter() -> None:
    x = np.random.default_rng(2).normal(1, 1, (50, 4)).astype(np.float32)
    units = np.array([1e-3, 1, 1e4, 60], np.float32)
    plain, other = trained(x), trained(x * units)
    later = np.random.default_rng(3).normal(1, 2, (20, 4)).astype(np.float32)
    np.testing.assert_allclose(
        other(torch.from_numpy(later * units)).numpy(), plain(torch.from_numpy(later)).numpy(), rtol=1e-3, atol=1e-4
    )


def test_values_far_beyond_what_was_seen_are_cut_off() -> None:
    x = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    assert trained(x)(torch.tensor([[1e6], [-1e6], [2.0]])).flatten().tolist() == pytest.approx(
        [FARTHEST, -FARTHEST, 2]
    )


def test_what_is_no_number_is_handed_on() -> None:
    x = torch.randn(8, 2)
    x[3, 0] = torch.nan
    layer = ColumnReach(2).train()
    assert layer(x)[:, 0].isnan().all() and layer(x)[:, 1].isfinite().all()
    layer = trained(torch.randn(8, 2).numpy())
    assert layer(x)[:, 0].isnan().tolist() == x[:, 0].isnan().tolist()


def test_before_training_rows_pass_as_they_are() -> None:
    x = torch.randn(5, 3)
    assert torch.equal(ColumnReach(3).eval()(x), x)
