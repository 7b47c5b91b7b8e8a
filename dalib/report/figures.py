"""Figures to files whose bytes depend on what they show only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dalib.core.files import written_aside
from dalib.core.text import show_control

_DATES = {".svg": "Date", ".pdf": "CreationDate"}


@contextmanager
def names_as_they_are() -> Iterator[None]:
    """Texts made inside, or by a function that this decorates, are drawn as they are: no `$` begins a formula."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):
        yield


def name_in_legend(name: str) -> str:
    """A name that matplotlib draws and does not leave out of its legend, as it does those that begin with `_`."""
    shown = show_control(name)
    return f" {shown}" if shown.startswith("_") else shown


def save_figure(figure: Any, path: Path, **options: Any) -> Path:
    """Write a matplotlib figure (png, pdf, svg; 200 dots per inch) without date and random ids; returns the path."""
    from matplotlib import rc_context

    date = _DATES.get(path.suffix)
    kind = path.suffix.removeprefix(".") or None
    with rc_context({"svg.hashsalt": "dalib"}), written_aside(path) as file:
        figure.savefig(file, format=kind, dpi=200, metadata={date: None} if date else None, **options)
    return path
