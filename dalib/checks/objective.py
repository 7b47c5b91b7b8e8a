"""An objective's contract: a supervised loss per row that learns, an answer per row, a head of the right width."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dalib.backbones import load_backbone
from dalib.checks.dense_world import make_scenes
from dalib.checks.result import require
from dalib.checks.world import DIM, seeded
from dalib.core.network import Network
from dalib.core.objective import Objective
from dalib.core.registry import METRICS
from dalib.core.types import Domain

ROWS, OUTPUTS, SIDE = 24, 3, 8
LABELS = {
    "classes": lambda: torch.arange(ROWS) % OUTPUTS,
    "yes and no": lambda: torch.arange(ROWS * OUTPUTS).view(ROWS, OUTPUTS) % 2,
    "numbers": lambda: torch.linspace(-1, 1, ROWS * OUTPUTS).view(ROWS, OUTPUTS),
}
"""Labels of each sort that is known; an objective must take one of them."""


def _example(cls: type[Objective]) -> tuple[Tensor, Tensor]:
    """A prediction, and labels of the first sort that the objective takes."""
    with seeded(0):
        prediction = torch.randn(ROWS, OUTPUTS, *((SIDE, SIDE) if cls.dense else ()))
    if cls.dense:
        return prediction, torch.arange(ROWS * SIDE * SIDE).view(ROWS, SIDE, SIDE) % OUTPUTS
    reasons = []
    for sort, make in LABELS.items():
        try:
            if cls().row_losses(prediction, make()).shape == (ROWS,):
                return prediction, make()
            reasons.append(f"{sort}: row_losses gives no (B,)")
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            reasons.append(f"{sort}: {str(error).splitlines()[0]}")
    require(False, f"row_losses takes none of the labels tried ({'; '.join(reasons)})")
    raise AssertionError


def structured_example(cls: type[Objective]) -> tuple[Network, Any, Tensor]:
    """A network in evaluation mode, what it predicts of four pictures with two squares each, and their labels."""
    scenes = make_scenes("check", 4, 0, 1.0, cls.name)
    with seeded(0):
        network = cls().network(load_backbone("tiny", "none", seed=0), len(scenes.classes), DIM).eval()
    return network, network(_pixels(scenes))[1], torch.as_tensor(scenes.labels)


def _pixels(scenes: Domain) -> Tensor:
    return torch.as_tensor(np.asarray(scenes.x)).float() / 127.5 - 1


def _descend(cls: type[Objective]) -> None:
    """Twenty steps along the gradient make the loss smaller, with the same draws."""
    network, _, y = structured_example(cls)
    x, weights = _pixels(make_scenes("check", 4, 0, 1.0, cls.name)), list(network.parameters())
    told = []
    for _ in range(20):
        with seeded(0):
            loss = cls().loss(network(x)[1], y)
        told.append(float(loss.detach()))
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:
                    weight.sub_(0.02 * gradient)
    require(all(map(math.isfinite, told)), f"the loss is {told}")
    require(told[-1] < told[0], f"twenty steps along its gradient take the loss from {told[0]:.4g} to {told[-1]:.4g}")


def check_it_says_its_name_and_metrics(cls: type[Objective]) -> None:
    require(isinstance(cls.name, str) and cls.name, "name is empty; give the registry name")
    require(cls.metrics, "metrics is empty; name what tells how good an answer is, the table's first")
    for name in cls.metrics:
        require(name in METRICS, f"metrics names '{name}', which is no metric; dalib list metrics")


def check_the_loss_is_the_mean_of_rows(cls: type[Objective]) -> None:
    if cls.structured:
        _, prediction, y = structured_example(cls)
        rows = cls().row_losses(prediction, y)
        require(rows.shape == (len(y),) and rows.isfinite().all(), f"row_losses gives {rows}; return a number per row")
        return
    prediction, y = _example(cls)
    rows, mean = cls().row_losses(prediction, y), cls().loss(prediction, y)
    require(mean.ndim == 0, f"loss gives shape {tuple(mean.shape)}; return a scalar")
    require(
        torch.allclose(rows.mean(), mean, rtol=1e-5, atol=1e-7),
        f"loss {mean:.6g} is not the rows' mean {rows.mean():.6g}",
    )
    some = cls().row_losses(prediction[:5], y[:5])
    require(torch.allclose(some, rows[:5], rtol=1e-5, atol=1e-7), "the loss of a row depends on the rows beside it")


def check_the_loss_is_finite_and_learns(cls: type[Objective]) -> None:
    """Certain predictions stay finite, and descending on the loss makes it smaller."""
    if cls.structured:
        _descend(cls)
        return
    prediction, y = _example(cls)
    require(
        cls().loss(1000 * prediction, y).isfinite(),
        "the loss is not finite on certain predictions; clamp",
    )
    free = prediction.clone().requires_grad_()
    before = cls().loss(free, y)
    (gradient,) = torch.autograd.grad(before, free)
    require(gradient.isfinite().all() and gradient.any(), "the loss has no finite gradient for the prediction")
    after = cls().loss((free - 0.1 * gradient).detach(), y)
    require(after < before, f"a step along its gradient takes the loss from {before:.4g} to {after:.4g}; flip the sign")


def check_it_decides_every_row(cls: type[Objective]) -> None:
    prediction, y = structured_example(cls)[1:] if cls.structured else _example(cls)
    answer = cls().decide(prediction)
    require(len(answer) == len(y), f"decide gives {len(answer)} answers for {len(y)} rows")
    require(torch.equal(answer[:3], cls().decide(prediction[:3])), "a row's answer depends on the rows beside it")


def check_its_head_has_the_width(cls: type[Objective]) -> None:
    if cls.structured:
        network, prediction, y = structured_example(cls)
        z = network(torch.zeros(len(y), 3, 32, 32))[0]
        require(z.shape == (len(y), network.dim), f"z is {tuple(z.shape)}, not ({len(y)}, {network.dim})")
        require(len(prediction) == len(y), f"the network gives {len(prediction)} predictions for {len(y)} pictures")
        return
    if cls.dense:
        network = cls().network(load_backbone("tiny", "none", seed=0), OUTPUTS, DIM)
        z, prediction = network(torch.zeros(2, 3, 32, 32))
        shapes = tuple(z.shape), tuple(prediction.shape)
        require(shapes == ((2, DIM), (2, OUTPUTS, 32, 32)), f"the network gives {shapes} for two pictures of 32 pixels")
        return
    head = cls().head(DIM, OUTPUTS)
    require(isinstance(head, nn.Module), f"head gives a {type(head).__name__}; return an nn.Module")
    shape = tuple(head(torch.zeros(2, DIM)).shape)
    require(shape == (2, OUTPUTS), f"the head turns (2, {DIM}) into {shape}; expected (2, {OUTPUTS})")


OBJECTIVE_CHECKS = (
    check_it_says_its_name_and_metrics,
    check_the_loss_is_the_mean_of_rows,
    check_the_loss_is_finite_and_learns,
    check_it_decides_every_row,
    check_its_head_has_the_width,
)
