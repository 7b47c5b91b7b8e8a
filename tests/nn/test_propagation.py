"""Propagated labels against the sum of their series, edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.propagation import propagate_labels


def graph(z: np.ndarray, k: int) -> np.ndarray:
    """S of positive cosines of centred rows: the k nearest of either end, and the row itself."""
    x = z - z.mean(0)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine, W = x @ x.T, np.eye(len(x))
    for i in range(len(x)):
        for j in [j for j in np.argsort(-cosine[i]) if j != i][:k]:
            W[i, j] = W[j, i] = max(cosine[i, j], 0)
    D = W.sum(1)
    return W / np.sqrt(np.outer(D, D))


@pytest.mark.parametrize("balance", [True, False])
def test_propagation_is_the_sum_over_all_walks(balance: bool) -> None:
    rng = np.random.default_rng(0)
    z, prior = rng.normal(size=(12, 4)), rng.dirichlet(np.ones(3), 12)
    S, F, walk = graph(z, 3), np.zeros((12, 3)), prior
    for _ in range(400):
        F, walk = F + walk, 0.8 * S @ walk
    F = F / F.sum(0) if balance else F
    got = propagate_labels(torch.as_tensor(prior), torch.as_tensor(z), 3, 0.8, balance)
    np.testing.assert_allclose(got, F / F.sum(1, keepdims=True), rtol=1e-8)


def test_neighbours_correct_a_row_that_is_called_otherwise() -> None:
    g = torch.Generator().manual_seed(0)
    z = torch.randn(40, 5, generator=g, dtype=torch.float64)
    z[:20, 0] += 6
    y = torch.arange(40) // 20
    prior = torch.nn.functional.one_hot(y, 2).double() * 0.8 + 0.1
    prior[[3, 30]] = prior[[3, 30]].flip(1)
    assert propagate_labels(prior, z, 5, 0.8, True).argmax(1).equal(y)
    assert propagate_labels(prior, z, 5, 0.0, False).allclose(prior)
