"""Changes of the code that are no settings, as contexts: what some levels of `recipe_study.py` are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

Change = Callable[[], AbstractContextManager[Any]]
"""Makes a context in which the code is another."""


@contextmanager
def made_as(cls: type, change: Callable[[Any], None]) -> Iterator[None]:
    """Every object of the class that is made meanwhile is changed by `change(object)`."""
    made = cls.__init__  # type: ignore[misc]

    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        change(self)

    with patch.object(cls, "__init__", make):
        yield


def networks(change: Callable[[Any], None]) -> Change:
    from dalib.core.network import Network

    return lambda: made_as(Network, change)


def discriminators(change: Callable[[Any], None]) -> Change:
    from dalib.nn.adversarial import DomainDiscriminator

    return lambda: made_as(DomainDiscriminator, change)


def initialise(bottleneck: str, head: str) -> Callable[[Any], None]:
    """`torch`: the layers' own; `kaiming`: normal, by fan in; `small`: normal, 0.01; biases of the last two 0."""
    from torch import nn

    def start(layer: nn.Module, how: str) -> None:
        if not isinstance(layer, nn.Linear):
            return
        if how == "torch":
            layer.reset_parameters()
            return
        if how == "kaiming":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.normal_(layer.weight, 0.0, 0.01)
        nn.init.zeros_(layer.bias)

    def change(network: Any) -> None:
        start(network.bottleneck[0], bottleneck)
        start(network.head, head)

    return change


def bottlenecks(parts: Callable[[Any, Any], list[Any]]) -> Change:
    """The bottleneck made of what `parts(linear, batch norm)` lists."""
    from torch import nn

    def change(network: Any) -> None:
        linear, norm, _ = network.bottleneck
        network.bottleneck = nn.Sequential(*parts(linear, norm))

    return networks(change)


def heads(make: Callable[[Any], Any]) -> Change:
    def change(network: Any) -> None:
        network.head = make(network.head)

    return networks(change)


def cosine_head(linear: Any) -> Any:
    """Cosines of z and the classes' directions over a temperature of 0.05."""
    from torch import nn
    from torch.nn.functional import normalize

    class Cosine(nn.Linear):
        def forward(self, z: Any) -> Any:
            return normalize(z) @ normalize(self.weight).T / 0.05

    return Cosine(linear.in_features, linear.out_features, bias=False)


def unit_rows() -> Change:
    """Rows enter the bottleneck with length sqrt(d)."""
    from torch import nn
    from torch.nn.functional import normalize

    class Unit(nn.Module):
        def forward(self, x: Any) -> Any:
            return normalize(x) * x.shape[1] ** 0.5

    return bottlenecks(lambda linear, norm: [Unit(), linear, norm, nn.ReLU()])


@contextmanager
def smooth_labels(amount: float) -> Iterator[None]:
    from torch.nn.functional import cross_entropy

    from dalib.objectives.classification import Classification

    def losses(self: Any, prediction: Any, y: Any) -> Any:
        return cross_entropy(prediction, y, reduction="none", label_smoothing=amount)

    def loss(self: Any, prediction: Any, y: Any) -> Any:
        return cross_entropy(prediction, y, label_smoothing=amount)

    with patch.object(Classification, "row_losses", losses), patch.object(Classification, "loss", loss):
        yield


@contextmanager
def decay_matrices_only() -> Iterator[None]:
    """No weight decay on biases and norms."""
    from dalib.train import descent
    from dalib.train.optimiser import make_optimiser

    def make(groups: list[dict[str, Any]], config: Any) -> Any:
        parted = []
        for group in groups:
            flat = [p for p in group["params"] if p.ndim < 2]
            parted += [{**group, "params": [p for p in group["params"] if p.ndim > 1]}]
            parted += [{**group, "params": flat, "weight_decay": 0.0}] if flat else []
        return make_optimiser(parted, config)

    with patch.object(descent, "make_optimiser", make):
        yield


@contextmanager
def averaged(decay: float) -> Iterator[None]:
    """The model that is tested is the exponential moving average of the weights over the steps."""
    import torch

    from dalib.train import engine

    averages: dict[Any, Any] = {}
    update, finish = engine.update, engine.Engine.finish

    def step(*args: Any, **kwargs: Any) -> Any:
        out = update(*args, **kwargs)
        for group in next(a for a in args if hasattr(a, "param_groups")).param_groups:
            for p in group["params"]:
                kept = averages.setdefault(p, p.detach().clone())
                kept.lerp_(p.detach(), 1 - decay)
        return out

    def end(self: Any) -> Any:
        with torch.no_grad():
            for p, kept in averages.items():
                p.copy_(kept)
        averages.clear()
        return finish(self)

    with patch.object(engine, "update", step), patch.object(engine.Engine, "finish", end):
        yield


@contextmanager
def warmed(name: str, on: bool) -> Iterator[None]:
    """The adaptation terms grow with the schedule of Ganin et al., or (dann) the reversal does not."""
    import importlib

    from dalib.core.registry import ALGORITHMS
    from dalib.nn.adversarial import warm_up

    cls = ALGORITHMS.get(name)
    if on:
        adapt = cls.adapt

        def grown(self: Any, source: Any, target: Any, progress: Any) -> Any:
            return {k: v * warm_up(progress) for k, v in adapt(self, source, target, progress).items()}

        with patch.object(cls, "adapt", grown):
            yield
    else:
        with patch.object(importlib.import_module(cls.__module__), "warm_up", lambda progress: 1.0):
            yield


def between(make: Callable[[int], list[Any]]) -> Callable[[Any], None]:
    """A discriminator with further layers behind each hidden Linear; `make(width)` lists them."""
    from torch import nn

    def change(discriminator: Any) -> None:
        first, second, last = (part for part in discriminator.layers if isinstance(part, nn.Linear))
        width = first.out_features
        discriminator.layers = nn.Sequential(first, *make(width), second, *make(width), last)

    return change


def one_hidden(discriminator: Any) -> None:
    from torch import nn

    first, _, last = (part for part in discriminator.layers if isinstance(part, nn.Linear))
    discriminator.layers = nn.Sequential(first, nn.ReLU(), last)


@contextmanager
def discriminator_rate(factor: float) -> Iterator[None]:
    from dalib.core.algorithm import Algorithm

    rates = Algorithm.rates

    def own(self: Any, backbone_rate: float) -> Any:
        listed = list(rates(self, backbone_rate))
        return [*listed, (self.discriminator, factor)] if hasattr(self, "discriminator") else listed

    with patch.object(Algorithm, "rates", own):
        yield
