"""The work of `dalib train`: data, backbone, training, accuracies."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from dalib.assemble import RunContext, assemble
from dalib.cli._common import bold, print_columns, progress_bar
from dalib.core.registry import PROTOCOLS
from dalib.core.types import Domain, Task
from dalib.evaluate.metrics import decide, domain_metrics
from dalib.nn.metrics import accuracy
from dalib.records.spec import RunSpec
from dalib.train.fitted import Fitted
from dalib.train.model_file import save_model

OPEN = ("known_accuracy", "unknown_accuracy", "h_score", "unknown_auroc")


@dataclass
class TrainedRun:
    """A fitted model with what it was trained on.

    accuracies: by rows; on the target, rows that are rejected count as called `unknown`
    opened: in an open-set task, `known_accuracy`, `unknown_accuracy`, `h_score`, `unknown_auroc`; with
        protocol.reject < 1 also `called_unknown`, the part of the target that is
    note: what a partial data set lacks
    """

    spec: RunSpec
    task: Task
    fitted: Fitted
    accuracies: dict[str, float]
    opened: dict[str, float]
    seconds: float
    note: str


def fit_run(spec: RunSpec, where: RunContext) -> TrainedRun:
    """Train as described, with progress bars on a terminal; with `where.checkpoint` a stopped run goes on.

    Raises
        DalibError: device, data, backbone and algorithm do not fit together
        Diverged: a loss term stopped being finite
    """
    with progress_bar(f"making {spec.data.dataset}") as making:
        run = assemble(spec, where, making=making)
    task, started = run.task, time.monotonic()
    with progress_bar(f"{spec.algorithm} {task.name}") as run.trainer.report:
        fitted = run.fit()
    seconds = time.monotonic() - started
    rows = dict(zip(PROTOCOLS.get(task.protocol).rows, (task.labelled, task.validation, task.test), strict=True))
    found = {k: _accuracy(fitted, d) for k, d in rows.items() if len(d)}
    opened: dict[str, float] = {}
    reject, known = spec.protocol.reject, len(task.classes)
    if task.is_open or reject < 1:
        outputs = fitted.outputs(task.test)
        metrics = domain_metrics(outputs, "", known, reject)
        found[list(rows)[-1]] = metrics["_accuracy"]
        opened = {k.lstrip("_"): v for k, v in metrics.items() if k.partition("_")[2] in OPEN}
        if reject < 1:
            opened["called_unknown"] = float((decide(outputs.logits.numpy(), known, reject) == known).mean())
    return TrainedRun(spec, task, fitted, found, opened, seconds, run.data.note)


def _accuracy(fitted: Fitted, domain: Domain) -> float:
    outputs = fitted.outputs(domain)
    return float(accuracy(outputs.logits, torch.as_tensor(domain.labels)))


def print_accuracies(run: TrainedRun) -> None:
    """What was trained, then one line per set of rows."""
    spec, device = run.spec, run.fitted.device.type
    steps = f"{spec.train.steps} steps, " if run.fitted.curve else ""
    frozen = ", frozen" if spec.backbone.frozen else ""
    weights = f" ({run.fitted.backbone.weights}{frozen})" if run.fitted.backbone.preprocess else ""
    print(bold(f"{spec.algorithm}  {spec.data.dataset}  {run.task.name}"))
    print(f"{spec.backbone.name}{weights}, {steps}seed {spec.seed}, {run.seconds:.1f} s on {device}")
    if run.note:
        print(f"partial data: {run.note}")
    sizes = (len(run.task.labelled), len(run.task.validation), len(run.task.test))
    counts = [n for n in sizes if n]
    print_columns(
        [
            (f"accuracy on {k}", f"{v:7.2%}", f"n = {n}")
            for (k, v), n in zip(run.accuracies.items(), counts, strict=True)
        ]
        + [(f"target, {k.replace('_', ' ')}", f"{v:7.2%}", "") for k, v in run.opened.items()]
    )


def save_run(run: TrainedRun, out: Path) -> None:
    """Write the model file and say how to use it."""
    spec = run.spec
    extra = {
        "dataset": spec.data.dataset,
        "task": run.task.name,
        "protocol": spec.protocol.model_dump(),
        "normalise": spec.data.normalise,
        "seed": spec.seed,
        "accuracies": run.accuracies,
        "partial": run.note,
    }
    path = save_model(run.fitted, out, spec.algorithm, extra)
    print(f"model {path} ({path.stat().st_size / 1e6:.1f} MB); use it: dalib predict {path} PATH")
