"""Joint class proportions and transport, against POT's barycentre of target shift."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch

from dalib.nn.target_proportions import carry_labels, joint_proportions


def _draw(rng: np.random.Generator, n: int, prior: list[float]) -> tuple[np.ndarray, np.ndarray]:
    y = rng.choice(len(prior), n, p=prior)
    return rng.normal(size=(n, 3)) + 3 * np.eye(len(prior), 3)[y], y


def _costs(parts: list[np.ndarray], x_t: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(ot.dist(x, x_t)) for x in parts]


def test_proportions_and_plans_are_those_of_pot() -> None:
    rng = np.random.default_rng(0)
    (x_1, y_1), (x_2, y_2) = _draw(rng, 80, [0.6, 0.3, 0.1]), _draw(rng, 60, [0.2, 0.3, 0.5])
    x_t, y_t = _draw(rng, 90, [0.1, 0.2, 0.7])
    costs = _costs([x_1, x_2], x_t)
    largest = max(float(cost.max()) for cost in costs)
    reference, log = ot.bregman.jcpot_barycenter(
        [x_1, x_2], [y_1.copy(), y_2.copy()], x_t, reg=0.02 * largest, numItermax=50_000, stopThr=1e-10, log=True
    )
    labels = [torch.from_numpy(y) for y in (y_1, y_2)]
    h, plans = joint_proportions(costs, labels, 3, 0.02)
    np.testing.assert_allclose(h, reference, atol=1e-5)
    for plan, expected in zip(plans, log["gamma"], strict=True):
        np.testing.assert_allclose(plan, expected, atol=1e-6)
    np.testing.assert_allclose(h, np.bincount(y_t) / 90, atol=0.06)
    carried = carry_labels(plans, labels, 3)
    assert (carried.argmax(0).numpy() == y_t).mean() > 0.9
    np.testing.assert_allclose(carried.sum(1), reference, atol=1e-5)
    expected = (log["gamma"][0][y_1 == 2].sum(0) + log["gamma"][1][y_2 == 2].sum(0)) / 2
    np.testing.assert_allclose(carried[2], expected, atol=1e-6)


def test_a_class_of_no_sample_has_no_share_and_one_that_a_single_sample_lacks_is_refused() -> None:
    rng = np.random.default_rng(1)
    (x_1, y_1), (x_2, y_2) = _draw(rng, 80, [0.5, 0.5, 0.0]), _draw(rng, 90, [0.4, 0.3, 0.3])
    x_t, _ = _draw(rng, 100, [0.2, 0.3, 0.5])
    h, _ = joint_proportions(_costs([x_2], x_t), [torch.from_numpy(y_2)], 4, 0.02)
    assert h[3] == 0
    assert h.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="lacks a class that another has"):
        joint_proportions(_costs([x_1, x_2], x_t), [torch.from_numpy(y) for y in (y_1, y_2)], 3, 0.02)


def test_proportions_that_do_not_settle_are_said() -> None:
    rng = np.random.default_rng(2)
    x, y = _draw(rng, 30, [0.4, 0.3, 0.3])
    with pytest.raises(RuntimeError, match=r"still move after 2 steps; raise reg = 0\.01"):
        joint_proportions(_costs([x], x), [torch.from_numpy(y)], 3, 0.01, max_iterations=2)
