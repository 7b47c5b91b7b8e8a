"""`dalib table`: what a suite's records say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dalib.cli._columns import print_columns
from dalib.cli._common import Plugins, StoreRoot, bold, choose, load_plugins, write_text
from dalib.core.errors import DalibError
from dalib.core.registry import FORMATS
from dalib.core.text import hand_out, say, terminal_width

if TYPE_CHECKING:
    from dalib.report.render import Report

Formats = Annotated[
    str, typer.Option("--formats", metavar="A,B", help="Formats of the files, by commas, or all; default: md,csv.")
]


def print_table(
    suite: Annotated[
        list[str],
        typer.Argument(
            metavar="SUITE", help="A suite's .toml file, or a known name; or files that dalib export wrote, to merge."
        ),
    ],
    format: Annotated[str, typer.Option("--format", help="terminal, md, csv … (dalib list formats).")] = "terminal",
    select: Annotated[
        str, typer.Option(help="Which point counts: last, oracle or a validator's name; default: last.")
    ] = "",
    summary: Annotated[
        bool, typer.Option("--summary", help="A line per method: last, selected, oracle, regret, intervals, tests.")
    ] = False,
    expected: Annotated[
        bool, typer.Option("--expected", help="With --summary: accuracy expected without labels, and the measured one.")
    ] = False,
    metric: Annotated[
        str, typer.Option(help="target_accuracy, target_macro_f1, target_h_score …; default: the suite's.")
    ] = "",
    validators: Annotated[
        bool, typer.Option("--validators", help="A line per validator: how good is what it selects?")
    ] = False,
    curve: Annotated[
        bool, typer.Option("--curve", help="A line per strategy over the sweep: accuracy, gains, negative transfer.")
    ] = False,
    costs: Annotated[bool, typer.Option("--costs", help="A line per row: trained numbers and seconds.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --summary, --validators or --curve: draw it (png, pdf, svg)."),
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="Published numbers below ours.")] = False,
    ensemble: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=A+B", help="A row more: the mean of the probabilities of rows; may be repeated."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="LABEL", help="Show this row; may be repeated.")] = None,
    store: StoreRoot = Path("results/runs"),
    records: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Records that dalib export wrote, instead of a store.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of stdout.")] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write files there, in the formats of --formats.")
    ] = None,
    formats: Formats = "",
    plugin: Plugins = None,
    per_class: Annotated[str, typer.Option(metavar="LABEL", help="Class by class for a row, with --task.")] = "",
    task: Annotated[str, typer.Option(metavar="S->T", help="The task of --per-class.")] = "",
    failures: Annotated[bool, typer.Option("--failures", help="Say why runs failed.")] = False,
) -> None:
    """Print a suite's table: mean ± std over seeds, averages, ranks, and what is missing.

    Given files that dalib export wrote, of one or several people, in place of a suite: runs are joined by key, rows of
    other settings get a name of their own, and runs with other numbers under one key are named.
    """
    load_plugins(plugin)
    choose("format", format, FORMATS.names())
    if formats and write is None:
        raise DalibError(f"--formats {formats} says what --write DIR writes; add --write, or use --format for one")
    wanted = split_formats(formats) if formats else ()
    from dalib.report.reports import open_records

    source, name = open_records(suite, store, records, metric)
    if (failures or per_class) and (ensemble or expected):
        raise DalibError("--failures and --per-class know neither ensembles nor expected accuracies; leave them out")
    if failures:
        print_failures(source, name)
        return
    if per_class:
        from dalib.report.per_class import find_records, render_classes

        if not task:
            raise DalibError(f"--per-class {per_class} needs --task, one of: {', '.join(_tasks(source, name))}")
        choose("row", per_class, {run.label for run in source.manifest(name).runs})
        choose("task", task, _tasks(source, name))
        _deliver("\n".join(render_classes(r) for r in find_records(source, name, per_class, task)), out)
        return
    from dalib.report.render import render, write_report
    from dalib.report.reports import draw_report, table

    if (summary or validators or curve or costs) and (only or published):
        raise DalibError(
            "--summary, --validators, --curve and --costs look at all rows of the suite; "
            "leave out --only and --published"
        )
    if plot and not (summary or validators or curve):
        raise DalibError(
            "--plot draws a summary, a curve or a study of validators; add --summary, --curve, --validators"
        )
    from dalib.report.ensembles import read_ensemble

    told = [read_ensemble(text, source.manifest(name).labels) for text in ensemble or ()]
    twice = next((name for i, (name, _) in enumerate(told) if name in dict(told[:i])), "")
    if twice:
        raise DalibError(f"--ensemble {twice} is given twice; give each its own name")
    asked = {"summary": summary, "validators": validators, "curve": curve, "costs": costs}
    study = next((kind for kind, wanted in asked.items() if wanted), "")
    how: dict[str, Any] = {"select": select, "metric": metric, "only": only or (), "published": published}
    how |= {"ensembles": dict(told), "expected": expected}
    report = table(suite, study, records=source, **how)
    kind = study or (select if select != "last" else "")
    stem = f"{name}.{kind}" if kind else name
    if plot is not None:
        say(draw_report(report, plot))
    elif write is not None:
        from dalib.cli._common import open_folder

        for path in write_report(report, open_folder(write, "--write"), stem, wanted):
            say(path)
    elif format == "terminal" and out is None:
        show_table(report)
    else:
        _deliver(render(report, format), out)


def split_formats(text: str) -> tuple[str, ...]:
    """`md,csv` -> names of formats that have files; nothing = those that are written by default.

    Raises
        DalibError: no such format, or one for the screen only
    """
    from dalib.report.render import endings

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    endings(names)
    return names


def show_table(report: Report) -> None:
    """On a terminal in colour and in its width, else as plain text."""
    from dalib.report.render import as_sheet, render

    if sys.stdout.isatty():
        from rich.console import Console

        from dalib.report.narrow import fit_table

        console = Console(width=terminal_width(sys.stdout))
        remedy = "dalib table --format md gives one table, whatever the width"
        console.print(fit_table(as_sheet(report), console.width, remedy))
    else:
        say(render(report, "terminal"), end="")


def print_failures(source: Any, name: str) -> None:
    """One line per failed run, and where its traceback is."""
    runs = source.manifest(name).runs
    failed = [(run, source.get(run.key)) for run in runs if run.key in source]
    failed = [(run, record) for run, record in failed if record.status == "failed"]
    for run, record in failed:
        say(bold(f"{run.label}  {run.task}  seed {run.seed}"))
        print_columns([("", "why", f"{record.error.type}: {record.error.message}")])
        if hasattr(source, "path") and callable(source.path):
            print_columns([("", "record", source.path(run.key))])
    say(f"{len(failed)} of {len(runs)} runs failed" + ("; dalib run --redo failed tries them again" if failed else ""))


def _tasks(source: Any, name: str) -> list[str]:
    return list(dict.fromkeys(run.task for run in source.manifest(name).runs))


def _deliver(text: str, out: Path | None) -> None:
    if out is None:
        hand_out(text if text.endswith("\n") else text + "\n")
    else:
        write_text(out, text)
        say(out)
