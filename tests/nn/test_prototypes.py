"""Moving class centroids and votes of neighbours against loops in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dalib.nn.prototypes import move_class_means, seen, sharpen_and_balance, vote_of_neighbours

TYPES = [(torch.float64, 1e-8), (torch.float32, 1e-4)]


def rows(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("rate", [0.1, 0.3, 1.0])
def test_centroids_move_by_the_rate_and_absent_classes_stay(rate: float, dtype: torch.dtype, tolerance: float) -> None:
    old, z, y = rows(5, 3), rows(9, 3, 1), torch.tensor([0, 0, 1, 1, 1, 3, 0, 1, 3])
    old[3] = 0
    expected = old.numpy().copy()
    for k in (0, 1, 3):
        mean = sum(z[i].numpy() for i in range(9) if y[i] == k) / sum(int(y[i] == k) for i in range(9))
        expected[k] = mean if k == 3 else (1 - rate) * expected[k] + rate * mean
    got = move_class_means(old.to(dtype), z.to(dtype), y, rate)
    assert got.dtype == dtype
    np.testing.assert_allclose(got.numpy(), expected, atol=tolerance)
    assert torch.equal(got[[2, 4]], old.to(dtype)[[2, 4]])


def test_centroids_send_their_gradient_to_the_rows() -> None:
    old, y = rows(4, 3), torch.tensor([0, 0, 2, 1, 2])
    assert torch.autograd.gradcheck(lambda z: move_class_means(old, z, y, 0.3), rows(5, 3, 1).requires_grad_())


def test_a_row_is_seen_unless_all_of_it_is_zero() -> None:
    assert seen(torch.tensor([[0.0, 0.0], [0.0, -1e-30], [2.0, 0.0]])).tolist() == [False, True, True]


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
def test_sharpening_squares_and_divides_by_the_classs_sum_over_the_batch(dtype: torch.dtype, tolerance: float) -> None:
    p = rows(6, 4).softmax(1)
    expected = np.array([[p[i, k] ** 2 / sum(p[j, k] ** 2 for j in range(6)) for k in range(4)] for i in range(6)])
    np.testing.assert_allclose(sharpen_and_balance(p.to(dtype)).numpy(), expected, atol=tolerance)


def test_sharpening_of_certain_predictions_is_finite() -> None:
    assert sharpen_and_balance(torch.tensor([[1.0, 0.0], [1.0, 0.0]])).tolist() == [[0.5, 0.0], [0.5, 0.0]]


def loop_vote(z: np.ndarray, memory: np.ndarray, p: np.ndarray, own: list[int], neighbours: int) -> np.ndarray:
    """Row by row: sort the other stored rows by cosine and add up the first."""
    total = np.zeros((len(z), p.shape[1]))
    for i in range(len(z)):
        others = [j for j in range(len(memory)) if j != own[i] and p[j].any()]
        cosine = {j: z[i] @ memory[j] / np.linalg.norm(z[i]) / np.linalg.norm(memory[j]) for j in others}
        for j in sorted(others, key=lambda j: -cosine[j])[:neighbours]:
            total[i] += p[j] / neighbours
    return total


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize(("neighbours", "empty"), [(1, []), (3, []), (3, [0, 4, 7]), (30, []), (3, list(range(2, 12)))])
def test_votes_are_the_mean_prediction_of_the_nearest_other_rows(
    neighbours: int, empty: list[int], dtype: torch.dtype, tolerance: float
) -> None:
    memory, p, own = rows(12, 4), rows(12, 3, 1).softmax(1), torch.tensor([3, 0, 11])
    p[empty] = 0
    z = memory[own] + 0.1 * rows(3, 4, 2)
    expected = loop_vote(z.numpy(), memory.numpy(), p.numpy(), own.tolist(), neighbours)
    got = vote_of_neighbours(z.to(dtype), memory.to(dtype), p.to(dtype), own, neighbours)
    np.testing.assert_allclose(got.numpy(), expected, atol=tolerance)


def test_nobody_votes_where_the_memory_is_empty_or_the_row_alone() -> None:
    z, own = torch.ones(2, 3), torch.arange(2)
    assert torch.equal(vote_of_neighbours(z, torch.zeros(4, 3), torch.zeros(4, 5), own), torch.zeros(2, 5))
    assert torch.equal(vote_of_neighbours(z[:1], z[:1], torch.ones(1, 5), own[:1]), torch.zeros(1, 5))
    assert vote_of_neighbours(0 * z, 0 * z, torch.ones(2, 5), own, 1).isfinite().all()
