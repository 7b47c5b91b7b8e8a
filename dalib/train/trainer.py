"""The Trainer: devices, precision, batches, schedules, checkpoints. An algorithm is only its idea."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, FeatureAlgorithm
from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.types import Domain, Outputs, Task
from dalib.train.batch_norm import measure_statistics
from dalib.train.config import TrainConfig
from dalib.train.descent import Descent
from dalib.train.device import pick_device
from dalib.train.fitted import Fitted

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
        self.labelled: Domain
        self._fitted: Fitted
        self._phase = self._done = 0

    def fit(self, algorithm: Algorithm, task: Task, backbone: Backbone) -> Fitted:
        """Train `algorithm`, in place, and a copy of the backbone on what the task grants.

        The backbone given stays as it was, so the next `fit` starts from the same network: what was trained, with the
        adapters and norms that an algorithm put into it, is `algorithm.network` and the result's `backbone`. Pass that
        one to go on training.

        Raises
            DalibError: task and backbone do not fit together
            Diverged: a loss term stopped being finite
        """
        with self._seeded():
            source, target = self.begin(algorithm, task, backbone if backbone.frozen else backbone.copied())
            algorithm.fit(self, source, target)
            return self.end(target)

    def begin(self, algorithm: Algorithm, task: Task, backbone: Backbone) -> tuple[Domain, Domain]:
        """The first part of `fit`: attach the network; returns source and target as the network takes them.

        The backbone's module is the one that is trained, without a copy.
        """
        config = self.config
        if backbone.preprocess:
            backbone = replace(backbone, preprocess=backbone.preprocess.at(config.crop, config.resize))
        if not len(task.labelled) or not len(task.target):
            raise DalibError(
                f"task {task.name} has {len(task.labelled)} labelled and {len(task.target)} target rows; both need some"
            )
        if backbone.batch_norm_folded and not backbone.frozen and config.batch_norm == "train":
            warnings.warn(
                f"{backbone.name}'s batch norms were folded into its biases, so training statistics undo its weights; "
                "set batch_norm = 'reestimate' (or 'eval')",
                RuntimeWarning,
                stacklevel=3,
            )
        self._phase = self._done = 0
        solved = isinstance(algorithm, FeatureAlgorithm)
        inner = replace(identity(backbone.dim), head=backbone.head) if backbone.frozen else backbone
        origins = int(task.labelled.origin.max()) + 1
        width = 0 if solved else config.bottleneck
        objective = find_objective(task.objective)
        network = Network(inner, len(task.classes), width, origins, task.target_origin, objective)
        algorithm.attach(network)
        algorithm.to(self.device)
        if config.channels_last:
            algorithm.to(memory_format=torch.channels_last)
        self._fitted = fitted = Fitted(algorithm, backbone, task.classes, config, self.device)
        self.labelled = fitted.represent(task.labelled)
        return self.labelled, fitted.represent(task.target.unlabelled())

    def open_descent(self, source: Domain, target: Domain, until: float = 1.0) -> Descent:
        """The descent from where the last one stopped to `until` of `config.steps`."""
        last = round(until * self.config.steps)
        if last < self._done or not 0 < until <= 1:
            raise DalibError(
                f"descend(until={until}) after {self._done} of {self.config.steps} steps; give more, up to 1"
            )
        first, self._done = self._done, last
        return Descent(self._fitted, source, target, seed=self.seed, first=first, last=last)

    def end(self, target: Domain) -> Fitted:
        """The last part of `fit`: evaluate the end and let go of the checkpoint."""
        fitted = self._fitted
        fitted.algorithm.to(self.device)
        self.evaluate_now(self._done, target)
        fitted.algorithm.eval()
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
        return fitted

    def stops(self) -> set[int]:
        """After how many steps candidates are evaluated."""
        steps, points = self.config.steps, self.config.evaluations
        return {round(steps * (i + 1) / points) for i in range(points)}

    def evaluate_now(self, step: int, target: Domain) -> None:
        """Add a candidate."""
        fitted = self._fitted
        fitted.algorithm.before_evaluation(self, target)
        result = self.evaluate(fitted, step) if self.evaluate else {}
        fitted.candidates.append({"step": step, **result})

    def embed(self, algorithm: Algorithm, domain: Domain) -> Tensor:
        """Backbone features (n, d) float32 on the CPU; evaluation mode, no augmentation."""
        return self._fitted.map_rows(domain, algorithm.network.embed).float().cpu()

    def outputs(self, algorithm: Algorithm, domain: Domain) -> Outputs:
        """z (n, d) and logits (n, K) of the algorithm's prediction, on the CPU; evaluation mode, no augmentation."""
        return self._fitted.outputs(domain)

    def reestimate(self, algorithm: Algorithm, domain: Domain) -> int:
        """Running statistics of every batch norm of the network from all rows of `domain`, its function changing."""
        store = self._fitted.store(domain)
        return measure_statistics(algorithm.network, self._fitted.batches(store))

    def descend(self, algorithm: Algorithm, source: Domain, target: Domain, until: float = 1.0) -> None:
        """Steps on `algorithm.step`, from where the last descent stopped to `until` of `config.steps`.

        The learning rate's schedule and `progress` run from 0 to 1 in each descent. A resumed `fit` passes over the
        descents that were complete. A source without rows is withheld: the algorithm sees an empty batch of it.
        """
        self._phase += 1
        descent = self.open_descent(source, target, until)
        if self.checkpoint:
            descent.resume(self.checkpoint, self.checkpoint_key, self._phase)
        stops, last, saved = self.stops(), descent.last, time.monotonic()
        for step in descent.run(self):
            if step in stops and step < self.config.steps:
                descent.monitor.flush()
                self.evaluate_now(step, target)
            if self.report and step % 10 == 0:
                self.report(step, self.config.steps)
            if self.checkpoint and time.monotonic() - saved > self.checkpoint_seconds and step < last:
                descent.save(self.checkpoint, self.checkpoint_key, self._phase)
                saved = time.monotonic()
        self._fitted.extend_curve(descent.monitor.thinned())

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """The run's own stream of random numbers; the caller's global generators are left as they were."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed)
            yield
