"""`dalib.fit`: one algorithm on one task, how good it is, and the model as a file."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dalib.assemble import Report, RunContext, assemble
from dalib.bench.describe import describe_run
from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.listener import Listener
from dalib.core.objective import find_objective
from dalib.core.registry import LISTENERS, PROTOCOLS
from dalib.core.types import Outputs, Task, name_unknown
from dalib.data.oddities import find_absent, find_scales
from dalib.records.spec import RunSpec
from dalib.scoring.expected import ExpectedAccuracy, expected_accuracy
from dalib.scoring.metrics import decide, domain_metrics, fitted_metrics, task_metrics
from dalib.scoring.thresholds import thresholds_for
from dalib.scoring.unlearnt import unlearnt_classes
from dalib.train.fitted import Fitted
from dalib.train.model_file import model_path, save_model
from dalib.train.tracking import Tracker, make_tracker
from dalib.train.trainer import OWN_LISTENERS

OPEN = ("known_accuracy", "unknown_accuracy", "h_score", "unknown_auroc")


@dataclass
class TrainedRun:
    """A fitted model with what it was trained on.

    metric: the first of the task's objective, `accuracy` in classification
    values: of that metric, by rows; on the target, rows that are rejected count as called `unknown`
    opened: in an open-set task, `known_accuracy`, `unknown_accuracy`, `h_score`, `unknown_auroc`; with
        protocol.reject < 1 also `called_unknown`, the part of the target that is
    expected: the accuracy to expect on the target, from what the model said of held-out source rows; None without
    note: what a partial data set lacks
    path: of the model file, if one was written
    remarks: what the data were read as and left out, and why a number may say less than it seems to
    """

    spec: RunSpec
    task: Task
    fitted: Fitted
    metric: str
    values: dict[str, float]
    opened: dict[str, float]
    seconds: float
    note: str
    path: Path | None = None
    remarks: tuple[str, ...] = ()
    expected: ExpectedAccuracy | None = None


def fit(
    dataset: str,
    source: str,
    target: str,
    algorithm: str | Algorithm,
    *,
    hparams: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    backbone: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    root: str | Path | None = None,
    out: str | Path | None = None,
    checkpoint: str | Path | None = None,
    progress: Report = lambda done, total: None,
    listeners: Sequence[Listener | str] = (),
    track: Sequence[str] = (),
    distributed: bool = False,
) -> TrainedRun:
    """Train one algorithm on one task and measure it: what `dalib train` does.

    Args
        dataset: a registry name, or `features:PATH.npz`
        source, target: domains, several sources as `dslr+webcam`; for image files the target may be unlabelled: a
            folder of pictures beside the domains, or the path of any; the source itself for `supervised`
        algorithm: a name, `dann+mcc` for a combination, or an algorithm: `DANN(weight=2)`
        hparams: of an algorithm given by name
        train: fields of TrainConfig
        protocol: fields of ProtocolSpec
        backbone: fields of BackboneSpec and the backbone's own options; without `name`, `identity` for features, `tiny`
            (frozen) for data that dalib draws, else `resnet50`; without `weights`, the backbone's own
        data: `normalise`, `partial` and `skip_unreadable` of DataSpec
        seed: decides weights, batches and splits, >= 0
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        root: where the data lie; None = DALIB_DATA
        out: model file to write
        checkpoint: file for the state while training lasts, from which the same call goes on; None = beside `out`
        progress: called with (done, total) while data are made and while training
        listeners: what else follows the training: a `dalib.Listener`, the name of one, or `step_log=FILE`
        track: trackers that are told of it: `tensorboard`, `wandb`, `mlflow`, or with a place `tensorboard=DIR`
        distributed: the processes that `torch.distributed` connects share every step, whose batch is that of one
            process; the first one writes `out` and is followed. False: a process trains for itself

    Raises
        DalibError: a setting that is not one, or data, backbone and algorithm that do not fit together
        Diverged: a loss term stopped being finite
    """
    spec = describe_run(
        dataset, source, target, algorithm,
        hparams=hparams, train=train, protocol=protocol, backbone=backbone, data=data, seed=seed, root=root,
    )  # fmt: skip
    followers = [make_listener(item) if isinstance(item, str) else item for item in listeners]
    followers += [make_tracker(text) for text in track]
    return fit_run(
        spec, device=device, root=root, out=out, checkpoint=checkpoint, progress=progress, listeners=followers,
        distributed=distributed,
    )  # fmt: skip


def make_listener(text: str) -> Listener:
    """A listener by its registered name; after `=` the first argument of its constructor, for most a file.

    Raises
        DalibError: no such listener, one that every fit has, or one that takes no argument, or needs one
    """
    name, equals, argument = text.partition("=")
    cls = LISTENERS.get(name)
    if cls in OWN_LISTENERS:
        raise DalibError(f"listener {name} follows every fit that has a use for it; leave it out")
    try:
        inspect.signature(cls).bind(*([argument] if equals else []))
    except TypeError as error:
        raise DalibError(f"listener {text}: {error}; write it as {name if equals else f'{name}=VALUE'}") from None
    made: Listener = cls(argument) if equals else cls()
    return made


def fit_run(
    spec: RunSpec,
    *,
    device: str = "auto",
    root: str | Path | None = None,
    out: str | Path | None = None,
    checkpoint: str | Path | None = None,
    progress: Report = lambda done, total: None,
    listeners: Sequence[Listener] = (),
    distributed: bool = False,
) -> TrainedRun:
    """Train as described; see `fit`."""
    path = model_path(out) if out is not None else None
    kept = checkpoint or (path.with_suffix(".checkpoint") if path else None)
    where = RunContext(
        str(root) if root else None, device, checkpoint=str(kept) if kept else None, distributed=distributed
    )
    run = assemble(spec, where, report=progress, making=progress, listeners=listeners)
    if any(isinstance(listener, Tracker) for listener in listeners):
        run.trainer.evaluate = lambda fitted, step: {"metrics": fitted_metrics(fitted, run.task, spec.protocol.reject)}
    started = time.monotonic()
    fitted = run.fit()
    fitted.moments = run.data.moments(spec.target) if "zscore" in spec.data.normalise else ()
    trained = measure_run(spec, run.task, fitted, time.monotonic() - started, run.data.note)
    odd = _oddities(spec, run.task) if run.data.kind == "features" else ()
    trained.remarks = (*run.data.remarks, *odd, *trained.remarks)
    ranks = run.trainer.ranks
    if path and (ranks is None or ranks.first):
        trained.path = save_model(fitted, path, spec.algorithm)
    return trained


def measure_run(spec: RunSpec, task: Task, fitted: Fitted, seconds: float, note: str = "") -> TrainedRun:
    """How good a fitted model is, which joins the facts that its model file keeps."""
    named, metric = PROTOCOLS.get(task.protocol).rows, find_objective(task.objective).metrics[0]
    rows = dict(zip(named, (task.labelled, task.validation, task.test), strict=True))
    chosen = spec.protocol.threshold != "half"
    limits = thresholds_for(spec.protocol, task.objective, fitted.outputs(task.validation)) if chosen else None
    found = {k: task_metrics(fitted.outputs(d), "", task, thresholds=limits) for k, d in rows.items() if len(d)}
    values = {k: metrics[f"_{metric}"] for k, metrics in found.items() if f"_{metric}" in metrics}
    if task.objective == "classification" and len(task.validation):
        told = fitted.outputs(task.validation)
        fitted.held_out = Outputs(told.z[:, :0], told.logits, told.y)
    opened: dict[str, float] = {}
    reject, known = spec.protocol.reject, len(task.classes)
    if task.objective == "classification" and len(task.test) and (task.is_open or reject < 1):
        outputs = fitted.outputs(task.test)
        metrics = domain_metrics(outputs, "", known, reject)
        values[named[-1]] = metrics["_accuracy"]
        opened = {k.lstrip("_"): v for k, v in metrics.items() if k.partition("_")[2] in OPEN}
        if reject < 1:
            opened["called_unknown"] = float((decide(outputs.logits.numpy(), known, reject) == known).mean())
    fitted.extra = {
        "dataset": spec.data.dataset,
        "task": task.name,
        "protocol": spec.protocol.model_dump(),
        "normalise": list(spec.data.normalise),
        "seed": spec.seed,
        "metric": metric,
        "values": values,
        "partial": note,
    }
    if limits is not None:
        fitted.extra["thresholds"] = limits.tolist()
    largest = max(len(task.labelled), len(task.target))
    remarks: tuple[str, ...] = ()
    if fitted.curve and spec.train.batch_size > largest:
        remarks = (
            f"batches of {spec.train.batch_size} rows, but no domain has more than {largest}: rows repeat in them",
        )
    remarks += tuple(_doubts(fitted, task, reject)) if task.objective == "classification" else ()
    remarks += tuple(unlearnt_classes(task))
    expected = _expect(spec, task, fitted)
    return TrainedRun(spec, task, fitted, metric, values, opened, seconds, note, remarks=remarks, expected=expected)


def _expect(spec: RunSpec, task: Task, fitted: Fitted) -> ExpectedAccuracy | None:
    """The accuracy to expect on the target's rows, where held-out rows are the source's and every row gets a class."""
    if fitted.held_out is None or task.is_open or spec.protocol.reject < 1 or not fitted.algorithm.probabilistic:
        return None
    if fitted.algorithm.rejects or PROTOCOLS.get(task.protocol).labels != "source":
        return None
    return expected_accuracy(fitted.held_out, fitted.outputs(task.test if len(task.test) else task.target))


def _oddities(spec: RunSpec, task: Task) -> Iterator[str]:
    """What is odd about the units of features."""
    plain = spec.backbone.name == "identity"
    names = (f"'{spec.source}'", f"'{spec.target}'")
    return find_scales(task.labelled.x, task.target.x, plain, names, "data.normalise = zscore")


def _doubts(fitted: Fitted, task: Task, reject: float) -> Iterator[str]:
    """Why an accuracy may mean nothing: one class to be right about, one answer to all, rows that are all alike."""
    rows = task.test if len(task.test) else task.target
    outputs = fitted.outputs(rows)
    if len(outputs.z) > 1 and bool((outputs.z == outputs.z[0]).all()):
        yield f"all {len(rows)} target rows look exactly alike to the network: no accuracy on them means anything"
    answers = outputs.logits.argmax(1).unique()
    if len(rows) > 1 and len(answers) == 1:
        yield f"every target row is called '{fitted.names[int(answers[0])]}'"
    elif len(rows) and not fitted.algorithm.rejects and not task.is_open:
        absent = find_absent(task.labelled.labels, outputs.logits.argmax(1).numpy(), fitted.classes)
        if absent:
            yield absent
    if "unknown" in task.classes and (task.is_open or fitted.algorithm.rejects or reject < 1):
        yield f"a class is called 'unknown'; rows of none of the classes are called '{name_unknown(task.classes)}'"
    if len(task.test) and len(np.unique(task.test.labels)) == 1:
        cls = task.test.classes[int(task.test.labels[0])]
        yield f"all {len(task.test)} test rows are '{cls}': the accuracy says how often that is answered, no more"
