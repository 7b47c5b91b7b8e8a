"""`dalib rank`: which pretrained model suits a target, by transferability measures, without training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dalib.cli._common import DataRoot, Device, Plugins, choose, load_plugins, progress_bar, write_text
from dalib.cli.train import OWN_WEIGHTS, split_names
from dalib.core.errors import DalibError, unknown
from dalib.core.registry import DATASETS, MEASURES

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
    names = split_names(measures) or tuple(MEASURES.names())
    for name in names:
        if name not in MEASURES:
            raise unknown("measure", name, MEASURES.names(), "dalib list measures")
    if crop is not None and crop < 1:
        raise DalibError(f"--crop {crop} is not a size; give 1 or more pixels")
    if seed < 0:
        raise DalibError(f"--seed {seed} is negative; give 0 or more")
    kind = DATASETS.get(dataset.partition(":")[0]).kind

    from dalib.cli._candidates import check_kind, embed_candidate, parse_candidates
    from dalib.core.types import pick_domain
    from dalib.data.backbone import suit_rows
    from dalib.data.catalog import load_data
    from dalib.train.device import pick_device

    if backbones:
        parse_candidates(backbones, weights, OWN_WEIGHTS)
    where = pick_device(device)
    with progress_bar(f"making {dataset}") as progress:
        data = load_data(dataset, data_root, partial=partial, normalise=split_names(normalise), progress=progress)
    pick_domain(dict.fromkeys(data.domains), target, data.name)
    wanted, notes = backbones or "tiny,tiny:none", [f"Partial data: {data.note}."] if data.note else []
    if kind == "features":
        x = data.domain(target).x
        wanted = backbones or ("identity" if x.ndim == 2 else ",".join(suit_rows(x)) or "identity")
        if x.ndim == 2 and x.dtype.kind in "iu" and "identity" in wanted.split(","):
            notes.append(
                f"identity takes whole numbers as they are; for token ids: --backbones {','.join(suit_rows(x))}."
            )
    candidates = parse_candidates(wanted, weights, OWN_WEIGHTS)
    for candidate in candidates:
        check_kind(candidate, data)
    outputs, scores = [], []
    with progress_bar("scoring") as progress:
        for done, candidate in enumerate(candidates):
            progress(done, len(candidates))
            rows = embed_candidate(candidate, data, target, where, fraction=fraction, seed=seed, crop=crop)
            outputs.append(rows)
            scores.append([MEASURES.get(name)().score(rows) for name in names])

    import numpy as np

    from dalib.report.ranking import Ranking

    ranking = Ranking(
        f"{dataset} {target}: {len(outputs[0].z)} labelled rows",
        tuple(candidate.label for candidate in candidates),
        names,
        tuple(rows.z.shape[1] for rows in outputs),
        np.array(scores, dtype=float),
        tuple(notes),
    )
    _show(ranking, format, out)


def _show(ranking: Ranking, format: str, out: Path | None) -> None:
    from dalib.report.ranking import render_ranking

    if out is not None:
        write_text(out, render_ranking(ranking, format))
        print(out)
    elif format == "terminal" and sys.stdout.isatty():
        from rich.console import Console

        from dalib.report.formats.terminal import rich_table

        console = Console()
        for sheet in ranking.sheets():
            console.print(rich_table(sheet, console.width))
    else:
        print(render_ranking(ranking, format), end="")
