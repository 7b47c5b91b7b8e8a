"""A fitted model: prepares input, predicts, and remembers what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.memory import hold_memory
from dalib.core.rows import Input
from dalib.core.types import Domain, Outputs, name_unknown
from dalib.feed.batches import DomainStore
from dalib.feed.embed import embed_domain
from dalib.feed.placement import as_tensor
from dalib.feed.stores import open_store
from dalib.train.config import TrainConfig
from dalib.train.device import arrange, autocast

EVAL_BATCH = 256
CPU_PIXELS = EVAL_BATCH * 64**2
"""Pixels of the images that a CPU answers at once: more wait for memory (256 images of 224 px take 9 GB, 20 take 2)."""
DENSE_BATCH = 32
"""Where every pixel has an answer."""


@dataclass
class Fitted:
    """What `Trainer.fit` returns.

    Args
        algorithm: with its trained network attached
        backbone: prepares images; when frozen, images are embedded by it and the network sees features
        classes: class names by label
        config: the recipe it was trained with
        device: where it lives
        candidates: what `evaluate` returned, with `step`
        curve: `step` and the loss terms
        fixed: parameters that came with `requires_grad = False`, which no training moves
        held_out: logits and labels of held-out source rows by this very model, and no z; None where none were held out
        moments: (mean, deviation) of the target for every `zscore` of `normalise`: rows to predict are target rows
        extra: facts that a model file keeps beside the weights (data set, task, `normalise`, `protocol`)
    """

    algorithm: Algorithm
    backbone: Backbone
    classes: tuple[str, ...]
    config: TrainConfig
    device: torch.device
    candidates: list[dict[str, Any]] = field(default_factory=list)
    curve: dict[str, list[float]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    fixed: frozenset[torch.nn.Parameter] = frozenset()
    moments: tuple[tuple[Any, Any], ...] = ()
    held_out: Outputs | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """A class name per logit."""
        return (*self.classes, name_unknown(self.classes)) if self.algorithm.rejects else self.classes

    def extend_curve(self, later: dict[str, list[float]]) -> None:
        """Append another descent's curve; where one lacks a term it counts as 0."""
        before, after = len(self.curve.get("step", [])), len(later["step"])
        for name in dict.fromkeys([*self.curve, *later]):
            self.curve[name] = self.curve.get(name, [0.0] * before) + later.get(name, [0.0] * after)

    def represent(self, domain: Domain) -> Domain:
        """The domain as the network takes it: embedded once when the backbone is frozen."""
        backbone = self.backbone
        return embed_domain(backbone, domain, self.device) if backbone.frozen and backbone.takes(domain) else domain

    def store(self, domain: Domain) -> DomainStore:
        """The domain on the device; DalibError if its rows do not fit the backbone's input."""
        if self.backbone.rows and not self.backbone.frozen:
            return open_store(self.backbone, domain, self.device)
        preprocess = self.backbone.preprocess if domain.is_images else None
        if domain.is_images and preprocess is None:
            raise DalibError(f"domain '{domain.name}' holds images; backbone '{self.backbone.name}' takes features")
        if self.backbone.preprocess and not self.backbone.frozen and not domain.is_images:
            remedy = (
                "grey pictures need three channels: x[:, None].repeat(3, axis=1)"
                if domain.x.ndim == 3
                else "use identity"
            )
            raise DalibError(
                f"domain '{domain.name}' holds features; backbone '{self.backbone.name}' takes images ({remedy})"
            )
        if preprocess and domain.x.shape[-1] != preprocess.resize:
            raise DalibError(
                f"domain '{domain.name}' is decoded at {domain.x.shape[-1]} px; "
                f"pass resize={preprocess.resize} to make_task"
            )
        width = domain.x.shape[1] if domain.x.ndim == 2 else domain.x.shape[1:]
        if not domain.is_images and width != self.backbone.dim:
            raise DalibError(f"domain '{domain.name}' has width {width}; the backbone has {self.backbone.dim}")
        return DomainStore(domain, preprocess, self.device)

    def batches(self, store: DomainStore, size: int = 0) -> Iterator[Input]:
        """Every row once, in order, without augmentation; `size` rows at once, or so many that statistics are good."""
        size = size or self._batch_size(store)
        for start in range(0, len(store), size):
            index = torch.arange(start, min(start + size, len(store)))
            yield arrange(store.batch(index), self.config.channels_last)

    def _batch_size(self, store: DomainStore) -> int:
        if self.algorithm.objective.dense:
            return DENSE_BATCH
        return EVAL_BATCH if store.preprocess or (self.backbone.rows and not self.backbone.frozen) else 4096

    @torch.no_grad()
    def map_rows(self, domain: Domain, function: Callable[[Input], Any]) -> Any:
        """`function` over all rows in evaluation mode; tensors (or tuples of them) concatenated, on the device."""
        self.algorithm.eval()
        parts, store = [], self.store(self.represent(domain))
        size = self._batch_size(store)
        if store.preprocess and self.device.type == "cpu":
            size = min(size, max(CPU_PIXELS // store.preprocess.crop**2, 1))
        several = len(store) > size  # one batch has nothing to use again, and giving back takes time
        with hold_memory() if several else nullcontext():
            for x in self.batches(store, size):
                with autocast(self.device, self.config.precision):
                    parts.append(function(x))
        if isinstance(parts[0], tuple):
            return tuple(torch.cat(column) for column in zip(*parts, strict=True))
        return torch.cat(parts)

    def outputs(self, domain: Domain, restored: bool = True) -> Outputs:
        """Features and logits of a whole domain, float32, on the CPU.

        restored: numbers are in the unit of their labels, not as the head says them
        """
        y = None if domain.y is None else as_tensor(np.asarray(domain.y))
        if not len(domain):
            return Outputs(torch.zeros(0, self.algorithm.network.dim), torch.zeros(0, len(self.names)), y)
        objective = self.algorithm.objective

        def answer(x: Any) -> tuple[Tensor, Tensor]:
            z, prediction = self.algorithm.predict(x)
            return z, objective.keep(prediction)

        z, prediction = self.map_rows(domain, answer)
        if restored:
            prediction = self.algorithm.network.restore_answers(prediction)
        return Outputs(z.float().cpu(), prediction.cpu(), y)
