"""Fits on a second device beside the same fits on the CPU; a process of its own, started by test_second_device.py.

    python -m tests.support.far_fits algorithms | rest

Prints JSON: what was fitted -> an empty string, or what went wrong.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from dalib.checks.dense_world import is_dense
from dalib.checks.world import CONFIG, DIM, make_task
from dalib.core.algorithm import Terms
from dalib.core.backbone import identity
from dalib.core.registry import ALGORITHMS, VALIDATORS
from dalib.core.types import Source, Target
from dalib.estimator import AdaptationClassifier
from dalib.train.fleet import Member, fit_fleet
from dalib.train.model_file import load_model, save_model
from dalib.train.multi_task import MultiTask
from dalib.train.trainer import Trainer
from tests.support.any_world import backbone_for, recipe_for, task_for
from tests.support.far_device import far, far_device, near
from tests.support.image_world import Plain, make_backbone, make_image_task, recipe

Fit = Callable[[torch.device], Tensor]


def features(name: str) -> Fit:
    """Logits after twelve steps with an evaluation in between."""

    def fit(device: torch.device) -> Tensor:
        cls = ALGORITHMS.get(name)
        task, config = (
            task_for(cls),
            recipe_for(cls, CONFIG, **({"augment": "flip"} if is_dense(cls) else {"steps": 12})),
        )
        trainer = Trainer(config, device=str(device), evaluate=lambda fitted, _: {"z": fitted.outputs(task.test).z})
        outputs = trainer.fit(cls(**cls.trial), task, backbone_for(cls)).outputs(task.test)
        return outputs.z if is_dense(cls) else outputs.logits

    return fit


def images(name: str = "dann", frozen: bool = False, budget: str = "", **changes: object) -> Fit:
    def fit(device: torch.device) -> Tensor:
        os.environ["DALIB_DEVICE_BUDGET"] = budget
        task, backbone = make_image_task(), make_backbone(frozen=frozen)
        fitted = Trainer(recipe(**changes), device=str(device)).fit(ALGORITHMS.get(name)(), task, backbone)
        return fitted.outputs(task.test).logits

    return fit


def scores(device: torch.device) -> Tensor:
    """Every validator on the outputs of a fit."""
    task = make_task()
    fitted = Trainer(CONFIG, device=str(device)).fit(ALGORITHMS.get("mmd")(), task, identity(DIM))
    source, target = fitted.outputs(task.labelled), fitted.outputs(task.target)
    return torch.tensor([VALIDATORS.get(name)().score(source, target) for name in VALIDATORS.names()])


def model_file(device: torch.device) -> Tensor:
    """Saved on the device, loaded there and asked again."""
    task = make_task()
    fitted = Trainer(CONFIG, device=str(device)).fit(ALGORITHMS.get("dann")(), task, identity(DIM))
    with tempfile.TemporaryDirectory() as folder:
        path = save_model(fitted, Path(folder) / "model.safetensors", "dann")
        return load_model(path, device=str(device)).outputs(task.test).logits


def fleet(device: torch.device) -> Tensor:
    task = make_task()
    members = [
        Member(Trainer(CONFIG, seed=seed, device=str(device)), ALGORITHMS.get("mmd")(), task, identity(DIM))
        for seed in (0, 1)
    ]
    return torch.cat([m.outputs(task.test).logits for m in fit_fleet(members)])


def multi_task(device: torch.device) -> Tensor:
    task = make_image_task()
    tasks = {name: (task, ALGORITHMS.get(name)()) for name in ("dann", "mcc")}
    fitted = MultiTask(recipe(augment="flip"), device=str(device)).fit(tasks, make_backbone())
    return torch.cat([f.outputs(task.test).logits for f in fitted.values()])


def estimator(device: torch.device) -> Tensor:
    task = make_task()
    made = AdaptationClassifier(ALGORITHMS.get("dann")(), train={"steps": 12}, random_state=0, device=str(device))
    made.fit(task.labelled.x, task.labelled.y, task.target.x)
    return torch.from_numpy(made.predict_proba(task.target.x))


class Careless(Plain):
    """Makes a tensor where PyTorch makes them by default."""

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"careless": (source.logits * torch.ones(3)).mean()}


def careless(device: torch.device) -> Tensor:
    task = make_task()
    return Trainer(CONFIG, device=str(device)).fit(Careless(), task, identity(DIM)).outputs(task.test).logits


def check(fit: Fit, exact: bool) -> str:
    """Whether the fit ends on the far device as on the CPU."""
    expected = fit(torch.device("cpu"))
    try:
        with far() as device:
            found = near(fit(device))
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "dalib" in f.filename]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        return f"{type(error).__name__} at {place}: {' '.join(str(error).split())[:200]}"
    found, expected = found.nan_to_num(7.0), expected.nan_to_num(7.0)
    gap = float((found - expected).abs().max() / expected.abs().max())
    return "" if gap <= (1e-5 if exact else 0.3) else f"off by {gap:.1e}"


CASES: dict[str, tuple[Fit, bool]] = {
    "flipped images": (images(augment="flip"), True),
    "channels_last": (images(augment="flip", channels_last=True), True),
    "separate passes": (images(augment="none", forward="separate"), True),
    "batch norms measured": (images(augment="none", batch_norm="reestimate"), True),
    "AdamW, clipping, balanced": (
        images(augment="none", optimiser="adamw", clip=1.0, warmup=0.2, sampler="class_balanced"), True
    ),
    "embedded once": (images(frozen=True), True),
    "from the host": (images(augment="flip", budget="0"), True),
    "resized and jittered": (images(augment="standard", colour_jitter=0.4), False),
    "two views": (images("fixmatch", augment="standard"), False),
    "every validator": (scores, True),
    "model file": (model_file, True),
    "fleet": (fleet, True),
    "several tasks": (multi_task, True),
    "scikit-learn's face": (estimator, True),
    "careless": (careless, True),
}  # fmt: skip
"""With what ends on the CPU as on the device; not so where a GPU resizes by its own arithmetic, one level apart."""


def main(which: str) -> None:
    warnings.simplefilter("ignore")
    far_device()
    torch.set_num_threads(1)
    chosen = {name: (features(name), True) for name in ALGORITHMS.names()} if which == "algorithms" else CASES
    print(json.dumps({name: check(*case) for name, case in chosen.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
