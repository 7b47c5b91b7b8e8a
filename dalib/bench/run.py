"""One run, from its description to its record. It hardly ever raises: a failed run is a record too."""

from __future__ import annotations

import errno
import math
import platform
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from dalib.assemble import RunContext, assemble
from dalib.core.errors import DalibError, Diverged
from dalib.core.registry import load_plugin
from dalib.records.formulas import PLACE, formulas_now
from dalib.records.record import Candidate, Failure, Record
from dalib.records.spec import RunSpec

if TYPE_CHECKING:
    from dalib.core.algorithm import Algorithm
    from dalib.core.backbone import Backbone
    from dalib.core.listener import Listener
    from dalib.core.types import Outputs, Task
    from dalib.train.fitted import Fitted
    from dalib.train.trainer import Trainer


FULL = (errno.ENOSPC, errno.EDQUOT)


def run_one(spec: RunSpec, context: RunContext) -> tuple[Record, dict[str, np.ndarray]]:
    """Train and evaluate; returns the record and its arrays (see `dalib.scoring.rescore`), labels as int16.

    KeyboardInterrupt and SystemExit pass through, and a full disk: that is no property of the run.
    """
    run = RecordedRun(spec, context)
    with run.recording():
        run.prepare()
        run.finish(run.trainer.fit(run.algorithm, run.task, run.backbone))
    return run.record, run.arrays


class RecordedRun:
    """A record in the making: `prepare`, train, `finish`, each inside `recording`.

    Attributes
        record, arrays: what `run_one` returns
        trainer, algorithm, task, backbone: what `prepare` made
    """

    trainer: Trainer
    algorithm: Algorithm
    task: Task
    backbone: Backbone
    thresholds: np.ndarray | None = None

    def __init__(self, spec: RunSpec, context: RunContext) -> None:
        self.spec = spec
        self.context = context
        with suppress(DalibError):  # it is raised again where it is recorded; the key knows the defaults of plug-ins
            for plugin in context.plugins:
                load_plugin(plugin)
        self.record = Record(key=spec.key, spec=spec, status="ok", provenance=_provenance())
        self.arrays: dict[str, np.ndarray] = {}
        self.last: dict[str, Outputs] = {}
        self.heard: set[str] = set()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """What is raised or warned inside enters the record, and so does the time that passes."""
        started, record = time.monotonic(), self.record
        self.clock = _Clock(record.seconds)
        try:
            with self.listening():
                yield
            record.provenance["warnings"] = sorted(self.heard)[:10]
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL and not self.context.distributed:
                raise
            record.status = "failed"
            record.error = Failure(
                type=type(error).__name__,
                message=str(error),
                step=error.step if isinstance(error, Diverged) else None,
                term=error.term if isinstance(error, Diverged) else None,
                traceback="".join(traceback.format_exception(error)),
            )
        self.clock.add("total", time.monotonic() - started)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """What is warned inside is this run's."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        self.heard |= {str(w.message)[:300] for w in caught}

    def prepare(self) -> None:
        """Put the run together."""
        run = assemble(self.spec, self.context, evaluate=self.evaluate, listeners=self.trackers())
        self.task, self.backbone, self.algorithm, self.trainer = run.task, run.backbone, run.algorithm, run.trainer
        self.clock.lap("data")
        self.record.provenance["threads"] = _count_threads()
        self.record.provenance["device"] = _device_name(self.trainer.device)

    def trackers(self) -> list[Listener]:
        """What is told of this run beside its record."""
        from dalib.train.tracking import make_tracker

        spec, where = self.spec, self.context
        name = f"{where.label} {spec.task} seed {spec.seed}" if where.label else ""
        return [make_tracker(text, name, where.group or "dalib") for text in where.track]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that rows are tested on; none where labels are no classes, which validators read."""
        return self.task.test.classes if self.task.objective == "classification" else ()

    def evaluate(self, fitted: Fitted, step: int) -> dict[str, Any]:
        """Metrics, scores and arrays of a model on the way."""
        from dalib.scoring.diagnose import domain_accuracy
        from dalib.scoring.metrics import scores, task_metrics
        from dalib.scoring.rescore import outputs_to_arrays
        from dalib.scoring.thresholds import thresholds_for

        begun, task = time.monotonic(), self.task
        target, held_out = fitted.outputs(task.test), fitted.outputs(task.validation)
        self.last["target"] = target
        self.thresholds = thresholds_for(self.spec.protocol, task.objective, held_out)
        metrics = task_metrics(target, "target", task, self.spec.protocol.reject, self.thresholds)
        metrics |= task_metrics(held_out, "source", task, thresholds=self.thresholds)
        told = domain_accuracy(fitted, task)
        metrics |= {} if math.isnan(told) else {"domain_accuracy": round(told, 6)}
        expected = self.expect(held_out, target)
        self.clock.add("evaluate", time.monotonic() - begun)
        return {
            "metrics": metrics,
            "expected": expected,
            "scores": scores(held_out, target, only=self.context.validators) if self.classes else {},
            "arrays": outputs_to_arrays(target, held_out, self.context.keep_features, task.objective),
        }

    def expect(self, held_out: Outputs, target: Outputs) -> tuple[float, float, float] | None:
        """The accuracy to expect without target labels; None of open classes, or scores that are no probabilities."""
        from dalib.scoring.expected import brief_expectation

        closed = not self.task.is_open and self.spec.protocol.reject == 1 and not self.algorithm.rejects
        return brief_expectation(held_out, target) if self.classes and closed and self.algorithm.probabilistic else None

    def finish(self, fitted: Fitted) -> None:
        """Fill the record from the fitted model and its candidates."""
        from dalib.core.lacking import lacking_in
        from dalib.core.objective import find_objective
        from dalib.scoring.diagnose import warn
        from dalib.scoring.metrics import class_metrics, dense_metrics, output_metrics, task_metrics
        from dalib.scoring.unlearnt import unlearnt_classes
        from dalib.train.device import peak_memory

        record, task, known, arrays = self.record, self.task, len(self.task.classes), self.arrays
        self.clock.lap("fit")
        record.seconds["fit"] = round(record.seconds["fit"] - record.seconds.get("evaluate", 0.0), 3)
        for candidate in fitted.candidates:
            for name, array in candidate["arrays"].items():
                arrays[f"step_{candidate['step']}_{name}"] = array.numpy()
            told = {name: candidate[name] for name in ("metrics", "scores")}
            point = Candidate(step=candidate["step"], **told, expected=candidate.get("expected"))
            record.candidates.append(point)
        record.warnings = warn(record.candidates, self.spec.protocol.is_partial, self.algorithm.probabilistic)
        record.warnings += [*lacking_in(self.algorithm, task.labelled.origin), *unlearnt_classes(task)]
        record.curve, record.objective = fitted.curve, task.objective
        if self.classes:
            record.per_class = class_metrics(self.last["target"], self.classes, known, self.spec.protocol.reject)
        if find_objective(task.objective).dense:
            record.per_class = dense_metrics(self.last["target"], task.classes, task.objective)
        else:
            record.per_output = output_metrics(
                self.last["target"], task.test.classes, task.objective, thresholds=self.thresholds
            )
        first = f"train_{find_objective(task.objective).metrics[0]}"
        record.candidates[-1].metrics[first] = task_metrics(fitted.outputs(task.labelled), "train", task)[first]
        record.counts = {
            "labelled": len(task.labelled), "target": len(task.target), "validation": len(task.validation),
            "test": len(task.test), "trainable": _trained_numbers(self.algorithm),
        }  # fmt: skip
        for side, rows in (("target", task.test), ("source", task.validation)):
            arrays[f"{side}_y"] = rows.labels.astype(np.int16) if rows.labels.dtype.kind in "iu" else rows.labels
        record.provenance["peak_memory_bytes"] = peak_memory(self.trainer.device)


def _trained_numbers(algorithm: Any) -> int:
    """How many numbers training decided: parameters that moved, or the solved classifier's."""
    from dalib.core.feature_algorithm import FeatureAlgorithm

    if isinstance(algorithm, FeatureAlgorithm):
        return sum(b.numel() for name, b in algorithm.named_buffers() if name.startswith("classifier_"))
    return sum(p.numel() for p in algorithm.parameters() if p.requires_grad)


class _Clock:
    """Seconds per phase, in the record's own dictionary."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.add(name, now - self.last)
        self.last = now

    def add(self, name: str, value: float) -> None:
        self.seconds[name] = round(self.seconds.get(name, 0.0) + value, 3)


def _count_threads() -> int:
    """Of PyTorch on the CPU: sums over another number of them are rounded otherwise."""
    import torch

    return torch.get_num_threads()


def _device_name(device: Any) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _provenance() -> dict[str, Any]:
    from importlib.metadata import version

    from dalib import __version__

    formulas = formulas_now()
    packages = ("torch", "torchvision", "numpy", "scikit-learn", "pot")
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "host": platform.node(),
        "python": platform.python_version(),
        "versions": {"dalib": __version__} | {p: version(p) for p in packages},
    } | ({PLACE: formulas} if formulas else {})
