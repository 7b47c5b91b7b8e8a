"""`dalib predict MODEL PATH`: classes of images or feature rows as CSV."""

from __future__ import annotations

import csv
import io
import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import Device, write_text


def predict_classes(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file written by dalib train --out.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="An image, a folder, a zip, or features (.npz).")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the CSV there instead of stdout.")] = None,
    top: Annotated[int, typer.Option(metavar="K", help="The K likeliest classes, a row each, best first.")] = 1,
    domain: Annotated[str, typer.Option(metavar="D", help="Which <domain>_x of a feature file.")] = "",
    device: Device = "auto",
) -> int:
    """Predict classes: CSV with the columns file, class, probability.

    Rows are taken for rows of the target: a model trained with --normalise zscore scales them by the target's means and
    deviations in training, so that a row gets the same class whatever file it comes in.
    Rows that a model trained with protocol.reject turns down are `unknown`, without a probability.
    Images that cannot be read are named on stderr and left out; the exit status is then 1.
    """
    from dalib.prediction import stream_predictions

    unreadable = 0

    def report(name: str, reason: str) -> None:
        nonlocal unreadable
        unreadable += 1
        print(f"dalib: cannot read image {name} ({reason})", file=sys.stderr)

    rows = stream_predictions(model, path, top, domain=domain, device=device, report=report)
    text = io.StringIO()
    writer = csv.writer(text if out else sys.stdout, lineterminator="\n")
    writer.writerow(("file", "class", "probability"))
    writer.writerows((r.file, r.label, "" if math.isnan(r.probability) else f"{r.probability:.6f}") for r in rows)
    if out:
        write_text(out, text.getvalue())
    if unreadable:
        print(f"dalib: left out {unreadable} unreadable images", file=sys.stderr)
    return 1 if unreadable else 0
