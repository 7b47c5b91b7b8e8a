"""Labels from centroids against SciPy's cosine distances in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine

from dalib.nn.centroids import centroid_labels


def loop_labels(z: np.ndarray, p: np.ndarray, rounds: int) -> tuple[np.ndarray, int]:
    """Labels, and how many classes lost their last row after the first round."""
    n, K = p.shape
    rows = [np.append(row, 1.0) / np.linalg.norm(np.append(row, 1.0)) for row in z]
    y = [int(np.argmax(row)) for row in p]
    counts = []
    for _ in range(rounds):
        counts.append(len({*y}))
        centre = {k: sum(p[i, k] * rows[i] for i in range(n)) / sum(p[:, k]) for k in {*y}}
        y = [min(centre, key=lambda k: cosine(row, centre[k])) for row in rows]
        p = np.array([[float(k == label) for k in range(K)] for label in y])
    return np.array(y), counts[0] - len({*y})


def sample(seed: int, n: int = 8, d: int = 2, K: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    z = 9 * torch.randn(n, d, generator=g, dtype=torch.float64)
    return z, (2 * torch.randn(n, K, generator=g, dtype=torch.float64)).softmax(1)


@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_labels_are_those_of_the_nearest_centroid_by_cosine(rounds: int, dtype: torch.dtype) -> None:
    emptied = 0
    for seed in range(30):
        z, p = sample(seed)
        expected, lost = loop_labels(z.numpy(), p.numpy(), rounds)
        np.testing.assert_array_equal(centroid_labels(z.to(dtype), p.to(dtype), rounds).numpy(), expected)
        emptied += lost > 0
    assert emptied > 5


def test_there_are_two_rounds_unless_asked() -> None:
    second = 0
    for seed in range(30):
        z, p = sample(seed)
        one, two = (loop_labels(z.numpy(), p.numpy(), rounds)[0] for rounds in (1, 2))
        np.testing.assert_array_equal(centroid_labels(z, p).numpy(), two)
        second += not np.array_equal(one, two)
    assert second > 5, "the second round has to matter"


def test_a_class_that_is_nobodys_first_choice_is_given_to_nobody() -> None:
    """Every row is half class 2, whose centroid is therefore nearest to the rows in the middle."""
    z = torch.tensor([[3.0, 0.0], [2.0, 1.5], [1.5, 2.0], [0.0, 3.0]])
    p = torch.tensor([[0.51, 0.0, 0.49], [0.51, 0.0, 0.49], [0.0, 0.51, 0.49], [0.0, 0.51, 0.49]])
    assert centroid_labels(z, p).tolist() == [0, 0, 1, 1]


def test_certain_neighbours_outvote_a_mistake_and_order_does_not_matter() -> None:
    g = torch.Generator().manual_seed(0)
    y = torch.arange(40) % 2
    z = torch.stack([1.0 - y, 1.0 * y], 1) * 3 + 0.3 * torch.randn(40, 2, generator=g)
    p = torch.nn.functional.one_hot(y, 2) * 0.8 + 0.1
    p[:8] = p[:8].flip(1)
    assert torch.equal(centroid_labels(z, p), y)
    order = torch.randperm(40, generator=g)
    assert torch.equal(centroid_labels(z[order], p[order]), y[order])


@pytest.mark.parametrize("value", [0.0, 1.0, 1e18])
def test_collapsed_features_give_one_of_the_predicted_classes(value: float) -> None:
    labels = centroid_labels(torch.full((6, 3), value), torch.eye(4)[torch.tensor([1, 1, 1, 3, 3, 3])])
    assert {*labels.tolist()} <= {1, 3}
