"""Bonuses of the assignment against all assignments, counted through."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from dalib.nn.assignment import class_bonuses


def best_assignment(distance: np.ndarray) -> tuple[int, ...]:
    """The cheapest of the K^n assignments that leave no class empty (the programme's vertices are whole numbers)."""
    n, K = distance.shape
    whole = (a for a in product(range(K), repeat=n) if len(set(a)) == K)
    return min(whole, key=lambda a: distance[np.arange(n), a].sum())


@pytest.mark.parametrize("seed", range(8))
def test_the_nearest_class_after_the_bonus_is_the_cheapest_assignment(seed: int) -> None:
    distance = np.random.default_rng(seed).random((6, 4)) + np.array([0.0, 0.0, 0.6, 1.2])
    bonus = class_bonuses(torch.from_numpy(distance)).numpy()
    assert tuple((distance - bonus).argmin(1)) == best_assignment(distance)


def test_the_bonus_is_what_the_cheapest_row_pays_to_change_class() -> None:
    distance = torch.tensor([[1.0, 1.5], [1.0, 4.0], [1.0, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(class_bonuses(distance), torch.tensor([0.0, 0.5]).double(), atol=1e-8, rtol=0)


def test_there_is_no_bonus_where_every_class_has_a_row() -> None:
    distance = torch.rand(30, 3, generator=torch.Generator().manual_seed(0)).double()
    assert class_bonuses(distance).abs().max() == 0


def test_fewer_rows_than_classes_have_bonuses_too() -> None:
    assert class_bonuses(torch.rand(2, 5).double()).isfinite().all()
