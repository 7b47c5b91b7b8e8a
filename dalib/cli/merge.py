"""`dalib merge` and `dalib import`: records of other machines and people brought into a store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import StoreRoot, open_folder
from dalib.cli._errors import FAILED
from dalib.core.errors import DalibError
from dalib.core.text import say

KeepFirst = Annotated[
    bool,
    typer.Option("--keep-first", help="Of runs whose numbers differ keep the store's own, then those of the first."),
]


def merge_stores(
    sources: Annotated[
        list[str], typer.Argument(metavar="FROM", help="Folders or URLs of stores, files that dalib export wrote.")
    ],
    into: Annotated[str, typer.Option(metavar="WHERE", help="Folder or URL of the store that takes them.")],
    keep_first: KeepFirst = False,
) -> int:
    """Bring records, predictions and suites of several stores into one.

    Runs are joined by key: the same numbers pass, a success replaces a failure, scores and predictions add up. Other
    numbers under one key are named, and then nothing is written. Status 1 when a run was left out since a process is at
    it.
    """
    return _merge(sources, into, keep_first)


def import_records(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files or URLs that dalib export wrote.")],
    store: StoreRoot = Path("results/runs"),
    keep_first: KeepFirst = False,
) -> int:
    """Bring the records of files that dalib export wrote into a store, as dalib merge does."""
    for file in files:
        if not file.endswith((".jsonl", ".jsonl.gz")):
            raise DalibError(
                f"{file} is no .jsonl or .jsonl.gz file; a store is brought in by dalib merge {file} --into DIR"
            )
    return _merge(files, str(store), keep_first)


def _merge(sources: Sequence[str], into: str, keep_first: bool) -> int:
    from dalib.core.places import is_url
    from dalib.records.exchange import merge_records

    if not is_url(into):
        open_folder(Path(into), "the store")
    done = merge_records(sources, into, keep_first=keep_first)
    for conflict in done.conflicts:
        say(f"dalib: kept the first: {conflict}", file=sys.stderr)
    say(f"{into}: {done.added} records added, {done.improved} completed, {done.same} there already")
    if done.busy:
        say(
            f"dalib: {done.busy} runs are under way there and were left out; the same command brings them",
            file=sys.stderr,
        )
    return FAILED if done.busy else 0
