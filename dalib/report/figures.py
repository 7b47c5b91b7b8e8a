"""Figures to files whose bytes depend on what they show only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dalib.core.files import written_aside

_DATES = {".svg": "Date", ".pdf": "CreationDate"}


def save_figure(figure: Any, path: Path, **options: Any) -> Path:
    """Write a matplotlib figure (png, pdf, svg; 200 dots per inch) without date and random ids; returns the path."""
    from matplotlib import rc_context

    date = _DATES.get(path.suffix)
    kind = path.suffix.removeprefix(".") or None
    with rc_context({"svg.hashsalt": "dalib"}), written_aside(path) as file:
        figure.savefig(file, format=kind, dpi=200, metadata={date: None} if date else None, **options)
    return path
