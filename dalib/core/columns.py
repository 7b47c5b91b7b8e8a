"""Columns that fit into a width: headings on several lines, and a table in parts."""

from __future__ import annotations

from collections.abc import Sequence

from dalib.core.text import count_columns

GAP = 2
"""Blanks between columns."""


def widths_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Width of every column: its longest cell, or the longest word of its heading."""
    words = [max((count_columns(word) for word in title.split()), default=0) for title in header]
    cells = [max((count_columns(row[i]) for row in rows), default=0) for i in range(len(header))]
    return [max(pair) for pair in zip(words, cells, strict=True)]


def stack(header: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """Headings as lines of at most the columns' widths; the last line stands on the first row."""
    stacked = [_lines(title, width) for title, width in zip(header, widths, strict=True)]
    height = max(map(len, stacked), default=0)
    columns = [[""] * (height - len(lines)) + lines for lines in stacked]
    return [[column[i] for column in columns] for i in range(height)]


def divide(widths: Sequence[int], room: int, breaks: Sequence[int] = ()) -> list[list[int]]:
    """Column numbers of each part of a table, the first column in all of them: as few parts as `room` allows.

    Of as many parts, those that begin at `breaks` come first, then those of like width. A part has one column beside
    the first at least, however wide it is.
    """
    last = len(widths)
    best: dict[int, tuple[tuple[int, int, int], list[list[int]]]] = {last: ((0, 0, 0), [])}
    for start in range(last - 1, 0, -1):
        choices = []
        for end in range(start + 1, last + 1):
            wide = widths[0] + sum(GAP + width for width in widths[start:end])
            if wide > room and end > start + 1:
                break
            (parts, crossed, uneven), others = best[end]
            crossed += sum(start < column < end for column in breaks)
            choices.append(((parts + 1, crossed, uneven + wide * wide), [[0, *range(start, end)], *others]))
        best[start] = min(choices)
    return best[1][1] if last > 1 else [[0]]


def pad(text: str, width: int, right: bool = False) -> str:
    """The text in `width` columns, at their left or right end."""
    blanks = " " * (width - count_columns(text))
    return blanks + text if right else text + blanks


def _lines(title: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in title.split():
        if lines and count_columns(lines[-1]) + 1 + count_columns(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
