"""Rows and columns of words on a terminal, in its width."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence

from dalib.cli._common import bold
from dalib.core.columns import GAP, divide, pad, stack, widths_of
from dalib.core.text import count_columns, fold, say, show_control, terminal_width

_NUMBER = re.compile(r"([-+−]?\d[\d.]*%?)?")
PROSE, READABLE, INDENT = 24, 32, 4
"""A longer cell is prose, which asks for so many columns; below its row it is indented."""


def print_columns(rows: Sequence[Sequence[object]], header: Sequence[str] = ()) -> None:
    """Left-aligned columns, numbers with their last digits below each other.

    On a terminal that is too narrow for them, prose in the last column is wrapped under itself or goes below its row;
    numbers get headings of several lines, and come in parts with the first column repeated.
    """
    cells = [
        [*(show_control(str(c)).replace("\n", "\\n") for c in row[:-1]), re.sub(r"\s", " ", show_control(str(row[-1])))]
        for row in rows
    ]
    if not cells:
        return
    _line_up(cells)
    titles, width = [show_control(title) for title in header], terminal_width(sys.stdout)
    if width is None:
        lines = _plain(cells, titles, len)
    elif _room(cells, titles) <= width:
        lines = _plain(cells, titles, count_columns)
    elif max(count_columns(row[-1]) for row in cells) <= PROSE:
        lines = _parts(cells, titles or [""] * len(cells[0]), width)
    else:
        lines = _with_prose(cells, titles, width)
    for line, heading in lines:
        say(bold(line) if heading else line)


def _line_up(cells: Sequence[list[str]]) -> None:
    for i in range(1, len(cells[0])):
        if all(_NUMBER.fullmatch(row[i]) for row in cells):
            longest = max(len(row[i]) for row in cells)
            for row in cells:
                row[i] = row[i].rjust(longest)


Lines = Iterator[tuple[str, bool]]
"""(line, it is a heading)."""


def _widths(
    cells: Sequence[Sequence[str]], titles: Sequence[str], measure: Callable[[str], int] = count_columns
) -> list[int]:
    lines = [*([titles] if titles else []), *cells]
    return [max(measure(line[i]) for line in lines) for i in range(len(cells[0]))]


def _room(cells: Sequence[Sequence[str]], titles: Sequence[str]) -> int:
    widths = _widths(cells, titles)
    return sum(widths) + GAP * (len(widths) - 1)


def _joined(row: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * GAP).join(pad(text, width) for text, width in zip(row, widths, strict=True)).rstrip()


def _plain(cells: Sequence[Sequence[str]], titles: Sequence[str], measure: Callable[[str], int]) -> Lines:
    widths = _widths(cells, titles, measure)
    for row in [*([titles] if titles else []), *cells]:
        padded = [text + " " * (width - measure(text)) for text, width in zip(row, widths, strict=True)]
        yield (" " * GAP).join(padded).rstrip(), row is titles


def _parts(cells: Sequence[Sequence[str]], titles: Sequence[str], width: int) -> Lines:
    widths = widths_of(titles, cells)
    for number, part in enumerate(divide(widths, width)):
        if number:
            yield "", False
        chosen = [widths[i] for i in part]
        yield from ((_joined(line, chosen), True) for line in stack([titles[i] for i in part], chosen))
        yield from ((_joined([row[i] for i in part], chosen), False) for row in cells)


def _with_prose(cells: Sequence[Sequence[str]], titles: Sequence[str], width: int) -> Lines:
    *widths, _ = _widths(cells, titles)
    indent = sum(GAP + w for w in widths)
    beside = width - indent >= READABLE
    for number, row in enumerate([*([titles] if titles else []), *cells]):
        heading = bool(titles) and not number
        if beside:
            start = _joined([*row[:-1], ""], [*widths, 0]) if any(row[:-1]) else ""
            first, *more = fold(row[-1], width - indent).split("\n")
            yield (pad(start, indent) + first).rstrip(), heading
            yield from ((" " * indent + line.strip(), heading) for line in more)
        else:
            yield from ((line, heading) for line in _below(row, widths, width))


def _below(row: Sequence[str], widths: Sequence[int], width: int) -> Iterator[str]:
    """The cells that fit on the row's line, and the others below."""
    here = len(row) - 1
    while here > 1 and count_columns(_joined(row[:here], widths[:here])) > width:
        here -= 1
    yield _joined(row[:here], widths[:here])
    for text in filter(None, row[here:]):
        yield from (" " * INDENT + line.strip() for line in fold(text, width - INDENT).split("\n"))
