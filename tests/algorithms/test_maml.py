"""MAML: FOMAML, tasks being episodes of one source domain each; then fine-tuning on the labelled target rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.episodes import pick_support
from tests.support.few_rows import by_hand, linear_world, reached, seen_origins


def test_a_maml_step_is_the_hand_written_first_order_loop() -> None:
    world = linear_world("MAML", shots=3, inner=2, inner_rate=0.1)
    (x, y, W, b), order = next(world), next(world)
    support = pick_support(y, 3, order)
    w, c = W, b
    for _ in range(2):
        g, h = by_hand(x[support], y[support], w, c)
        w, c = w - 0.1 * g, c - 0.1 * h
    g, h = by_hand(x[~support], y[~support], w, c)
    got = next(world)
    torch.testing.assert_close(got[0], W - 0.5 * g, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got[1], b - 0.5 * h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [1, 5])
def test_with_several_sources_meta_learned_weights_adapt_in_fewer_steps_than_the_sources_own(k: int) -> None:
    """Ten steps on k rows per class of a domain turned by an angle of its own; mean of two draws."""
    gains = {}
    for name in ("Independent", "MAML"):
        gains[name] = np.mean([reached(name, k, seed, steps=200, pretrain=0.95) for seed in range(2)])
    assert gains["MAML"] > gains["Independent"]


def test_episodes_come_from_one_source_each_and_the_second_phase_from_the_target() -> None:
    seen = seen_origins("MAML", pretrain=0.6)
    assert all(s in [(0,), (1,)] for s in seen[:6]) and seen[6:] == [(2,)] * 4
