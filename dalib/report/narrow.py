"""A report on a terminal, in its width: drawn lines where they fit, close columns and parts where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from dalib.core.columns import GAP, divide, pad, stack, widths_of
from dalib.core.text import count_columns, fold, show_control
from dalib.report.formats.terminal import LONGEST_NAME, rich_table, split_columns, widths_on
from dalib.report.sheet import Sheet, Shown


def fit_table(sheet: Sheet, width: int, remedy: str) -> Group:
    """For `console.print`: the drawn table if `width` holds all of its columns, else one without lines.

    That has narrow headings, `71.2±0.4` for `71.2 ± 0.4` where it helps, and as few parts as the width allows, each
    with the names of the rows; it says so below. Nothing is left out.

    Args
        remedy: how to have it in one part
    """
    widths = widths_on(sheet)
    widths[0] = max(widths[0], *(len(block.title) for block in sheet.blocks), 0)
    if len(split_columns(widths, width)) == 1:
        return rich_table(sheet, width)
    names = dict.fromkeys((max(sheet.label_width, LONGEST_NAME), LONGEST_NAME))  # divided where that saves a part
    choices = [_Columns(sheet, width, longest, close) for longest in names for close in (False, True)]
    columns, whole = min(choices, key=lambda c: c.cost), min(c.whole for c in choices)
    lines = [Text(show_control(sheet.title), style="bold")]
    for part in columns.parts:
        lines += columns.lines(part)
        lines.append(Text())
    notes, count = list(sheet.notes), len(columns.parts)
    if count > 1:
        notes.append(
            f"In {count} parts, as the terminal is {width} columns wide; {whole} columns hold them all. {remedy}."
        )
    dim = [Padding(Text(show_control(text), style="dim"), (0, 1)) for text in notes]
    failed = [Padding(Text(show_control(f"failed: {line}"), style="red"), (0, 1)) for line in sheet.failures]
    return Group(*lines[: -1 if count == 1 and not notes else None], *dim, *failed)


class _Columns:
    """A sheet's cells as text, the widths of its columns, and its parts."""

    def __init__(self, sheet: Sheet, width: int, longest: int, close: bool = False) -> None:
        self.sheet, self.close = sheet, close
        self.header = [show_control(title) for title in sheet.header]
        rows = [[self.text(cell) for cell in row] for block in sheet.blocks for row in block.rows]
        self.widths = widths_of(self.header, rows)
        widest = max(self.widths[1:], default=0)
        self.widths[0] = min(self.widths[0], longest, max(width - widest - GAP, LONGEST_NAME // 2))
        self.whole = sum(self.widths) + GAP * (len(self.widths) - 1)
        self.parts = divide(self.widths, width, sheet.breaks)

    @property
    def cost(self) -> tuple[int, int]:
        """Number of parts, and of places where columns that go together go on in the next part."""
        begun = [part[1] for part in self.parts if len(part) > 1]
        return len(self.parts), len(set(begun[1:]) - set(self.sheet.breaks))

    def text(self, cell: Shown) -> str:
        shown = show_control(cell.text)
        return shown.replace(" ± ", "±").replace(" … ", "…") if self.close else shown

    def lines(self, part: Sequence[int]) -> Iterator[Text]:
        """A part of the table, line by line."""
        for heads in stack([self.header[i] for i in part], [self.widths[i] for i in part]):
            yield self._line(part, [Text(head, style="bold") for head in heads])
        rule = "─" * (sum(self.widths[i] for i in part) + GAP * (len(part) - 1))
        for number, block in enumerate(self.sheet.blocks):
            if number or not block.title:
                yield Text(rule, style="dim")
            if block.title:
                yield Text(fold(show_control(block.title), len(rule)), style="italic dim")
            for row in block.rows:
                yield from self._row(part, row)

    def _row(self, part: Sequence[int], row: Sequence[Shown]) -> Iterator[Text]:
        name, *more = fold_name(self.text(row[0]), self.widths[0])
        cells = [Text(name, style=_style(row[0])), *(Text(self.text(row[i]), style=_style(row[i])) for i in part[1:])]
        yield self._line(part, cells)
        yield from (Text(text, style=_style(row[0])) for text in more)

    def _line(self, part: Sequence[int], cells: Sequence[Text]) -> Text:
        line = Text(no_wrap=True, overflow="ignore")
        for i, cell in zip(part, cells, strict=True):
            line.append(pad(cell.plain, self.widths[i], right=bool(i)), style=cell.style)
            line.append(" " * GAP)
        line.rstrip()
        return line


def fold_name(name: str, width: int) -> list[str]:
    """Lines of at most `width` columns: divided between words, longer words behind `_`, `+`, `-`, `/` or anywhere."""
    lines = []
    for line in fold(name, width).split("\n"):
        while count_columns(line) > width:
            room = next(n for n in range(min(width, len(line)), 0, -1) if count_columns(line[:n]) <= width or n == 1)
            cut = max(line.rfind(mark, room // 3, room) for mark in "_+-/") + 1 or room
            lines.append(line[:cut])
            line = f"  {line[cut:]}"
        lines.append(line)
    return lines


def _style(cell: Shown) -> str:
    return "bold green" if cell.bold else "dim" if cell.dim else ""
