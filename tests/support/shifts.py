"""Four blobs in four coordinates, moved or stretched; and what a method gains there over source-only."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.network import Network
from dalib.nn.metrics import accuracy
from dalib.train.loop import Loop

K, D, N = 4, 4, 240


Data = tuple[Tensor, Tensor, Tensor, Tensor]


def blobs(seed: int) -> tuple[Tensor, Tensor]:
    """Four classes at the corners of a square of side 3, in the first two of four coordinates; noise 0.5."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(K, (N,), generator=g)
    corner = torch.stack([y % 2, y // 2, 0 * y, 0 * y], 1) * 3.0 - torch.tensor([1.5, 1.5, 0.0, 0.0])
    return corner + 0.5 * torch.randn(N, D, generator=g), y


def translated(by: float = 1.4) -> Data:
    """The target is the source's distribution moved, about half of the way to a neighbouring class."""
    (x_s, y_s), (x_t, y_t) = blobs(0), blobs(1)
    return x_s, y_s, x_t + torch.tensor([by, 0.4 * by, 0.0, by]), y_t


def stretched() -> Data:
    """The source has unit covariance; the target's axes are scaled and mixed (a symmetric map), around the origin."""
    (x_s, y_s), (x_t, y_t) = blobs(0), blobs(1)
    scale = x_s.std(0)
    v, _ = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1)))
    A = v @ torch.diag(torch.tensor([4.0, 1.0, 0.3, 0.1])) @ v.T
    return x_s / scale, y_s, x_t / scale @ A, y_t


class Rows:
    """The trainer's part in a solved method: rows are their own embedding."""

    def descend(self, *_: Any) -> None:
        raise AssertionError

    def embed(self, algorithm: Algorithm, domain: Any) -> Tensor:
        return torch.as_tensor(domain.x)


def solve(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy of a solved method on the rows as they are."""
    from dalib.core.types import Domain

    x_s, y_s, x_t, y_t = data
    algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(D, K, bottleneck=0, initialisation="kaiming"))
    classes = ("a", "b", "c", "d")
    source = Domain("source", x_s.numpy(), y_s.numpy(), classes, "s")
    algorithm.fit(Rows(), source, Domain("target", x_t.numpy(), None, classes, "t"))
    return accuracy(algorithm.predict(x_t)[1], y_t)


def check_a_solved_method_beats_its_own_classifier(
    name: str, data: Any, hparams: dict[str, Any], classifier: str
) -> None:
    baseline = "LinearProbe" if classifier == "logistic" else "NearestNeighbour"
    before, after = solve(baseline, data()), solve(name, data(), classifier=classifier, **hparams)
    assert after > before + 0.1, f"{name}: {after:.3f}, {baseline}: {before:.3f}"


def check_a_solved_method_does_no_harm_without_a_shift(name: str) -> None:
    assert solve(name, translated(0.0)) > 0.9


def trained(name: str, data: Data, steps: int = 200, seed: int = 0, **hparams: Any) -> Algorithm:
    """The algorithm in evaluation mode after a plain loop over `step`, alternating games included."""
    torch.manual_seed(seed)
    algorithm: Algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(D, K, bottleneck=32, initialisation="kaiming"))
    optimiser = torch.optim.SGD(algorithm.parameters(), lr=0.05, momentum=0.9)

    loop = Loop(algorithm, optimiser)
    x_s, y_s, x_t, _ = data
    for step in range(steps):
        i, j = torch.randint(N, (2, 36))
        loop.step(x_s[i], y_s[i], x_t[j], step / steps, index=j)
    return algorithm.eval()


@torch.no_grad()
def play(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy after training."""
    with torch.enable_grad():
        algorithm = trained(name, data, **hparams)
    return accuracy(algorithm.predict(data[2])[1], data[3])


@cache
def source_only(data: Callable[[], Data]) -> float:
    return play("SourceOnly", data())


def check_it_beats_source_only_on_its_shift(name: str, data: Any, hparams: dict[str, Any]) -> None:
    before, after = source_only(data), play(name, data(), **hparams)
    assert after > before + 0.05, f"{name}: {after:.3f}, source only: {before:.3f}"


def check_it_does_no_harm_without_a_shift(name: str, hparams: dict[str, Any]) -> None:
    assert play(name, translated(0.0), **hparams) > 0.9


def train_estimator(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy after 200 steps of the trainer."""
    x_s, y_s, x_t, y_t = (v.numpy() for v in data)
    recipe = {"steps": 200, "bottleneck": 32, "lr": 0.05, "initialisation": "kaiming"}
    model = dalib.AdaptationClassifier(getattr(dalib, name)(**hparams), train=recipe, device="cpu")
    return float((model.fit(x_s, y_s, x_t).predict(x_t) == y_t).mean())


@cache
def source_only_estimator() -> float:
    return train_estimator("SourceOnly", translated())


def check_its_estimator_beats_source_only(name: str, hparams: dict[str, Any]) -> None:
    before, after = source_only_estimator(), train_estimator(name, translated(), **hparams)
    assert after > before + 0.05, f"{name}: {after:.3f}, source only: {before:.3f}"
