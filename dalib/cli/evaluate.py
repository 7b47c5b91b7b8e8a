"""`dalib evaluate MODEL DATA`: every metric of a trained model on labelled rows."""

from __future__ import annotations

from dataclasses import asdict
from math import nan
from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._columns import print_columns
from dalib.cli._common import DataRoot, Device, Plugins, SkipUnreadable, bold, choose, load_plugins
from dalib.core.text import hand_out, say, to_json

FORMATS = ("terminal", "json")


def evaluate_model(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file written by dalib train --out.")],
    dataset: Annotated[
        str, typer.Argument(metavar="DATA", help="A name (dalib list datasets), a feature file, a folder or a zip.")
    ],
    domain: Annotated[str, typer.Option(metavar="D", help="Which of its domains.")] = "",
    classes: Annotated[bool, typer.Option("--classes", help="Precision, recall and F1 of each class too.")] = False,
    format: Annotated[str, typer.Option("--format", help="terminal or json.")] = "terminal",
    skip_unreadable: SkipUnreadable = False,
    device: Device = "auto",
    data_root: DataRoot = None,
    plugin: Plugins = None,
) -> None:
    """How good a trained model is on rows whose labels are known: every metric that applies.

    Labels are matched by the classes' names. Rows of classes that the model does not know count as unknown where it can
    answer that (an open-set algorithm, protocol.reject), and are refused otherwise.
    """
    choose("format", format, FORMATS)
    load_plugins(plugin)
    from dalib.core.registry import METRICS
    from dalib.evaluation import evaluate

    answer = evaluate(model, dataset, domain, root=data_root, device=device, skip_unreadable=skip_unreadable)
    if format == "json":
        told: dict[str, object] = {"rows": answer.rows, "metrics": answer.metrics, "classes": answer.per_class}
        if answer.per_output:
            told["outputs"] = answer.per_output
        if answer.expected is not None:
            told["expected_accuracy"] = asdict(answer.expected)
        hand_out(to_json(told) + "\n")
        return
    say(bold(f"{dataset}{f' {domain}' if domain else ''}, {answer.rows} rows"))
    for remark in answer.remarks:
        say(f"note: {remark}")
    units = {name: METRICS.get(name).unit for name in answer.metrics}
    print_columns(
        [
            (name.replace("_", " "), f"{value:7.2%}" if units[name] == "%" else f"{value:9.4g} {units[name]}")
            for name, value in answer.metrics.items()
        ]
        + [("accuracy expected without labels", str(answer.expected))] * (answer.expected is not None)
    )
    if classes and answer.per_output:
        say()
        names = [key for key in next(iter(answer.per_output.values())) if key != "n"]
        table = [(c, f"{v['n']}", *(f"{v.get(key, nan):.4g}" for key in names)) for c, v in answer.per_output.items()]
        print_columns(table, ("output", "n", *names))
    if classes and answer.per_class:
        say()
        first = next(iter(answer.per_class.values()))
        keys = [key for key in ("precision", "recall", "f1", "iou", "ap", "ap50") if key in first]
        rows = [(c, f"{v['n']:.0f}", *(f"{v[key]:.2%}" for key in keys)) for c, v in answer.per_class.items()]
        print_columns(rows, ("class", "n", *keys))
