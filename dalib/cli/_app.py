"""The commands, put together; each lives in the module of its name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from dalib.cli import (
    adapt,
    advise,
    check,
    data,
    evaluate,
    export,
    list_plugins,
    merge,
    new,
    predict,
    rank,
    report,
    rescore,
    run,
    schema,
    share,
    show,
    status,
    table,
    train,
)
from dalib.core.errors import unknown
from dalib.core.text import say

app = typer.Typer(
    name="dalib",
    help="Train on one domain, work on another: domain adaptation, benchmark suites and honest tables.",
    epilog="DALIB_DATA: where data sets lie. DALIB_CACHE: decoded images and features. DALIB_DEBUG=1: tracebacks.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
COMMANDS: dict[str, Callable[..., Any]] = {
    "advise": advise.advise_user,
    "run": run.run_benchmark,
    "status": status.show_status,
    "table": table.print_table,
    "report": report.write_report,
    "view": report.view_suite,
    "export": export.export,
    "import": merge.import_records,
    "merge": merge.merge_stores,
    "rescore": rescore.rescore_records,
    "schema": schema.print_schema,
    "push": share.push_file,
    "pull": share.pull_files,
    "train": train.train_model,
    "adapt": adapt.adapt_model,
    "predict": predict.predict_classes,
    "evaluate": evaluate.evaluate_model,
    "rank": rank.rank_backbones,
    "list": list_plugins.list_names,
    "show": show.show_plugin,
    "check": check.check_file,
    "new": new.write_plugin,
}
PANELS = {
    **dict.fromkeys(
        ("run", "status", "table", "report", "view", "export", "import", "merge", "rescore", "schema"), "Benchmarks"
    ),
    **dict.fromkeys(("train", "adapt", "predict", "evaluate", "rank", "push", "pull"), "Models"),
    "advise": "Data",
}
CLASSES: dict[str, type[TyperCommand]] = {
    "adapt": adapt.AdaptCommand,
    "train": train.TrainCommand,
    "run": run.RunCommand,
}


def prose(function: Callable[..., Any]) -> str:
    """The docstring with its sentences in one line each, for the help page to divide in the terminal's width."""
    return re.sub(r"(?<![.\n])\n(?!\n)", " ", inspect.cleandoc(function.__doc__ or ""))


for name, function in COMMANDS.items():
    panel = PANELS.get(name, "Plug-ins")
    app.command(name, cls=CLASSES.get(name), help=prose(function), rich_help_panel=panel)(function)
DATA_COMMANDS: dict[str, Callable[..., Any]] = {
    "advise": advise.advise_user,
    "verify": data.verify_data,
    "info": data.describe_data,
    "get": data.get_data,
    "pack": data.pack_data,
    "make": data.make_data,
}
data_app = typer.Typer(help="Check, describe and make data sets.")
for name, function in DATA_COMMANDS.items():
    data_app.command(name, help=prose(function))(function)
app.add_typer(data_app, name="data", rich_help_panel="Data")


def _print_version(wanted: bool) -> None:
    if wanted:
        from dalib import __version__

        say(f"dalib {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run_command(args: list[str]) -> int:
    """Parse and run; exceptions pass through.

    Raises
        DalibError: no such command
    """
    if args == ["data"]:
        args = ["data", "--help"]
    groups: dict[str, tuple[str, list[str]]] = {
        "": ("command", [*COMMANDS, "data"]),
        "data": ("data command", [*DATA_COMMANDS]),
    }
    parent = args[0] if args[0] in groups else ""
    kind, known = groups[parent]
    word = args[1] if parent else args[0]
    if not word.startswith("-") and word not in known:
        raise unknown(kind, word, known, "dalib --help")
    return int(typer.main.get_command(app).main(args, prog_name="dalib", standalone_mode=False) or 0)
