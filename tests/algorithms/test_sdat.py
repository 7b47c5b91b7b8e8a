"""SDAT: Smooth domain-adversarial training."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.nn.sharpness import sharpest_perturbation
from dalib.train.loop import Loop
from tests.support.algorithms import K, check_refusal
from tests.support.shifts import play, source_only, trained, translated
from tests.support.views import RATE, attached_double, inputs


def numpy_sdat_step(weight: np.ndarray, bias: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Sharpness-aware descent on softmax regression; lr = RATE."""
    x, y = (v.numpy() for v in inputs()[:2])

    def gradient(w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        error = (softmax(x @ w.T + b, axis=1) - np.eye(K)[y]) / len(y)
        return error.T @ x, error.sum(0)

    first = gradient(weight, bias)
    scale = rho / np.sqrt(sum((g**2).sum() for g in first))
    second = gradient(weight + scale * first[0], bias + scale * first[1])
    return weight - RATE * second[0], bias - RATE * second[1]


@pytest.mark.parametrize("base", ["dann", "cdan"])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_sdats_step_is_sharpness_aware_on_the_source_loss(rho: float, base: str) -> None:
    algorithm = attached_double("SDAT", base=base, weight=0.0, rho=rho, hidden=8, dropout=0.0)
    head = algorithm.network.head
    weight, bias = numpy_sdat_step(head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy(), rho)
    Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=RATE)).step(*inputs(), 0.5)
    np.testing.assert_allclose(head.weight.detach().numpy(), weight, rtol=0, atol=1e-8)
    np.testing.assert_allclose(head.bias.detach().numpy(), bias, rtol=0, atol=1e-8)


@pytest.mark.parametrize("base", ["dann", "cdan", "cdan+mcc", "dann+mcc"])
def test_sdat_takes_every_gradient_at_the_weights_that_the_task_terms_alone_perturb(base: str) -> None:
    """With the frozen bottleneck left where it is; the discriminator is not perturbed."""
    algorithm = attached_double("SDAT", bottleneck=4, base=base, rho=0.5, hidden=8, dropout=0.0)
    algorithm.network.bottleneck.requires_grad_(False)
    other = copy.deepcopy(algorithm)
    object.__setattr__(other.base_algorithm, "network", other.network)
    optimiser = torch.optim.SGD(other.parameters(), lr=RATE)
    loop = Loop(other, optimiser)
    x_s, y_s, x_t = inputs()
    source, target = loop._wrap(x_s, y_s, x_t, None)
    terms = other.base_algorithm.loss(source, target, 0.5)
    task = terms["classification"] + (terms["confusion"] if "mcc" in base else 0)
    head = [other.network.head.weight, other.network.head.bias]
    gradients = torch.autograd.grad(task, head)
    length = math.sqrt(sum(float(g.square().sum()) for g in gradients))
    moves = [0.5 / length * g for g in gradients]
    for sign in (1, -1):
        with torch.no_grad():
            for w, e in zip(head, moves, strict=True):
                w += sign * e
        if sign == 1:
            optimiser.zero_grad()
            source, target = loop._wrap(x_s, y_s, x_t, None)
            torch.stack(list(other.base_algorithm.loss(source, target, 0.5).values())).sum().backward()
    optimiser.step()
    Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=RATE)).step(x_s, y_s, x_t, 0.5)
    for (name, a), b in zip(algorithm.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10, msg=name)


def test_sdat_without_perturbation_is_its_base() -> None:
    states = []
    hparams: dict[str, Any] = {"rho": 0.0}
    for name in ("CDAN", "SDAT"):
        algorithm = attached_double(name, hidden=8, dropout=0.0, **(hparams if name == "SDAT" else {}))
        loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=RATE))
        for _ in range(3):
            loop.step(*inputs(), 0.5)
        states.append([p.detach() for p in algorithm.parameters()])
    assert len(states[0]) == len(states[1])
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"base": "mcd"}, "base"),
        ({"rho": -0.1}, "rho"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("SDAT", hparams, message)


@pytest.mark.parametrize("base", ["dann", "cdan+mcc"])
def test_sdat_beats_source_only_where_the_target_is_moved(base: str) -> None:
    before, after = source_only(translated), play("SDAT", translated(), hidden=64, base=base)
    assert after > before + 0.05, f"{after:.3f}, source only: {before:.3f}"


def test_sdats_task_loss_is_flatter_than_its_bases() -> None:
    """Over four seeds: masks of dropout decide how flat a single one ends."""
    (x, y, *_), rises = translated(), np.zeros(2)
    for seed in range(4):
        for which, hparams in enumerate(({}, {"rho": 0.5})):
            algorithm = trained("SDAT" if which else "CDAN", translated(), seed=seed, hidden=64, **hparams)
            weights: list[Tensor] = [*algorithm.network.parameters()]
            before = cross_entropy(algorithm.network(x)[1], y)
            move = sharpest_perturbation(before, weights, 0.5)
            with torch.no_grad():
                for w, e in zip(weights, move, strict=True):
                    w.add_(e)
                rises[which] += float(cross_entropy(algorithm.network(x)[1], y) - before)
    assert rises[1] < 0.75 * rises[0], rises
