"""`dalib rank`: which pretrained model suits a target, by transferability measures, without training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dalib.cli._common import (
    DataRoot,
    Device,
    Plugins,
    SkipUnreadable,
    choose,
    load_plugins,
    progress_bar,
    split_names,
    write_text,
)
from dalib.core.errors import DalibError
from dalib.core.text import hand_out, say, terminal_width

if TYPE_CHECKING:
    from dalib.report.ranking import Ranking

FORMATS = ("terminal", "md", "csv")


def rank_backbones(
    dataset: Annotated[str, typer.Option(metavar="D", help="A name (dalib list datasets) or features:PATH.npz.")],
    target: Annotated[str, typer.Option(metavar="T", help="The domain whose labelled rows are scored.")],
    backbones: Annotated[
        str,
        typer.Option(
            metavar="A,B,…",
            help="NAME, NAME:WEIGHTS or a feature file .npz of the same rows; default: tiny,tiny:none for images, "
            "identity for features, those that fit for other rows.",
        ),
    ] = "",
    weights: Annotated[
        str, typer.Option(metavar="W", help="Of backbones without :WEIGHTS; default: each one's own.")
    ] = "",
    measures: Annotated[
        list[str] | None, typer.Option(metavar="M", help="Names from dalib list measures; all unless given.")
    ] = None,
    fraction: Annotated[float, typer.Option(help="Part of each class that counts as labelled.")] = 1.0,
    crop: Annotated[int | None, typer.Option(help="Side of the images in pixels; default: each backbone's.")] = None,
    normalise: Annotated[
        list[str] | None, typer.Option(help="For features: row_sum, l2 or zscore; repeat for several, in order.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Accept a data set that lacks something.")] = False,
    skip_unreadable: SkipUnreadable = False,
    seed: Annotated[int, typer.Option(help="Decides random weights and the labelled rows.")] = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    format: Annotated[str, typer.Option("--format", help="terminal, md or csv.")] = "terminal",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of stdout.")] = None,
) -> None:
    """Rank pretrained backbones for a target by transferability measures; nothing is trained."""
    choose("format", format, FORMATS)
    load_plugins(plugin)
    if crop is not None and crop < 1:
        raise DalibError(f"--crop {crop} is not a size; give 1 or more pixels")
    from dalib.ranking.rank import rank

    options: dict[str, Any] = {"weights": weights, "fraction": fraction, "crop": crop or 0, "seed": seed}
    options |= {"device": device, "root": data_root, "partial": partial, "normalise": split_names(normalise)}
    options |= {"skip_unreadable": skip_unreadable}
    with progress_bar(f"scoring {dataset}") as progress:
        ranking = rank(dataset, target, split_names([backbones]), split_names(measures), progress=progress, **options)
    _show(ranking, format, out)


def _show(ranking: Ranking, format: str, out: Path | None) -> None:
    from dalib.report.ranking import render_ranking

    if out is not None:
        write_text(out, render_ranking(ranking, format))
        say(out)
    elif format == "terminal" and sys.stdout.isatty():
        from rich.console import Console

        from dalib.report.narrow import fit_table

        console = Console(width=terminal_width(sys.stdout))
        remedy = "dalib rank --format md gives one table, whatever the width"
        for sheet in ranking.sheets():
            console.print(fit_table(sheet, console.width, remedy))
    else:
        hand_out(render_ranking(ranking, format))
