"""Networks that follow another one."""

from __future__ import annotations

import torch
from torch import nn

from dalib.nn.averaging import move_towards


def test_followers_move_by_the_part_and_counters_are_copied() -> None:
    mine, other = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    nn.init.constant_(other.weight, 3.0)
    other(torch.randn(4, 2))
    mean = other.running_mean.clone()
    move_towards([mine], [other], torch.tensor(0.25))
    assert mine.weight.tolist() == [1.5, 1.5] and int(mine.num_batches_tracked) == 1
    torch.testing.assert_close(mine.running_mean, 0.25 * mean)
