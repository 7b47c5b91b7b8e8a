"""What several commands need: choices, names, columns, files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from dalib.core.errors import DalibError, unknown
from dalib.core.files import write_text as write_atomically
from dalib.core.places import refuse_remote, refuse_url
from dalib.core.text import Styled, show_control

DataRoot = Annotated[
    Path | None, typer.Option("--data-root", metavar="PATH", help="Folder or zip of the data; default: DALIB_DATA.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:N.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE.py", help="Load a plug-in file; may be repeated.")
]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and say how many.")
]


def _refuse_url(value: Path) -> Path:
    refuse_url(value, "--store")
    return value


StoreRoot = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of the records.", callback=_refuse_url)]


def complete_names(kind: str) -> Callable[[str], list[str]]:
    """For shells: the names of a kind of plug-in that begin as typed."""

    def complete(incomplete: str) -> list[str]:
        from dalib.core.registry import REGISTRIES

        return [name for name in REGISTRIES[kind].names() if name.startswith(incomplete)]

    return complete


def complete_suites(incomplete: str) -> list[str]:
    """For shells: the names of known suites that begin as typed; where none does, the shell offers files."""
    from dalib.bench.suite import known_suites

    return [name for name in known_suites() if name.startswith(incomplete)]


SuiteName = Annotated[
    str,
    typer.Argument(
        metavar="SUITE", help="A suite's .toml file, or the name of a known one.", autocompletion=complete_suites
    ),
]


def complete_trackers(incomplete: str) -> list[str]:
    """For shells: the names of trackers that begin as typed."""
    from dalib.train.tracking import list_trackers

    return [name for name in list_trackers() if name.startswith(incomplete)]


Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=DIR]",
        help="Tell a tracker of every run: tensorboard, wandb (offline unless WANDB_MODE says otherwise) or mlflow; "
        "below tracking/ unless a place is given. May be repeated.",
        autocompletion=complete_trackers,
    ),
]


def choose(kind: str, value: str, known: Iterable[str]) -> str:
    """`value` if it is known; DalibError that suggests the right one otherwise."""
    known = list(known)
    if value not in known:
        raise unknown(kind, value, known)
    return value


def load_plugins(paths: Sequence[Path] | None) -> tuple[str, ...]:
    """Register plug-in files; their absolute paths."""
    if not paths:
        return ()
    from dalib.core.registry import load_plugin

    for path in paths:
        load_plugin(path)
    return tuple(str(path.resolve()) for path in paths)


def show_value(value: object) -> str:
    """A setting's value as it is typed: words bare, several joined by commas."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(show_value, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) and value else repr(value)


def split_names(items: Sequence[str] | None) -> tuple[str, ...]:
    """`--normalise row_sum,zscore` and `--normalise row_sum --normalise zscore` are the same."""
    return tuple(part for item in items or () for part in item.split(",") if part)


def colour(text: str, code: str) -> Styled:
    """Text in an ANSI style (`31` red) on a terminal, plain elsewhere; a part for `say`."""
    shown = show_control(text)
    styled = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return Styled(f"\x1b[{code}m{shown}\x1b[0m" if styled else shown)


def bold(text: str) -> Styled:
    return colour(text, "1")


_made: list[Path] = []
"""Folders that `open_folder` made, inner ones first."""


def drop_empty_folders() -> None:
    """Remove what `open_folder` made and nothing was written to: for commands that end in an error."""
    for folder in sorted(_made, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):
            folder.rmdir()
    _made.clear()


def open_folder(path: Path, option: str) -> Path:
    """Make a folder that must be writable, before hours of work end in it; a command that fails removes it if empty.

    Raises
        DalibError: it cannot be made or written to
    """
    refuse_remote(path, option)
    _made.extend(folder.absolute() for folder in (path, *path.parents) if not folder.exists())
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DalibError(f"{option} {path} cannot be made ({error.strerror}); choose another folder") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise DalibError(f"{option} {path} is not writable; choose another folder")
    return path


def write_text(path: Path, text: str) -> None:
    """Write a file that `--out` names, making its folder."""
    open_folder(path.parent, "--out in")
    if path.is_dir():
        raise DalibError(f"--out {path} is a folder; give a file name")
    write_atomically(path, text)


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that is told (done, total); silent where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(show_control(description), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
