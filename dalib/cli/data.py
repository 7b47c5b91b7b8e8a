"""`dalib data verify | info | make`: what is in a root, what a data set is, the sets that dalib draws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import DataRoot, Plugins, bold, load_plugins, open_folder, print_columns, progress_bar
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS


def describe_data(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A name (dalib list datasets) or features:PATH.npz.")
    ],
    data_root: DataRoot = None,
    partial: Annotated[bool, typer.Option("--partial", help="Accept a copy that lacks something.")] = False,
    plugin: Plugins = None,
) -> None:
    """Domains, classes, counts and fingerprint of a data set as it is here."""
    from dalib.data.catalog import load_data

    load_plugins(plugin)
    with progress_bar(f"making {dataset}") as progress:
        data = load_data(dataset, data_root, partial=partial, progress=progress)
    print(bold(data.name) + f"  {data.info.title}")
    facts = [("root", data.root), ("kind", data.kind), ("classes", f"{len(data.classes)}: {', '.join(data.classes)}")]
    facts += [("fingerprint", data.fingerprint), ("licence", data.info.licence), ("source", data.info.source)]
    facts += [("partial", data.note)] if data.partial else []
    print_columns([(key, value) for key, value in facts if value])
    print()
    rows = "rows" if data.kind == "features" else "images"
    declared = data.info.counts
    total = [("total", sum(data.counts.values()), sum(declared.values()) if declared else "")]
    counts = [(d, n, declared.get(d, "")) for d, n in data.counts.items()]
    if declared:
        print_columns(counts + total, ("domain", rows, "declared"))
    else:
        print_columns([row[:2] for row in counts + total], ("domain", rows))


def make_data(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A data set that dalib makes itself.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make it in.")],
) -> None:
    """Draw a data set that dalib makes itself, as image files."""
    import importlib

    info = DATASETS.get(dataset)
    if not info.generator:
        able = [name for name in DATASETS.names() if DATASETS.get(name).generator]
        raise DalibError(
            f"data set '{dataset}' is not made by dalib but fetched ({info.source}); dalib makes: {', '.join(able)}"
        )
    module, _, function = info.generator.partition(":")
    open_folder(out, "--out")
    with progress_bar(f"drawing {dataset}") as progress:
        getattr(importlib.import_module(module), function)(out, progress=progress)
    print(f"{out}: {sum(info.counts.values())} images in {len(info.domains)} domains")
