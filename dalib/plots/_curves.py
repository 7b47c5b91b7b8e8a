"""What happened while a model was trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from dalib.core.errors import DalibError, unknown
from dalib.report.axes import open_axes, style, tidy_axes
from dalib.report.figures import name_in_legend, names_as_they_are

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Trained(Protocol):
    """A `Fitted` or a `Record`."""

    candidates: list[Any]
    curve: dict[str, list[float]]


@names_as_they_are()
def curves(run: Trained | Mapping[str, Trained], axes: Axes | None = None, *, metric: str = "") -> Axes:
    """Loss terms over steps; with `metric` that metric at the evaluation points.

    Args
        run: a fitted model, a record of a suite, or several by name, each a colour then
        metric: `target_accuracy`, `source_accuracy` …, in records and where a fit was given `evaluate`

    Raises
        DalibError: no such metric, or nothing to draw: a method that solves has no steps
    """
    runs = dict(run) if isinstance(run, Mapping) else {"": run}
    axes = tidy_axes(open_axes(axes, (4.6, 3.2)))
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for name, each in runs.items():
        found = _points(name, each, metric) if metric else _terms(each)
        lines |= {" ".join(filter(None, (name, term))): line for term, line in found.items()}
    if not lines:
        raise DalibError("nothing to draw: a method that solves at once has no loss over steps; choose a metric")
    for n, (label, (steps, values)) in enumerate(lines.items()):
        look = style(n) if metric else style(n) | {"marker": ""}
        axes.plot(steps, values, label=name_in_legend(label or metric), linewidth=1.3, markersize=4, **look)
    if not metric and all(value > 0 for _, values in lines.values() for value in values):
        axes.set_yscale("log")
    axes.set_xlabel("step", fontsize=8)
    axes.set_ylabel(metric.replace("_", " ") if metric else "loss term", fontsize=8)
    axes.legend(fontsize=7.5, frameon=False)
    return axes


def _terms(run: Trained) -> dict[str, tuple[list[float], list[float]]]:
    steps = run.curve.get("step", [])
    return {name: (steps, values) for name, values in run.curve.items() if name != "step" and steps}


def _points(name: str, run: Trained, metric: str) -> dict[str, tuple[list[float], list[float]]]:
    """The metric at every candidate: a model's are dictionaries, a record's objects."""
    told = [c if isinstance(c, dict) else {"step": c.step, "metrics": c.metrics} for c in run.candidates]
    every = [(c["step"], c.get("metrics", {k: v for k, v in c.items() if isinstance(v, float)})) for c in told]
    known = {key for _, values in every for key in values}
    if metric not in known:
        place = f"the evaluation points of {name or 'this run'}"
        if not known:
            raise DalibError(f"{place} hold no metric; give the Trainer evaluate=, or take a record of a suite")
        raise unknown("metric", metric, known, place)
    pairs = [(step, values[metric]) for step, values in every if metric in values]
    return {"": ([float(step) for step, _ in pairs], [float(value) for _, value in pairs])}
