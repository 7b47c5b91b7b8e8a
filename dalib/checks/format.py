"""A table format's contract: text with every row and number in it, whatever a label holds."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from dalib.checks.result import require
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.table_format import TableFormat

LABELS = ("plain", "stepwise", "reference")


def make_sheet(labels: tuple[str, ...] = LABELS) -> Sheet:
    """Three rows in two blocks, one number bold, one missing, with a note and a failure."""
    first = [
        (Shown(label), Shown(f"{71.5 + i:.1f}", bold=i == 1), Shown("–", dim=True)) for i, label in enumerate(labels)
    ]
    blocks = (Block("", tuple(first[:-1])), Block("Uses target labels (reference)", tuple(first[-1:])))
    return Sheet(
        "toy", "Toy suite", ("Algorithm", "A→W", "vs plain"), tuple(block for block in blocks if block.rows),
        notes=("Target accuracy in %.",), failures=("stepwise, a->b, seed 0: Diverged",), tips={"A→W": "amazon"},
    )  # fmt: skip


def make_frame(labels: tuple[str, ...] = LABELS) -> pd.DataFrame:
    """The same as numbers."""
    return pd.DataFrame({"label": labels, "mean": [71.5 + i for i in range(len(labels))]})


def check_ending_is_usable(cls: type[TableFormat]) -> None:
    ok = isinstance(cls.ending, str) and (not cls.ending or cls.ending.isalnum())
    require(ok, f"ending is {cls.ending!r}; give letters without a dot, such as 'md', or '' for a screen")
    require(
        type(cls.by_default) is bool and (bool(cls.ending) or not cls.by_default),
        f"by_default is {cls.by_default!r} with ending {cls.ending!r}; only formats with files are written by default",
    )


def check_text_holds_rows_and_numbers(cls: type[TableFormat]) -> None:
    text = cls().render(make_sheet(), make_frame())
    require(isinstance(text, str), f"render returned {type(text).__name__}; return the whole text of a file")
    for word in (*LABELS, "71.5", "72.5", "73.5"):
        require(word in text, f"'{word}' of the table is not in the text; render every row and number")


def check_notes_are_told(cls: type[TableFormat]) -> None:
    """What is read apart from the program says how its numbers came about; a format of bare numbers (CSV) need not."""
    text = " ".join(cls().render(make_sheet(), make_frame()).split())
    told = "Target accuracy in" in text
    require(told or not _shows_the_sheet(cls), "the table's note is not in the text; render notes below the table")


def check_bold_is_seen(cls: type[TableFormat]) -> None:
    """In a file the best number stands out, unless it is of bare numbers."""
    sheet = make_sheet()
    plain = Block("", tuple(tuple(replace(cell, bold=False) for cell in row) for row in sheet.blocks[0].rows))
    text, without = (cls().render(s, make_frame()) for s in (sheet, replace(sheet, blocks=(plain, *sheet.blocks[1:]))))
    seen = text != without or not cls.ending or not _shows_the_sheet(cls)
    require(seen, "a bold number is rendered as any other; mark it")


def _shows_the_sheet(cls: type[TableFormat]) -> bool:
    """It renders more than the frame's numbers."""
    sheet, frame = make_sheet(), make_frame()
    return cls().render(replace(sheet, header=("Way", *sheet.header[1:])), frame) != cls().render(sheet, frame)


def check_any_label_is_rendered(cls: type[TableFormat]) -> None:
    """Marks of other languages in a label, no row at all: text, never an error."""
    for what, labels in {"marks in labels": ('a_b & <c> | "d" \\e {f} 5% ~^', "ρ ± × →", "  "), "no rows": ()}.items():
        try:
            text = cls().render(make_sheet(labels), make_frame(labels))
        except Exception as error:
            require(False, f"render fails with {what} ({type(error).__name__}: {error}); escape what the format reads")
        require(isinstance(text, str), f"render returned {type(text).__name__} with {what}; return text")


def check_render_is_deterministic_and_pure(cls: type[TableFormat]) -> None:
    sheet, frame = make_sheet(), make_frame()
    first, second = cls().render(sheet, frame), cls().render(sheet, frame)
    require(first == second, "two calls give different text; leave out times and random ids")
    require(sheet == make_sheet() and frame.equals(make_frame()), "render writes into its inputs; copy them")


FORMAT_CHECKS = (
    check_ending_is_usable,
    check_text_holds_rows_and_numbers,
    check_notes_are_told,
    check_bold_is_seen,
    check_any_label_is_rendered,
    check_render_is_deterministic_and_pure,
)
