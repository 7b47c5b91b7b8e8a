"""Fits that several processes share beside the same fits in one; processes of their own, started by test_ranks.py.

    python -m tests.support.shared_fits RANK SIZE STORE algorithms | rest

The first rank prints JSON: what was fitted -> an empty string, or what went wrong.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from dalib.checks.world import CONFIG, features_of, make_task
from dalib.checks.world import fit as fit_small
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.listener import Listener, RunLike
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target
from dalib.train.fitted import Fitted
from dalib.train.trainer import Trainer
from tests.support.any_world import backbone_for, recipe_for, task_for
from tests.support.image_world import make_backbone, make_image_task, recipe

Fit = Callable[[bool], Fitted]
TOLERANCE = 1e-3


def features(name: str, **changes: Any) -> Fit:
    """Four steps; discriminators without dropout, whose draws are those of one process all the same."""

    def fit(distributed: bool) -> Fitted:
        cls = ALGORITHMS.get(name)
        trainer = Trainer(recipe_for(cls, CONFIG, **{"steps": 4, **changes}), device="cpu", distributed=distributed)
        return trainer.fit(cls(**cls.trial), task_for(cls), backbone_for(cls))

    return fit


def images(name: str = "dann", **changes: Any) -> Fit:
    """Four steps: sums of three processes round otherwise (1e-5 after four), and where that moves the largest of
    four pixels, or a number across a rectifier's zero, the fits part for good; on some processors at the sixth step.
    """

    def fit(distributed: bool) -> Fitted:
        trainer = Trainer(recipe(**{"steps": 4, **changes}), device="cpu", distributed=distributed)
        return trainer.fit(ALGORITHMS.get(name)(), make_image_task(), make_backbone())

    return fit


class Stop(Listener):
    """Ctrl-C after a step, on every rank at once."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        if step == self.step:
            raise KeyboardInterrupt


def resumed(distributed: bool) -> Fitted:
    """Shared: begun in one process, gone on with by all; alone: never stopped."""
    config, cls = CONFIG.model_copy(update={"steps": 8}), ALGORITHMS.get("mcc")
    if not distributed:
        return Trainer(config, device="cpu").fit(cls(), make_task(), features_of(cls))
    path = [tempfile.mktemp(suffix=".checkpoint")]
    dist.broadcast_object_list(path)
    kept: dict[str, Any] = {"checkpoint": Path(path[0]), "checkpoint_key": "k", "checkpoint_seconds": 0.0}
    if dist.get_rank() == 0:
        with suppress(KeyboardInterrupt):
            Trainer(config, device="cpu", listeners=[Stop(5)], **kept).fit(cls(), make_task(), features_of(cls))
        assert kept["checkpoint"].exists()
    dist.barrier()
    return Trainer(config, device="cpu", distributed=True, **kept).fit(cls(), make_task(), features_of(cls))


class SlopeOfLoss(Algorithm):
    """A plug-in that differentiates its own loss through the network, and does not say so."""

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        weights = list(self.network.bottleneck.parameters())
        slopes = torch.autograd.grad(source.logits.square().mean(), weights, create_graph=True)
        return {"slope": torch.stack([slope.square().sum() for slope in slopes]).sum()}


def refused(distributed: bool) -> Fitted:
    """A fit without it, if it is refused; with it, it would be another one."""
    with suppress(DalibError):
        fit_small(SlopeOfLoss, distributed=distributed, evaluate=None, steps=1)
        if distributed:
            raise AssertionError("a slope of the own rows' loss alone was taken for that of the whole one")
    return features("source_only", steps=1)(distributed)


def compare(fit: Fit) -> str:
    """What is wrong with the shared fit, on the first rank; on others only whether it fails."""
    shared = fit(True).algorithm.state_dict()
    told: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(told, dict(shared))
    if dist.get_rank():
        return ""
    for other in told[1:]:
        differ = [name for name, value in shared.items() if not torch.equal(value, other[name])]
        if differ:
            return f"ranks end with other values of {differ[0]}"
    alone = fit(False).algorithm.state_dict()
    worst = max(
        (float((shared[name].double() - value.double()).norm() / (value.double().norm() + 1e-3)), name)
        for name, value in alone.items()
    )
    return "" if worst[0] < TOLERANCE else f"{worst[1]} is off by {worst[0]:.2g}"


def cases(which: str) -> dict[str, Fit]:
    if which == "algorithms":
        deep = {name: ALGORITHMS.get(name) for name in ALGORITHMS.names()}
        return {n: features(n) for n, c in deep.items() if not issubclass(c, FeatureAlgorithm) and not c.undivided}
    whole = make_task()
    few = replace(whole, target=whole.target.take(np.arange(2), "two"))
    return {
        "images": images(),
        "images, one pass per batch": images("mmd", forward="separate"),
        "images, three views": images("fixmatch"),
        "clipped": features("dann", clip=0.1),
        "averaged statistics": images("source_only", batch_norm="eval"),
        "odd batch": features("mcc", batch_size=7),
        "fewer rows than processes": features("mmd", task=few),
        "refused": refused,
        "resumed": resumed,
    }


def main() -> None:
    rank, size, store, which = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    found = {}
    for name, fit in cases(which).items():
        try:
            found[name] = compare(fit)
        except Exception:
            found[name] = traceback.format_exc(limit=-3)
            if rank:
                print(f"rank {rank}, {name}: {found[name]}", file=sys.stderr)
    if not rank:
        print(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
