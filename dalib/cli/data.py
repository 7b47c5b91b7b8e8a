"""`dalib data verify | info | make`: what is in a root, what a data set is, the sets that dalib draws."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from dalib.cli._columns import print_columns
from dalib.cli._common import (
    DataRoot,
    Plugins,
    SkipUnreadable,
    bold,
    load_plugins,
    open_folder,
    progress_bar,
)
from dalib.core.text import say


def verify_data(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="A folder or zip of domain/class/image, or an .npz.")],
    dataset: Annotated[
        str, typer.Option(metavar="D", help="Also compare with this declaration; default: by what lies there.")
    ] = "",
    backbone: Annotated[
        str, typer.Option(metavar="B", help="A pretrained network, which finds wrong labels better; slower.")
    ] = "",
    weights: Annotated[str, typer.Option(metavar="W", help="Of the backbone; default: its own.")] = "",
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Name unreadable images, but do not count them as found.")
    ] = False,
    plugin: Plugins = None,
) -> int:
    """Find unreadable, empty, duplicate and mislabelled-looking files; status 1 when there are some.

    In an .npz of features, other rows or images: wrong shapes and labels, NaN, blank and repeated rows, rare classes.
    Of pictures with masks or boxes: those that do not fit their pictures, with file and line.
    """
    from dalib.data.verify import SKIPPED
    from dalib.verification import verify

    load_plugins(plugin)
    with progress_bar(f"reading {root}") as progress:
        how: dict[str, Any] = {"backbone": backbone, "weights": weights, "skip_unreadable": skip_unreadable}
        findings = verify(root, dataset, progress=progress, **how)
    if not findings:
        say(f"{root}: nothing found")
        return 0
    print_columns(
        [(f.kind, f.file or "/".join((f.domain, f.cls)), f.detail) for f in findings], ("finding", "file", "")
    )
    say()
    counts = Counter((f.kind, f.meaning) for f in findings)
    print_columns([(kind, n, meaning) for (kind, meaning), n in counts.items()])
    return 1 if any(f.kind != SKIPPED for f in findings) else 0


def describe_data(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A name (dalib list datasets) or features:PATH.npz.")
    ],
    data_root: DataRoot = None,
    partial: Annotated[bool, typer.Option("--partial", help="Accept a copy that lacks something.")] = False,
    skip_unreadable: SkipUnreadable = False,
    plugin: Plugins = None,
) -> None:
    """Domains, classes, counts and fingerprint of a data set as it is here."""
    from dalib.data.catalog import load_data

    load_plugins(plugin)
    with progress_bar(f"making {dataset}") as progress:
        data = load_data(dataset, data_root, partial=partial, skip_unreadable=skip_unreadable, progress=progress)
    say(bold(data.name), f"  {data.info.title}")
    facts = [("root", data.root), ("kind", data.kind), ("classes", f"{len(data.classes)}: {', '.join(data.classes)}")]
    facts += [("fingerprint", data.fingerprint), ("licence", data.info.licence), ("source", data.info.source)]
    facts += [("partial", data.note)] if data.partial else []
    print_columns([(key, value) for key, value in facts if value])
    for remark in data.remarks:
        say(f"note: {remark}")
    say()
    rows = "rows" if data.kind == "features" else "images"
    declared = data.info.counts
    bare = [(f"{d} (no labels)", n, "") for d, n in data.unlabelled.items()]
    whole = sum(declared.values()) if len(declared) == len(data.info.domains) else ""
    total = [("total", sum(data.counts.values()) + sum(data.unlabelled.values()), whole)]
    counts = [(d, n, declared.get(d, "")) for d, n in data.counts.items()]
    counts += bare
    if declared:
        print_columns(counts + total, ("domain", rows, "declared"))
    else:
        print_columns([row[:2] for row in counts + total], ("domain", rows))


def get_data(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A declared data set (dalib list datasets).")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder of data sets; default: DALIB_DATA.")] = None,
    plugin: Plugins = None,
) -> None:
    """Fetch a declared data set, continue a broken download, check, unpack and count it."""
    from dalib.core.registry import DATASETS
    from dalib.data.download import describe
    from dalib.data.get import get_data as fetch

    load_plugins(plugin)
    info = DATASETS.get(dataset)
    if info.downloads:
        say(f"{info.title}\nlicence: {info.licence}\nsources: {describe(info.downloads)}")
    with progress_bar(f"fetching {dataset}") as report:
        data = fetch(dataset, out, lambda name, done, total: report(done, total))
    say(f"{data.root}: {sum(data.counts.values())} {info.rows} in {len(data.counts)} domains, as declared")


def pack_data(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Tables, .mat files, WebDataset tars, a folder of AdaTime's, Digit-Five's or 20 Newsgroups', or hf:…",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.npz", help="The feature file to write.")],
    domain: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column that tells the domain; default: one file per domain.")
    ] = "",
    label: Annotated[str, typer.Option(metavar="COLUMN", help="The column of labels, empty where there is none.")] = "",
    one_hot: Annotated[bool, typer.Option("--one-hot", help="Columns of words become 0 and 1 per word.")] = False,
    image: Annotated[str, typer.Option(metavar="COLUMN", help="The column of images of a Hugging Face set.")] = "",
    resize: Annotated[int, typer.Option(metavar="N", help="Side in pixels to which pictures are warped.", min=0)] = 0,
) -> None:
    """Tables and other files of rows as a feature file, for train, run, rank, advise and verify."""
    from dalib.data.file_kinds import pack_files

    made = pack_files(files, out, domain, label, one_hot, image, resize)
    labelled = {d: f"{n} rows" for d, n in made.labelled.items()}
    for name, rows in {**labelled, **{d: f"{n} rows without labels" for d, n in made.unlabelled.items()}}.items():
        say(f"{name}: {rows}")
    for remark in made.remarks:
        say(f"note: {remark}")
    domains = len(made.labelled) + len(made.unlabelled)
    say(f"{out}: {domains} domains, {made.classes} classes; use it as {made.dataset}")


def make_data(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A data set that dalib makes itself.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make it in.")],
) -> None:
    """Make a data set that dalib makes itself: pictures that it draws, or rows of numbers."""
    from dalib.core.registry import DATASETS
    from dalib.data.catalog import load_data
    from dalib.data.folders import ImageTree
    from dalib.data.roots import make_data as draw
    from dalib.data.scenes import SceneTree

    open_folder(out, "--out")
    with progress_bar(f"drawing {dataset}") as progress:
        draw(dataset, out, progress)
    kind = DATASETS.get(dataset).kind
    if kind == "features":
        counts = load_data(dataset, out).counts
        say(f"{out}: {sum(counts.values())} rows in {len(counts)} domains")
        return
    tree = SceneTree(out) if kind in ("masks", "boxes") else ImageTree(out)
    say(f"{out}: {len(tree.files)} images in {len(tree.domains)} domains")
