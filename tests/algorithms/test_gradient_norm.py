"""GradientNorm: Gradient-norm penalty over all weights that are trained, to first order: no second derivatives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dalib.core.network import Network
from dalib.train.loop import Loop
from tests.support.algorithms import check_refusal, make
from tests.support.image_methods import (
    attached_to_images,
    check_a_backbone_may_be_fitted_twice,
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one,
    check_a_model_file_predicts_what_was_fitted,
    check_every_recipe_trains_to_finite_outputs,
    every_recipe,
    image_batch,
)
from tests.support.image_world import copy_state, differing


def test_a_killed_run_on_images_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one("gradient_norm", tmp_path)


def test_a_model_file_predicts_what_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_a_model_file_predicts_what_was_fitted("gradient_norm", tmp_path, monkeypatch)


@every_recipe
def test_every_recipe_trains_to_finite_outputs(changes: dict[str, Any]) -> None:
    check_every_recipe_trains_to_finite_outputs("gradient_norm", changes)


def test_a_backbone_may_be_fitted_twice() -> None:
    check_a_backbone_may_be_fitted_twice("gradient_norm")


def logistic(x: np.ndarray, y: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross-entropy and its gradient in (w, b), flattened."""
    g = x @ w.T + b
    p = np.exp(g - g.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    value = -np.log(p[np.arange(len(y)), y]).mean()
    p[np.arange(len(y)), y] -= 1
    return float(value), np.concatenate([(p.T @ x / len(y)).ravel(), p.mean(0)])


def test_the_step_follows_the_gradient_of_the_penalised_loss() -> None:
    weight, r, lr = 0.06, 0.1, 0.5
    algorithm = make("gradient_norm", weight=weight, r=r)
    algorithm.attach(Network.on_features(5, 3, bottleneck=0))
    algorithm.double()
    head = algorithm.network.head
    nn.init.normal_(head.weight)
    x, y = torch.randn(12, 5, dtype=torch.float64), torch.arange(12) % 3
    w, b = (p.detach().numpy().copy() for p in (head.weight, head.bias))

    def at(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return logistic(x.numpy(), y.numpy(), theta[:15].reshape(3, 5), theta[15:])

    theta = np.concatenate([w.ravel(), b])
    here, g = at(theta)
    there, g_there = at(theta + r * g / np.linalg.norm(g))
    terms = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=lr)).step(x, y, x[:0], 0.5)
    assert float(terms["classification"]) == pytest.approx(here, abs=1e-10)
    assert float(terms["gradient_norm"]) == pytest.approx(weight / r * (there - here), abs=1e-10)
    moved = np.concatenate([p.detach().numpy().ravel() for p in (head.weight, head.bias)])
    expected = (1 - weight / r) * g + weight / r * g_there
    np.testing.assert_allclose(moved, theta - lr * expected, rtol=0, atol=1e-10)

    def penalised(t: np.ndarray) -> float:
        value, gradient = at(t)
        return value + weight * float(np.linalg.norm(gradient))

    exact = np.array([(penalised(theta + e) - penalised(theta - e)) / 2e-6 for e in 1e-6 * np.eye(len(theta))])
    assert np.linalg.norm(expected - exact) < 0.2 * np.linalg.norm(g - exact)


def test_the_penalty_leads_to_a_smaller_gradient() -> None:
    norms = []
    for weight in (0.0, 0.08):
        algorithm = attached_to_images("gradient_norm", weight=weight)
        loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.05))
        source, _ = image_batch(algorithm, 12)
        for _ in range(30):
            loop.step(source.x, source.y, source.x[:0], 0.5)
        value = algorithm.loss(*image_batch(algorithm, 12), 0.5)["classification"]
        parts = torch.autograd.grad(value, list(algorithm.network.parameters()))
        norms.append(float(torch.cat([p.flatten() for p in parts]).norm() / value.detach().sqrt()))
    assert norms[1] < norms[0]


def test_without_a_gradient_weights_stay() -> None:
    algorithm = make("gradient_norm")
    algorithm.attach(Network.on_features(4, 2, bottleneck=0))
    nn.init.zeros_(algorithm.network.head.weight)
    nn.init.zeros_(algorithm.network.head.bias)
    before = copy_state(algorithm)
    x, y = torch.zeros(4, 4), torch.arange(4) % 2
    Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.1)).step(x, y, x[:0], 0.5)
    assert differing(before, copy_state(algorithm)) == []


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("gradient_norm", {"r": 0.0}, "gradient_norm.r = 0.0")
