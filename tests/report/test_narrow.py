"""Reports on narrow terminals: every cell is there once, no line is too long, wide ones are as before."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from dalib.core.text import count_columns
from dalib.report.formats.terminal import render_terminal
from dalib.report.narrow import fit_table
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.table import build_table
from tests.support.report_shelf import Shelf


def sheet_of(tasks: int, names: tuple[str, ...] = ("source_only", "mmd"), **more: object) -> Sheet:
    """Cells of their own: row 1, task 2 is 12.0 ± 0.2."""
    header = ("Algorithm", *(f"T{k}" for k in range(tasks)), "Average", "vs source_only", "n")
    rows = tuple(
        (Shown(name), *(Shown(f"{30 * i + 10 + k}.0 ± 0.{k % 10}", bold=not i) for k in range(tasks)),
         Shown(f"{i + 7}.5 ± 0.1"), Shown("baseline", dim=True), Shown("3"))
        for i, name in enumerate(names)
    )  # fmt: skip
    blocks = (Block("", rows[:-1]), Block("Uses target labels (reference)", rows[-1:]))
    return Sheet("suite", "A suite", header, blocks, ("A note.",), breaks=(tasks + 1,), **more)  # type: ignore[arg-type]


def shown(sheet: Sheet, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(fit_table(sheet, width, "dalib table --format md gives one table"))
    return capture.get()


@pytest.mark.parametrize("tasks", [1, 6, 12])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_every_cell_is_shown_once_and_no_line_is_too_long(tasks: int, width: int) -> None:
    sheet = sheet_of(tasks)
    text = shown(sheet, width)
    assert max(map(count_columns, text.splitlines())) <= width
    close = text.replace(" ± ", "±")
    for row in (row for block in sheet.blocks for row in block.rows):
        for cell in row[1 : tasks + 2]:
            assert len(re.findall(rf"(?<![\d.]){re.escape(cell.text.replace(' ± ', '±'))}", close)) == 1
    for task in range(tasks):
        assert len(re.findall(rf"\bT{task}\b", text)) == 1


def test_a_table_that_fits_is_drawn_as_before() -> None:
    sheet = sheet_of(3)
    assert shown(sheet, 120) == render_terminal(sheet, 120)
    assert "┏" in shown(sheet, 120)
    assert "┏" not in shown(sheet, 60)


def test_numbers_close_up_where_that_saves_a_part() -> None:
    assert "10.0 ± 0.0" in shown(sheet_of(3), 76)
    assert "10.0±0.0" in shown(sheet_of(3), 70)
    text = shown(sheet_of(6), 80)
    assert "10.0±0.0" in text
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("Algorithm")] == ["T5", "n"]


def test_it_says_in_how_many_parts_and_what_holds_them_all() -> None:
    sheet = sheet_of(12)
    text = " ".join(shown(sheet, 80).split())
    parts, whole = map(int, re.findall(r"In (\d+) parts, as the terminal is 80 columns wide; (\d+) columns", text)[0])
    assert parts == shown(sheet, 80).count("Algorithm") == 3
    assert "parts" not in shown(sheet, whole)
    assert "In 2 parts" in shown(sheet, whole - 1)
    assert "--format md" in text


def test_rows_that_use_target_labels_stand_below_a_rule_with_their_title() -> None:
    lines = shown(sheet_of(6), 80).splitlines()
    title = lines.index("Uses target labels (reference)")
    assert set(lines[title - 1]) == {"─"}
    assert lines[title + 1].startswith("mmd")


def test_long_names_are_wrapped_and_wide_characters_stay_in_line() -> None:
    long = "a method that somebody gave a very long name indeed [Long et al. 2018]"
    text = shown(sheet_of(6, ("図書館", long, "source_only")), 80)
    assert max(map(count_columns, text.splitlines())) <= 80
    assert " ".join(text.split()).count("a very") == 2
    ends = {count_columns(line) for line in text.splitlines() if "±" in line and line.startswith(("図", "source"))}
    assert len(ends) == 2  # one for each part


def test_hidden_characters_are_spelled_out() -> None:
    text = shown(sheet_of(6, ("evil\x1b[31m", "mmd")), 60)
    assert "\x1b[31m" not in text
    assert "evil\\x1b[31m" in text


def test_a_suite_s_averages_come_together(shelf: Shelf) -> None:
    from dalib.report.layout import make_sheet

    sheet = make_sheet(build_table(shelf, "toy"))
    assert sheet.header[sheet.breaks[0]] == "Average"
    heads = [line for line in shown(sheet, 50).splitlines() if line.startswith("Algorithm")]
    assert [head.split()[1] for head in heads][-1] == "Average"


def test_failed_runs_are_named_below() -> None:
    assert "failed: mmd A->B seed 0" in shown(sheet_of(6, failures=("mmd A->B seed 0",)), 60)


def test_long_names_of_one_word_are_divided_where_that_saves_parts() -> None:
    long = "a_row_with_a_very_long_name_that_says_all_its_settings_one_by_one"
    sheet = sheet_of(6, ("source_only", long, "x" * 90, "mmd"), label_width=90)
    text = shown(sheet, 80)
    assert max(map(count_columns, text.splitlines())) <= 80
    assert "In 2 parts" in " ".join(text.split())
    for part in ("a_row_with_a_very_long_name_", "  that_says_all_its_", "  settings_one_by_one"):
        assert text.count(part) == 2
    assert long in shown(sheet_of(1, ("source_only", long, "mmd"), label_width=len(long)), 200)
