"""The Trainer: devices, precision, batches, schedules, checkpoints. An algorithm is only its idea."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, FeatureAlgorithm, Terms
from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.types import Domain, LabelledRows, Rows, Source, Target, Task
from dalib.data.batches import DomainStore, IndexStream
from dalib.train.batch_norm import BATCH_NORMS, reestimate
from dalib.train.checkpoint import load_checkpoint, save_checkpoint
from dalib.train.config import TrainConfig
from dalib.train.device import arrange, autocast, pick_device, rng_state, set_rng_state
from dalib.train.fitted import Fitted
from dalib.train.monitor import LossMonitor
from dalib.train.optimiser import freeze_and_group, make_optimiser, set_rate

Evaluate = Callable[[Fitted, int], dict[str, Any]]


class Trainer:
    """Fits any algorithm on any task with any backbone.

    Args
        config: the recipe; everything in it may change numbers
        seed: decides initial weights, batches, augmentation and dropout
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        checkpoint: file for the resumable state, or None; `checkpoint_seconds` apart
        checkpoint_key: a checkpoint of another key is ignored
        evaluate: called with (fitted, step) at `config.evaluations` points; its results are kept in `fitted.candidates`
        report: called with (step, steps) now and then

    Example
        fitted = Trainer(TrainConfig(steps=500)).fit(DANN(), task, backbone)
        print(accuracy(fitted.outputs(task.test).logits, ...))
    """

    def __init__(
        self,
        config: TrainConfig | None = None,
        *,
        seed: int = 0,
        device: str = "auto",
        checkpoint: Path | None = None,
        checkpoint_key: str = "",
        checkpoint_seconds: float = 30.0,
        evaluate: Evaluate | None = None,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self.config = config or TrainConfig()
        self.seed = seed
        self.device = pick_device(device)
        self.checkpoint = checkpoint
        self.checkpoint_key = checkpoint_key
        self.checkpoint_seconds = checkpoint_seconds
        self.evaluate = evaluate
        self.report = report
        self._fitted: Fitted
        self._phase = 0

    def fit(self, algorithm: Algorithm, task: Task, backbone: Backbone) -> Fitted:
        """Train `algorithm` on what the task grants; the algorithm and the backbone's module are trained in place.

        Raises
            DalibError: task and backbone do not fit together
            Diverged: a loss term stopped being finite
        """
        config = self.config
        if backbone.preprocess:
            backbone = replace(backbone, preprocess=backbone.preprocess.at(config.crop, config.resize))
        if not len(task.labelled) or not len(task.target):
            raise DalibError(
                f"task {task.name} has {len(task.labelled)} labelled and {len(task.target)} target rows; both need some"
            )
        self._phase = 0
        with self._seeded():
            solved = isinstance(algorithm, FeatureAlgorithm)
            inner = identity(backbone.dim) if backbone.frozen else backbone
            network = Network(inner, len(task.classes), 0 if solved else config.bottleneck)
            algorithm.attach(network)
            algorithm.to(self.device)
            if config.channels_last:
                algorithm.to(memory_format=torch.channels_last)
            self._fitted = fitted = Fitted(algorithm, backbone, task.classes, config, self.device)
            source, target = fitted.represent(task.labelled), fitted.represent(task.target.unlabelled())
            algorithm.fit(self, source, target)
            algorithm.to(self.device)
            if not fitted.candidates:
                self._evaluate(fitted, 0)
        algorithm.eval()
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
        return fitted

    def embed(self, algorithm: Algorithm, domain: Domain) -> Tensor:
        """Backbone features (n, d) float32 on the CPU; evaluation mode, no augmentation."""
        return self._fitted.map_rows(domain, algorithm.network.embed).float().cpu()

    def descend(self, algorithm: Algorithm, source: Domain, target: Domain) -> None:
        """`config.steps` optimiser steps on `algorithm.step`, resuming from the checkpoint if there is one.

        A `fit` that descends several times resumes in the descent it was in: those before it are passed over.
        """
        self._phase += 1
        config, fitted, device = self.config, self._fitted, self.device
        stores = fitted.store(source), fitted.store(target)
        if config.batch_norm == "reestimate" and source.is_images:
            reestimate(algorithm.network.backbone, fitted.batches(stores[0]))
        groups, frozen = freeze_and_group(algorithm, config)
        optimiser = make_optimiser(groups, config)
        if config.batch_norm == "eval":
            frozen += [m for m in algorithm.network.backbone.modules() if isinstance(m, BATCH_NORMS)]
        labels = torch.as_tensor(source.labels)
        balanced = labels if config.sampler == "class_balanced" else None
        streams = (
            IndexStream(len(source), config.batch_size, seed=3 * self.seed, labels=balanced),
            IndexStream(len(target), config.batch_size, seed=3 * self.seed + 1),
        )
        draws = torch.Generator().manual_seed(3 * self.seed + 2)
        monitor = LossMonitor()
        parts = {
            "algorithm": algorithm,
            "optimiser": optimiser,
            "source": streams[0],
            "target": streams[1],
            "monitor": monitor,
        }
        first, passes = self._resume(parts, draws)
        forward = torch.compile(algorithm.network) if config.compile else algorithm.network
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        stops = {round(config.steps * (i + 1) / config.evaluations) for i in range(config.evaluations)}
        progress = torch.zeros((), device=device)
        saved = time.monotonic()
        step = first

        def minimise(terms: Terms, only: list[nn.Module] | None = None) -> None:
            monitor.add(step, terms)
            optimiser.zero_grad(set_to_none=True)
            torch.stack([t.float() for t in terms.values()]).sum().backward()
            if only is not None:
                kept = {p for module in only for p in module.parameters()}
                for p in parameters:
                    p.grad = p.grad if p in kept else None
            if config.clip:
                nn.utils.clip_grad_norm_(parameters, config.clip)
            optimiser.step()

        set_training(algorithm, frozen)
        for step in range(first, config.steps):
            if streams[1].passes > passes or step == 0:
                passes = streams[1].passes
                algorithm.begin_epoch(self, target)
                set_training(algorithm, frozen)
            set_rate(optimiser, config, step / config.steps)
            rows = self._rows(stores[0], streams[0].next(), draws)
            seen = self._rows(stores[1], streams[1].next(), draws) if algorithm.uses_target else rows
            both = self._forward(forward, algorithm, rows, seen)
            algorithm.step(*both, progress.fill_(step / config.steps), minimise)
            if step + 1 in stops:
                monitor.flush()
                self._evaluate(fitted, step + 1)
                set_training(algorithm, frozen)
            if self.report and (step + 1) % 10 == 0:
                self.report(step + 1, config.steps)
            if self.checkpoint and time.monotonic() - saved > self.checkpoint_seconds and step + 1 < config.steps:
                self._save(self.checkpoint, step + 1, passes, parts, draws)
                saved = time.monotonic()
        monitor.flush()
        fitted.curve = monitor.thinned()

    def _rows(self, store: DomainStore, index: Tensor, draws: torch.Generator) -> Rows:
        config = self.config
        x = arrange(
            store.batch(index, augment=config.augment, scale_min=config.scale_min, generator=draws),
            config.channels_last,
        )
        index = index.to(self.device)
        return Rows(x, index) if store.y is None else LabelledRows(x, index, store.y[index])

    def _forward(self, forward: Any, algorithm: Algorithm, source: Rows, target: Rows) -> tuple[Source, Target]:
        """Both domains through the network, in one pass or two; z and logits come back in fp32."""
        assert isinstance(source, LabelledRows)
        n = len(source)
        with autocast(self.device, self.config.precision):
            if not algorithm.uses_target:
                z, logits = forward(source.x)
                target = Rows(target.x[:0], target.index[:0])
            elif self.config.forward == "joint":
                z, logits = forward(torch.cat([source.x, target.x]))
            else:
                z, logits = (torch.cat(pair) for pair in zip(forward(source.x), forward(target.x), strict=True))
        z, logits = z.float(), logits.float()
        return (
            Source(source.x, source.index, source.y, z[:n], logits[:n]),
            Target(target.x, target.index, z[n:], logits[n:]),
        )

    def _evaluate(self, fitted: Fitted, step: int) -> None:
        result = self.evaluate(fitted, step) if self.evaluate else {}
        fitted.candidates.append({"step": step, **result})

    def _save(self, path: Path, step: int, passes: int, parts: dict[str, Any], draws: torch.Generator) -> None:
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"draws": draws.get_state(), "rng": rng_state(self.device), "candidates": self._fitted.candidates}
        save_checkpoint(
            path, state | {"step": step, "passes": passes, "phase": self._phase, "key": self.checkpoint_key}
        )

    def _resume(self, parts: dict[str, Any], draws: torch.Generator) -> tuple[int, int]:
        """(first step, passes over the target so far); every step is over when a later descent was saved."""
        state = load_checkpoint(self.checkpoint, self.checkpoint_key) if self.checkpoint else None
        if state is None or state["phase"] < self._phase:
            return 0, 0
        if state["phase"] > self._phase:
            return self.config.steps, 0
        for name, part in parts.items():
            part.load_state_dict(state[name])
        draws.set_state(state["draws"])
        set_rng_state(state["rng"], self.device)
        self._fitted.candidates[:] = state["candidates"]
        return state["step"], state["passes"]

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """The run's own stream of random numbers; the caller's global generators are left as they were."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed)
            yield


def set_training(algorithm: Algorithm, frozen: list[nn.Module]) -> None:
    """Training mode, except for frozen modules: their batch norms and dropout stay as in evaluation."""
    algorithm.train()
    for module in frozen:
        module.training = False
