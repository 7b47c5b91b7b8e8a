"""Losses of discriminators of places against NumPy loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.place_adversaries import PositionDiscriminator, disagreement, domain_loss, focal_loss


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_each_domain_counts_half_whatever_its_size():
    d, source = np.random.default_rng(0).normal(size=9), np.arange(9) < 2
    expected = (-np.log(sigmoid(d[:2])).mean() - np.log(1 - sigmoid(d[2:])).mean()) / 2
    assert float(domain_loss(torch.tensor(d), torch.tensor(source))) == pytest.approx(expected, rel=1e-10)
    alone = domain_loss(torch.tensor(d[2:]), torch.tensor(source[2:]))
    assert float(alone) == pytest.approx(-np.log(1 - sigmoid(d[2:])).mean() / 2, rel=1e-10)


@pytest.mark.parametrize("source", [True, False])
def test_the_focal_loss_is_its_formula_and_cross_entropy_at_gamma_0(source):
    d = np.random.default_rng(1).normal(size=7) * 3
    p = sigmoid(d) if source else 1 - sigmoid(d)
    for gamma in (0.0, 2.0, 5.0):
        found = float(focal_loss(torch.tensor(d), source, gamma))
        assert found == pytest.approx(float((-((1 - p) ** gamma) * np.log(p)).mean()), rel=1e-10)


def test_pictures_and_regions_disagree_by_the_distance_of_their_probabilities():
    rng = np.random.default_rng(2)
    maps, regions, owner = [rng.normal(size=(3, 4, 4)), rng.normal(size=(3, 2, 2))], rng.normal(size=5), [0, 0, 1, 2, 2]
    each = [abs(sigmoid(level[i]).mean() - sigmoid(v)) for level in maps for i, v in zip(owner, regions, strict=True)]
    given = [torch.tensor(level) for level in maps], torch.tensor(regions), torch.tensor(owner)
    assert float(disagreement(*given)) == pytest.approx(np.mean(each), rel=1e-10)
    none = disagreement(given[0], given[1][:0], given[2][:0])
    assert float(none) == 0


def test_a_position_is_judged_by_itself():
    judge, x = PositionDiscriminator(5, 4, 3).double(), torch.randn(2, 5, 6, 6, dtype=torch.float64)
    scores = judge(x)
    assert scores.shape == (2, 6, 6) and len([m for m in judge if isinstance(m, torch.nn.Conv2d)]) == 3
    torch.testing.assert_close(judge(x[:, :, 2:3, 4:5])[:, 0, 0], scores[:, 2, 4])
