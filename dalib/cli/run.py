"""`dalib run`: a suite from its file to its table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dalib.cli._common import (
    DataRoot,
    Device,
    SkipUnreadable,
    StoreRoot,
    SuiteName,
    Track,
    choose,
    complete_names,
    load_plugins,
    open_folder,
)
from dalib.cli._errors import FAILED, INTERRUPTED
from dalib.cli._sections import SectionCommand, given_settings, set_value
from dalib.cli.table import Formats, split_formats
from dalib.core.errors import DalibError
from dalib.core.text import say

if TYPE_CHECKING:
    from dalib.bench.suite import Suite


class RunCommand(SectionCommand):
    defaults = {"": "as the suite says"}
    sections = ("executor",)


def run_benchmark(
    ctx: typer.Context,
    suite: SuiteName,
    data_root: DataRoot = None,
    store: StoreRoot = Path("results/runs"),
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Runs at a time; default: the suite's, else 1 here and all elsewhere."),
    ] = None,
    redo: Annotated[str, typer.Option(help="Which runs to repeat: never, failed or all.")] = "never",
    device: Device = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False,
    plugin: Annotated[
        list[Path] | None,
        typer.Option(
            "--plugin", metavar="FILE.py", help="Load a plug-in file; its algorithms join the suite. May be repeated."
        ),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="LABEL", help="Run this row only; may be repeated.")] = None,
    fleet: Annotated[
        str, typer.Option(help="Train runs of one algorithm together: auto (on a GPU), on or off.")
    ] = "auto",
    executor: Annotated[
        str,
        typer.Option(
            metavar="E",
            help="Where runs happen (dalib list executors), with --executor.KEY VALUE; default: the suite's, else "
            "inline for one job, processes for several.",
            autocompletion=complete_names("executors"),
        ),
    ] = "",
    detach: Annotated[
        bool, typer.Option("--detach", help="Hand the runs to a queue and come back; run again to collect them.")
    ] = False,
    track: Track = None,
    skip_unreadable: SkipUnreadable = False,
    tables: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the tables.")] = Path("results/tables"),
    formats: Formats = "",
    no_table: Annotated[bool, typer.Option("--no-table", help="Run only.")] = False,
) -> int:
    """Run what a suite lacks, print its table and write it, as md and csv unless --formats says otherwise.

    --train.KEY VALUE, --protocol.KEY, --backbone.KEY and --data.KEY change the suite as if its file said so.

    Status 1 when a run failed, 130 after Ctrl-C: the same command goes on.
    """
    choose("way to redo", redo, ("never", "failed", "all"))
    choose("--fleet", fleet, ("auto", "on", "off"))
    if jobs is not None and jobs < 1:
        raise DalibError(f"--jobs {jobs} is below 1; give a number of worker processes")
    from dalib.bench.runner import run_suite
    from dalib.bench.suite import add_plugin_rows, find_suite, load_suite

    load_plugins(plugin)
    given = given_settings(ctx)
    if skip_unreadable:
        set_value(given, "data.skip_unreadable", True)
    engine = {**given.pop("executor", {}), **({"name": executor} if executor else {})}
    planned = load_suite(find_suite(suite), given)
    add_plugin_rows(planned, plugin or ())
    wanted = split_formats(formats) if formats else ()
    if not dry_run:
        open_folder(store, "--store")
        if not no_table:
            open_folder(tables, "--tables")
    if device != "auto":
        from dalib.train.device import pick_device

        pick_device(device)
    options: dict[str, Any] = {"plugins": plugin or (), "only": only or (), "redo": redo, "dry_run": dry_run}
    options |= {"fleet": fleet, "executor": engine, "detach": detach, "track": track or ()}
    try:
        run_suite(planned, root=data_root, store=store, jobs=jobs, device=device, **options)
    except KeyboardInterrupt:
        return INTERRUPTED
    if dry_run or detach:
        return 0
    if not no_table:
        print_and_write(planned, store, tables, wanted)
    failed = count_failed(planned, store, only or ())
    if failed:
        place = "" if store == Path("results/runs") else f" --store {quote(str(store))}"
        say(f"dalib: {failed} runs failed; dalib table {quote(suite)}{place} --failures says why", file=sys.stderr)
    return FAILED if failed else 0


def print_and_write(suite: Suite, store: Path, folder: Path, formats: Sequence[str] = ()) -> None:
    """The suite's table on the terminal and in a folder."""
    from dalib.cli.table import show_table
    from dalib.records.store import Store
    from dalib.report.render import write_tables
    from dalib.report.table import build_table

    kept = Store(store)
    try:  # first: the terminal may be gone by now
        written = write_tables(kept, suite.name, folder, formats=formats)
    finally:
        show_table(build_table(kept, suite.name))
    for path in written:
        say(path)


def count_failed(suite: Suite, store: Path, only: list[str] | tuple[str, ...]) -> int:
    """Failed records among the suite's rows, old ones too."""
    from dalib.records.store import Store

    kept = Store(store)
    keys = [run.key for run in kept.manifest(suite.name).runs if not only or run.label in only or run.row in only]
    return sum(record.status == "failed" for record in kept.records(keys))
