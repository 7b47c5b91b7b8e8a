"""Reptile: Reptile, tasks being episodes of one source domain each; then fine-tuning on the labelled target rows."""

from __future__ import annotations

import torch

from dalib.nn.episodes import interpolate
from tests.support.few_rows import by_hand, linear_world, seen_origins


def test_a_reptile_step_goes_a_part_of_the_way_to_where_the_inner_steps_end() -> None:
    world = linear_world("Reptile", shots=3, inner=2, inner_rate=0.1, rate=0.8)
    (x, y, W, b), order = next(world), next(world)
    turn = torch.stack([((y == y[i]) & (order < order[i])).sum() for i in range(24)]) // 3
    w, c = W, b
    for i in range(2):
        g, h = by_hand(x[turn == i], y[turn == i], w, c)
        w, c = w - 0.1 * g, c - 0.1 * h
    got = next(world)
    torch.testing.assert_close(got[0], W + 0.8 * 0.75 * (w - W), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got[1], b + 0.8 * 0.75 * (c - b), rtol=1e-4, atol=1e-5)
    moved = [torch.ones(2) * 3]
    interpolate(moved, [torch.ones(2)], 0.25)
    assert moved[0].tolist() == [1.5, 1.5]


def test_episodes_come_from_one_source_each_and_the_second_phase_from_the_target() -> None:
    seen = seen_origins("Reptile", pretrain=0.6)
    assert all(s in [(0,), (1,)] for s in seen[:6]) and seen[6:] == [(2,)] * 4
