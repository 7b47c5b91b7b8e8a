"""The Trainer: devices, precision, batches, schedules, checkpoints. An algorithm is only its idea."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.lacking import Lacking, lacking_in
from dalib.core.listener import Listener
from dalib.core.memory import hold_memory
from dalib.core.network import Network
from dalib.core.objective import Objective, find_objective
from dalib.core.seeds import check_seed
from dalib.core.types import Domain, Task
from dalib.train.answers import check_answers
from dalib.train.config import TrainConfig
from dalib.train.continuation import check_source_free, continue_network
from dalib.train.device import pick_device, seeded
from dalib.train.engine import Engine, followed
from dalib.train.fitted import Fitted
from dalib.train.listeners.checkpoint import Checkpoint
from dalib.train.listeners.curve import Curve
from dalib.train.listeners.evaluation import Evaluation
from dalib.train.listeners.progress import Progress
from dalib.train.ranks import need_ranks

Evaluate = Callable[[Fitted, int], dict[str, Any]]
OWN_LISTENERS = (Curve, Evaluation, Progress, Checkpoint)
"""What other arguments of `Trainer` make, so that nobody has to ask for it."""


class Trainer:
    """Fits any algorithm on any task with any backbone.

    Args
        config: the recipe; everything in it may change numbers
        seed: 0 to 2**62; decides initial weights, batches, augmentation and dropout
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        checkpoint: file for the resumable state, or None; `checkpoint_seconds` apart
        checkpoint_key: of the run; a checkpoint of another run (seed, rows, recipe, algorithm, weights, key) is left
            aside with a warning, and training starts again
        evaluate: called with (fitted, step) at `config.evaluations` points; its results are kept in `fitted.candidates`
        report: called with (step, steps) now and then
        listeners: what else follows every fit (`dalib.core.listener`); of several processes, the first one's
        distributed: this process is one of several that `torch.distributed` connects (`torchrun`), which share every
            step of the fit: their result is that of one process, up to rounding. False: it trains for itself

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
        listeners: Sequence[Listener] = (),
        distributed: bool = False,
    ) -> None:
        self.config = config or TrainConfig()
        self.seed = check_seed(seed)
        self.device = pick_device(device)
        self.checkpoint = checkpoint
        self.checkpoint_key = checkpoint_key
        self.checkpoint_seconds = checkpoint_seconds
        self.evaluate = evaluate
        self.report = report
        self.listeners = list(listeners)
        self.ranks = need_ranks() if distributed else None

    def fit(self, algorithm: Algorithm, task: Task, backbone: Backbone) -> Fitted:
        """Train `algorithm`, in place, and a copy of the backbone on what the task grants.

        The backbone given stays as it was, so the next `fit` starts from the same network: what was trained, with the
        adapters and norms that an algorithm put into it, is `algorithm.network` and the result's `backbone`. Pass that
        one to go on training.

        Raises
            DalibError: task and backbone do not fit together
            Diverged: a loss term stopped being finite
        """
        with hold_memory(), seeded(self.seed, self.device):
            engine = self.begin(algorithm, task, backbone if backbone.frozen else backbone.copied())
            algorithm.check_memory(len(engine.labelled), len(engine.target))
            with followed(engine, engine.listeners):
                algorithm.fit(engine, engine.labelled, engine.target)
                engine.finish()
            return engine.fitted

    def begin(
        self, algorithm: Algorithm, task: Task, backbone: Backbone, listeners: Sequence[Listener] | None = None
    ) -> Engine:
        """The first part of `fit`: attach the network; the engine then has the task's rows as the network takes them.

        The backbone's module is the one that is trained, without a copy.

        listeners: in place of those that `fit` has
        """
        config, objective = self.config, find_objective(task.objective)
        algorithm.check_objective(objective.name)
        backbone = self._prepared(backbone, objective)
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
        solved = isinstance(algorithm, FeatureAlgorithm)
        backbone = backbone.fix_parameters()
        head, tower = backbone.head, backbone.text_tower
        bare = replace(identity(backbone.dim), head=head, head_classes=backbone.head_classes, text_tower=tower)
        inner = bare if backbone.frozen else backbone
        origins = int(task.labelled.origin.max()) + 1
        width = 0 if solved else config.bottleneck
        answers = "as_given" if solved else config.answers
        check_answers(task, config, moves=bool(backbone.preprocess) and not backbone.frozen and not solved)
        network = objective.network(
            inner,
            len(task.classes),
            width,
            origins=origins,
            target_origin=task.target_origin,
            initialisation=config.initialisation,
            answers=answers,
            decoder=config.decoder,
        )
        if answers != "as_given":
            y = network.scale_answers(torch.as_tensor(task.labelled.labels))
            task = replace(task, labelled=replace(task.labelled, y=y.numpy()))
        engine = self._open(algorithm, network, backbone, task, listeners)
        for sentence, remedy in lacking_in(algorithm, task.labelled.origin).items():
            warnings.warn(f"{sentence}; {remedy}", Lacking, stacklevel=3)
        return engine

    def adapt(self, algorithm: Algorithm, model: Fitted, target: Domain) -> Fitted:
        """Go on from a trained model with unlabelled rows alone; the model given stays as it was.

        Args
            algorithm: one that is `source_free`; adapted in place
            model: its network is what the algorithm begins with; the trainer's `bottleneck` must be its own
            target: rows as the model takes them; their labels, if any, are not looked at

        Raises
            DalibError: an algorithm that needs source rows, a model that another one cannot go on with, fewer than two
                rows
            Diverged: a loss term stopped being finite
        """
        check_source_free(algorithm)
        if len(target) < 2:
            raise DalibError(
                f"target '{target.name}' has {len(target)} row{'' if len(target) == 1 else 's'}, from which nothing "
                "can be learnt; give 2 or more"
            )
        network, backbone = continue_network(model)
        seen = replace(model, backbone=backbone, device=self.device).represent(target.unlabelled())
        nothing = replace(seen.take(np.arange(0), "withheld"), y=np.zeros(0, np.int64), classes=model.classes)
        task = Task(f"->{target.name}", nothing, seen, nothing, nothing)
        with hold_memory(), seeded(self.seed, self.device):
            prepared = self._prepared(backbone, network.objective)
            engine = self._open(algorithm, network, prepared.fix_parameters(), task)
            engine.fitted.moments = model.moments
            with followed(engine, engine.listeners):
                algorithm.go_on(engine, engine.labelled, engine.target)
                engine.finish()
            return engine.fitted

    def _prepared(self, backbone: Backbone, objective: Objective) -> Backbone:
        """With the recipe's crop, as answers of this kind need it."""
        if not backbone.preprocess:
            return backbone
        return replace(
            backbone, preprocess=objective.prepare(backbone.preprocess, self.config.crop, self.config.resize)
        )

    def _open(
        self,
        algorithm: Algorithm,
        network: Network,
        backbone: Backbone,
        task: Task,
        listeners: Sequence[Listener] | None = None,
    ) -> Engine:
        """The engine of a network that is there."""
        config = self.config
        if self.ranks is not None:
            self.ranks.check(algorithm, config)
            if network.objective.structured:
                raise DalibError(
                    f"what is predicted for {network.objective.name} cannot be shared by processes; start one "
                    "(devices = 1)"
                )
        algorithm.attach(network)
        algorithm.to(self.device)
        algorithm.read_names(task.classes, task.labelled.name, task.target.name)
        if config.channels_last:
            algorithm.to(memory_format=torch.channels_last)
        fixed = frozenset(p for p in algorithm.parameters() if not p.requires_grad)
        if backbone.fixed and not backbone.frozen:
            _tell_fixed(backbone)
        fitted = Fitted(algorithm, backbone, task.classes, config, self.device, fixed=fixed)
        listeners = self.all_listeners() if listeners is None else listeners
        return Engine(fitted, task, seed=self.seed, listeners=listeners, ranks=self.ranks)

    def all_listeners(self) -> list[Listener]:
        """One's own among those of the other arguments: each sees a step before it is evaluated, reported and saved.

        Ranks but the first keep what training itself needs, and read the checkpoint that the first one writes.
        """
        first = self.ranks is None or self.ranks.first
        listeners: list[Listener] = [Curve()]
        if first:
            listeners += [*self.listeners, Evaluation(self.evaluate)]
        if self.report and first:
            listeners.append(Progress(self.report))
        if self.checkpoint:
            listeners.append(Checkpoint(self.checkpoint, self.checkpoint_key, self.checkpoint_seconds, writes=first))
        return listeners


def _tell_fixed(backbone: Backbone) -> None:
    numbers = {name: p.numel() for name, p in backbone.module.named_parameters()}
    count = sum(numbers.get(name, 0) for name in backbone.fixed or ())
    warnings.warn(
        f"{len(backbone.fixed or ())} of backbone {backbone.name}'s {len(numbers)} parameter tensors ({count} numbers) "
        "came with requires_grad = False and stay frozen; set it to True for those that shall be trained",
        stacklevel=4,
    )
