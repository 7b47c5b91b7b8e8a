"""Bytes of tensors that are alive at once, counted as they come and go."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.needs import Size
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.types import Domain


class Peak(TorchDispatchMode):
    """`most`: the largest number of bytes that tensors made inside had at one time, views counted once.

    on_the_host: bytes of the largest one that is not only described (`meta`)
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = self.on_the_host = 0
        self.alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in tree_flatten(made)[0]:
            if isinstance(value, torch.Tensor):
                if value.device.type != "meta":
                    self.on_the_host = max(self.on_the_host, value.numel() * value.element_size())
                storage = value.untyped_storage()
                place, size = storage._cdata, storage.nbytes()
                if place not in self.alive:
                    self.alive.add(place)
                    self.now += size
                    self.most = max(self.most, self.now)
                    weakref.finalize(storage, self._end, place, size)
        return made

    def _end(self, place: int, size: int) -> None:
        self.now -= size
        self.alive.discard(place)


class Embedder:
    """What a solved method asks of a trainer: the rows themselves."""

    def embed(self, algorithm: Algorithm, domain: Domain) -> torch.Tensor:
        return torch.as_tensor(domain.x)


def told_over_used(algorithm: Algorithm, n: int = 300, d: int = 10) -> float:
    """The memory that a solved method says it needs for n + n rows of d numbers, over what its solution takes."""
    chance, classes = np.random.default_rng(0), ("x", "y", "z")
    x = np.abs(chance.normal(size=(2, n, d)).astype(np.float32))
    kind = "classification" if algorithm.can_answer("classification") else "regression"
    y = np.arange(n) % 3 if kind == "classification" else x[0, :, :3]
    source = Domain("a", x[0], y, classes, "a", objective=kind, origin=np.arange(n) % 2)
    target = Domain("b", x[1] + 0.5, None, classes, "b", objective=kind)
    algorithm.attach(Network(identity(d), 3, 0, objective=find_objective(kind)))
    with Peak() as peak:
        algorithm.fit(Embedder(), source, target)  # type: ignore[arg-type]
        algorithm.predict(torch.from_numpy(x[1]))
    return algorithm.needs(Size(n, n, d, 3)).bytes / peak.most
