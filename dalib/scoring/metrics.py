"""Numbers of one candidate: every registered metric and every validator's score, and the run's classes one by one."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from dalib.core.metric import Metric
from dalib.core.objective import find_objective
from dalib.core.registry import METRICS, VALIDATORS
from dalib.core.types import Outputs, Task
from dalib.metrics._coco import average, evaluate_boxes
from dalib.metrics._confusion import confusion

if TYPE_CHECKING:
    from dalib.train.fitted import Fitted


def decide(logits: np.ndarray, known: int, reject: float = 1.0) -> np.ndarray:
    """Labels (n,): the largest logit. With `known` logits, rows of entropy above reject * log(known) get label `known`.

    Shapes: logits (n, known), or (n, known + 1) with unknown classes last, to which `reject` does not apply
    """
    guess = logits.argmax(1)
    if reject < 1 and logits.shape[1] == known:
        from scipy.special import entr, softmax

        doubtful = entr(softmax(logits.astype(float), axis=1)).sum(1) > reject * np.log(known)
        guess = np.where(doubtful, known, guess)
    return guess


def metrics_for(objective: str, unknown: bool = True) -> dict[str, Metric]:
    """Name -> metric of every registered one for a kind of answer.

    Args
        unknown: with those that compare known with unknown classes
    """
    every = {name: METRICS.get(name)() for name in METRICS.names()}
    return {
        name: metric
        for name, metric in every.items()
        if objective in metric.objectives and (unknown or not metric.needs_unknown)
    }


def domain_metrics(
    outputs: Outputs,
    prefix: str,
    known: int,
    reject: float = 1.0,
    objective: str = "classification",
    answer: np.ndarray | None = None,
) -> dict[str, float]:
    """`<prefix>_<metric>` for every registered metric that applies; empty for a domain without rows or labels.

    Args
        known: classes of which there are labelled rows; y = known stands for a row of none of them
        reject: see `decide`
        objective: kind of answer
        answer: what was decided, (n, …); unless given what `decide` says of classes, and otherwise the prediction
    """
    if outputs.y is None or not len(outputs.y):
        return {}
    y, prediction = outputs.y.numpy(), outputs.logits.numpy()
    if answer is None:
        answer = decide(prediction, known, reject) if objective == "classification" else prediction
    unknown = objective == "classification" and 0 < int((y == known).sum()) < len(y)
    values = {
        name: metric.score(y, prediction, answer, known) for name, metric in metrics_for(objective, unknown).items()
    }
    return {f"{prefix}_{name}": float(value) for name, value in values.items() if not math.isnan(value)}


def task_metrics(
    outputs: Outputs, prefix: str, task: Task, reject: float = 1.0, thresholds: np.ndarray | None = None
) -> dict[str, float]:
    """`measure` of rows of a task."""
    return measure(outputs, prefix, len(task.classes), task.objective, reject, thresholds)


def fitted_metrics(fitted: Fitted, task: Task, reject: float = 1.0) -> dict[str, float]:
    """`task_metrics` of a model on the target's rows and on held-out ones of the source, where there are any."""
    found: dict[str, float] = {}
    if len(task.test):
        found |= task_metrics(fitted.outputs(task.test), "target", task, reject)
    if len(task.validation):
        found |= task_metrics(fitted.outputs(task.validation), "source", task)
    return found


def measure(
    outputs: Outputs,
    prefix: str,
    known: int,
    objective: str = "classification",
    reject: float = 1.0,
    thresholds: np.ndarray | None = None,
) -> dict[str, float]:
    """`domain_metrics`, decided as the objective does, as a record keeps them.

    Six decimals in classification, six significant digits otherwise.

    thresholds: logits (K,) above which a yes/no answer is yes; None = as the objective decides
    """
    if objective == "classification":
        return {k: round(v, 6) for k, v in domain_metrics(outputs, prefix, known, reject).items()}
    answer = find_objective(objective).decide(outputs.prediction).numpy()
    if thresholds is not None:
        answer = (outputs.prediction.numpy() > thresholds).astype(np.int64)
    values = domain_metrics(outputs, prefix, known, reject, objective, answer)
    return {name: float(f"{value:.6g}") for name, value in values.items()}


def class_metrics(
    outputs: Outputs, classes: tuple[str, ...], known: int, reject: float = 1.0
) -> dict[str, dict[str, float]]:
    """class -> {`target_precision`, `target_recall`, `target_f1`, `n`} for the classes that occur in y."""
    if outputs.y is None or not len(outputs.y):
        return {}
    from sklearn.metrics import precision_recall_fscore_support

    y, guess = outputs.y.numpy(), decide(outputs.logits.numpy(), known, reject)
    present = np.unique(y)
    columns = precision_recall_fscore_support(y, guess, labels=present, zero_division=0)
    names = ("target_precision", "target_recall", "target_f1", "n")
    return {
        classes[c]: {name: round(float(column[i]), 6) for name, column in zip(names, columns, strict=True)}
        for i, c in enumerate(present)
    }


def pixel_metrics(outputs: Outputs, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """class -> {`target_iou`, `target_precision`, `target_recall`, `target_f1`, `n`} for classes of pixels that occur.

    All are of pixels; F1 is Dice's coefficient, n the number of pixels with that label.
    """
    if outputs.y is None or not len(outputs.y):
        return {}
    counts = confusion(outputs.y.numpy(), outputs.prediction.numpy(), len(classes)).astype(float)
    hits, there, called = counts.diagonal(), counts.sum(1), counts.sum(0)
    columns = {
        "target_precision": hits / np.maximum(called, 1),
        "target_recall": hits / np.maximum(there, 1),
        "target_f1": 2 * hits / np.maximum(there + called, 1),
        "target_iou": hits / np.maximum(there + called - hits, 1),
        "n": there,
    }
    return {
        classes[c]: {name: round(float(column[c]), 6) for name, column in columns.items()}
        for c in np.flatnonzero(there)
    }


def box_metrics(outputs: Outputs, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """class -> {`target_ap`, `target_ap50`, `n`} for classes of boxes that occur; n boxes."""
    if outputs.y is None or not len(outputs.y):
        return {}
    y, answer = outputs.y.numpy(), outputs.prediction.numpy()
    precision, kinds = evaluate_boxes(y, answer, len(classes)), y[..., 0].astype(int)
    told: dict[str, dict[str, float]] = {}
    for c, name in enumerate(classes):
        if n := int((kinds == c).sum()):
            ap, ap50 = average(precision[:, :, c, 0, -1]), average(precision[0, :, c, 0, -1])
            told[name] = {"target_ap": round(ap, 6), "target_ap50": round(ap50, 6), "n": n}
    return told


def dense_metrics(outputs: Outputs, classes: tuple[str, ...], objective: str) -> dict[str, dict[str, float]]:
    """`pixel_metrics` or `box_metrics`, as the labels are."""
    return (box_metrics if objective == "detection" else pixel_metrics)(outputs, classes)


def output_metrics(
    outputs: Outputs,
    names: tuple[str, ...],
    objective: str,
    prefix: str = "target",
    thresholds: np.ndarray | None = None,
) -> dict[str, Any]:
    """output -> {`<prefix>_<metric>`, `n`}: each column of answers that are no classes by itself, n annotated rows."""
    if outputs.y is None or not len(outputs.y) or objective == "classification" or find_objective(objective).dense:
        return {}
    told: dict[str, Any] = {}
    for k, name in enumerate(names):
        column = Outputs(outputs.z, outputs.prediction[:, k : k + 1], outputs.y[:, k : k + 1])
        rows = len(outputs.y) if outputs.y.is_floating_point() else int((outputs.y[:, k] >= 0).sum())
        own = None if thresholds is None else thresholds[k : k + 1]
        told[name] = {**measure(column, prefix, 0, objective, thresholds=own), "n": rows}
    return told


def scores(
    validation: Outputs,
    target: Outputs,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    features: bool = True,
) -> dict[str, float]:
    """Every validator on one candidate; only the oracle is shown target labels. Not-applicable scores are left out.

    Args
        only: names to compute beside the oracle; None = all
        without: names to skip
        features: z is there; otherwise validators that read it are skipped
    """
    blind = Outputs(target.z, target.logits, None)
    validators = {
        name: VALIDATORS.get(name)()
        for name in VALIDATORS.names()
        if name not in without and (only is None or name in only or name == "oracle")
    }
    values = {
        name: validator.score(validation, target if validator.uses_target_labels else blind)
        for name, validator in validators.items()
        if features or not validator.uses_features
    }
    return {name: float(f"{value:.6g}") for name, value in values.items() if np.isfinite(value)}
