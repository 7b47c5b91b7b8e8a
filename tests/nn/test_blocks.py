"""Rows of two samples in parts: every row once, parts alike, whatever order rows come in."""

from __future__ import annotations

import pytest
import torch

from dalib.nn.blocks import count_blocks, deal_blocks


@pytest.mark.parametrize(
    ("n_s", "n_t", "block", "parts"),
    [(100, 100, 0, 1), (100, 100, 100, 1), (100, 100, 50, 2), (100, 100, 30, 4), (900, 4, 30, 2), (900, 2, 1, 2)],
)
def test_every_row_is_in_one_part_of_about_the_size_asked_for(n_s: int, n_t: int, block: int, parts: int) -> None:
    dealt = deal_blocks(torch.randn(n_s, 3), torch.randn(n_t, 3), block)
    assert len(dealt) == parts == count_blocks(n_s, n_t, block)
    for n, rows in zip((n_s, n_t), zip(*dealt, strict=True), strict=True):
        assert torch.cat(rows).sort().values.tolist() == list(range(n))
        assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_one_part_has_the_rows_as_they_come_and_several_do_not_depend_on_that_order() -> None:
    z, t = torch.randn(40, 2), torch.randn(30, 2)
    assert deal_blocks(z, t, 0)[0][0].tolist() == list(range(40))
    turn = torch.randperm(40)
    for (i, _), (j, _) in zip(deal_blocks(z, t, 12), deal_blocks(z[turn], t, 12), strict=True):
        assert torch.equal(z[i], z[turn][j])


def test_a_part_is_spread_over_its_sample() -> None:
    z = torch.arange(1000.0)[:, None]
    means = torch.stack([z[i].mean() for i, _ in deal_blocks(z, z, 100)])
    assert (means - z.mean()).abs().max() < 5


def test_two_samples_of_the_same_rows_meet_their_own_in_every_part() -> None:
    z = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    turn = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    for i, j in deal_blocks(z, z[turn], 11):
        assert torch.equal(z[i], z[turn][j])
