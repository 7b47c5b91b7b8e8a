"""Four classes on a circle which every domain turns by an angle of its own, with a few labelled target rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

import dalib
from dalib.core.backbone import identity
from dalib.core.network import Network
from dalib.core.splits import concatenate
from dalib.core.types import Domain, Source, Task
from dalib.nn.metrics import accuracy
from dalib.train.config import TrainConfig
from dalib.train.loop import Loop
from dalib.train.trainer import Trainer

D, K = 12, 4


def domain(turn: float, n: int, seed: int) -> Domain:
    """Four classes on a circle that every domain turns by an angle of its own."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    x = 0.7 * rng.standard_normal((n, D))
    x[:, 0] += 3 * np.cos(2 * np.pi * (turn + y / K))
    x[:, 1] += 3 * np.sin(2 * np.pi * (turn + y / K))
    return Domain(f"d{turn}", x.astype(np.float32), y, tuple("abcd"), f"{turn}-{n}-{seed}")


def few_task(k: int, seed: int = 0, sources: int = 8) -> Task:
    """k labelled rows per class of a target that is turned by an angle which no source has."""
    turns = np.random.default_rng(100 + seed).uniform(size=sources + 1)
    given = concatenate([domain(t, 80, 50 * seed + i) for i, t in enumerate(turns[1:])])
    target = domain(turns[0], 200, 999 + seed)
    rows = np.arange(K * k)  # classes take turns
    rest = target.take(np.arange(K * k, 200), "rest")
    labelled = concatenate([given, target.take(rows, "few")])
    return Task("s->t", labelled, rest.unlabelled(), given.take(np.arange(0), "none"), rest, "semi_supervised")


def train(name: str, task: Task, steps: int = 60, seed: int = 0, **hparams: Any) -> Any:
    config = TrainConfig(steps=steps, batch_size=32, bottleneck=32, lr=0.02, evaluations=1, initialisation="kaiming")
    return Trainer(config, seed=seed, device="cpu").fit(getattr(dalib, name)(**hparams), task, identity(D))


def reached(name: str, k: int, seed: int = 0, **more: Any) -> float:
    task = few_task(k, seed)
    return accuracy(train(name, task, seed=seed, **more).outputs(task.test).logits, torch.as_tensor(task.test.labels))


def by_hand(x: Tensor, y: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the mean cross-entropy of logits x Wᵀ + b, by its formula."""
    error = ((x @ W.T + b).softmax(1) - torch.eye(K)[y]) / len(x)
    return error.T @ x, error.sum(0)


def linear_world(name: str, **hparams: Any) -> Iterator[Any]:
    torch.manual_seed(0)
    algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network(identity(D), K, bottleneck=0))
    torch.nn.init.normal_(algorithm.network.head.weight)
    x, y, x_t = torch.randn(24, D), torch.arange(24) % K, torch.randn(2, D)
    loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.5))
    head = algorithm.network.head
    yield x, y, head.weight.detach().clone(), head.bias.detach().clone()
    torch.manual_seed(1)
    order = torch.rand(24)
    torch.manual_seed(1)
    yield order
    loop.step(x, y, x_t, 0.25)
    yield head.weight.detach(), head.bias.detach()


def seen_origins(name: str, **hparams: Any) -> list[tuple[int, ...]]:
    """Which origins the labelled batches of each step hold; 2 is the target's."""
    seen: list[tuple[int, ...]] = []

    class Watching(getattr(dalib, name)):  # type: ignore[misc]
        def step(self, source: Source, *rest: Any) -> None:
            seen.append(tuple(source.origin.unique().tolist()))
            super().step(source, *rest)

    config = TrainConfig(steps=10, batch_size=32, bottleneck=8, evaluations=1)
    Trainer(config, device="cpu").fit(Watching(**hparams), few_task(3, sources=2), identity(D))
    return seen
