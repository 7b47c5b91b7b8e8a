"""`dalib predict MODEL PATH`: classes of images or feature rows as CSV."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dalib.cli._common import Device, Plugins, load_plugins, open_folder, write_text
from dalib.core.text import disarm, hand_out, say

if TYPE_CHECKING:
    from dalib.prediction import Row
    from dalib.train.fitted import Fitted


def predict_classes(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file written by dalib train --out.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="An image, a folder, a zip, or features (.npz).")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the CSV there instead of stdout.")] = None,
    top: Annotated[int, typer.Option(metavar="K", help="The K likeliest classes, a row each, best first.")] = 1,
    domain: Annotated[str, typer.Option(metavar="D", help="Which <domain>_x of a feature file.")] = "",
    masks: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of a model for pixels: write masks, and pictures with them on, there."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of a model for boxes: write COCO's results, and pictures with boxes, there."),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Images that cannot be read do not make the exit status 1.")
    ] = False,
    device: Device = "auto",
    plugin: Plugins = None,
) -> int:
    """Predict classes: CSV with the columns file, class, probability; or a model's outputs, a column each.

    Of a model for boxes a row per box: file, class, score, left, top, right, bottom, in pixels of the picture;
    --boxes writes boxes.json and draws them.
    Of a model for pixels a column per class has its part of the picture; --masks writes the class of every pixel.

    Rows are taken for rows of the target: a model trained with --normalise zscore scales them by the target's means and
    deviations in training, so that a row gets the same class whatever file it comes in.
    Rows that a model trained with protocol.reject turns down are `unknown`, without a probability.
    With ten rows or more, stderr says what accuracy to expect, where the model's file can tell.
    Images that cannot be read are named on stderr and left out; the exit status is then 1, unless --skip-unreadable.
    """
    if masks is not None:
        open_folder(masks, "--masks")
    if boxes is not None:
        open_folder(boxes, "--boxes")
    from dalib.prediction import columns, stream_predictions
    from dalib.train.model_file import load_model

    load_plugins(plugin)

    unreadable = 0

    def report(name: str, reason: str) -> None:
        nonlocal unreadable
        unreadable += 1
        say(f"dalib: cannot read image {name} ({reason})", file=sys.stderr)

    fitted, told = load_model(model, device), list[Any]()
    follow = told.append
    rows = stream_predictions(fitted, path, top, domain=domain, report=report, follow=follow, masks=masks, boxes=boxes)
    text = io.StringIO()
    writer = csv.writer(text if out else _StandardOutput(), lineterminator="\n")
    writer.writerow(columns(fitted))
    writer.writerows(map(disarm, (r.file, *_cells(r))) for r in rows)
    if out:
        write_text(out, text.getvalue())
    for line in _expect(fitted, told):
        say(f"dalib: {line}", file=sys.stderr)
    if unreadable:
        say(f"dalib: left out {unreadable} files that are no readable images", file=sys.stderr)
    return 1 if unreadable and not skip_unreadable else 0


def _expect(fitted: Fitted, told: Sequence[Any]) -> list[str]:
    """The accuracy to expect on these rows, for people; nothing where the model's file or too few rows cannot say."""
    import torch

    from dalib.core.types import Outputs
    from dalib.scoring.expected import expected_accuracy

    rejects = fitted.algorithm.rejects or fitted.extra.get("protocol", {}).get("reject", 1.0) < 1
    if fitted.held_out is None or rejects or not fitted.algorithm.probabilistic or not told:
        return []
    outputs = Outputs(torch.cat([o.z for o in told]), torch.cat([o.logits for o in told]), None)
    expected = expected_accuracy(fitted.held_out, outputs)
    if expected is None:
        return []
    return [f"expected accuracy {expected}; {expected.held_out} held-out source rows say so", *expected.doubts]


class _StandardOutput:
    """Rows as they come."""

    def write(self, text: str) -> int:
        return hand_out(text)


def _cells(row: Row) -> Sequence[str]:
    from dalib.prediction import FoundBox, Prediction

    if isinstance(row, FoundBox):
        return row.label, f"{row.score:.6f}", *(f"{v:.2f}" for v in row[3:])
    if isinstance(row, Prediction):
        return row.label, "" if math.isnan(row.probability) else f"{row.probability:.6f}"
    return [str(value) if isinstance(value, int) else f"{value:.6g}" for value in row.values]
