"""What commands print on a narrow terminal, and in a pipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dalib.cli import main
from dalib.cli._columns import print_columns
from dalib.core.text import count_columns
from tests.support.terminal import terminal

RECORDS = Path(__file__).parents[2] / "results/records/demo.jsonl"
PROSE = "Train on the source alone: what every adaptation method has to beat."
NUMBERS = [("amazon->webcam", 71.25, 66.1, 12.0), ("webcam->amazon", 80.5, 9.0, 3.5)]
TITLES = ("task", "source, held-out", "target, with target labels", "to gain")


def printed(width: int, rows: list[tuple[object, ...]], header: tuple[str, ...] = ()) -> list[str]:
    with terminal(width) as got:
        print_columns(rows, header)
    return [re.sub("\x1b\\[[0-9;]*m", "", line) for line in got.read().splitlines()]


def test_prose_is_wrapped_under_itself_where_there_is_room_for_it() -> None:
    lines = printed(50, [("source_only", PROSE), ("mmd", "short")])
    assert lines[0] == "source_only  Train on the source alone: what every"
    assert lines[1].startswith(" " * 13) and lines[-1] == "mmd          short"
    assert max(map(len, lines)) <= 50


def test_prose_without_room_beside_it_goes_below_its_row() -> None:
    lines = printed(
        50, [("source_only", "baseline", "closed-set", PROSE)], ("name", "family", "setting", "what it does")
    )
    assert lines == [
        "name         family    setting",
        "    what it does",
        "source_only  baseline  closed-set",
        "    Train on the source alone: what every",
        "    adaptation method has to beat.",
    ]


def test_numbers_get_headings_of_several_lines() -> None:
    lines = printed(50, NUMBERS, TITLES)
    assert max(map(len, lines)) <= 50
    assert lines[-2].split() == ["amazon->webcam", "71.25", "66.1", "12.0"]
    assert lines[-3].split() == ["task", "held-out", "labels", "gain"]


def test_numbers_come_in_parts_where_that_is_not_enough() -> None:
    lines = printed(34, NUMBERS, TITLES)
    assert max(map(len, lines)) <= 34
    assert sum(line.startswith("amazon->webcam") for line in lines) == 2
    assert all(str(value) in "\n".join(lines) for row in NUMBERS for value in row)


def test_a_pipe_gets_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns([("a\nb", f"{PROSE}\n{PROSE}"), ("図", "x")], ("n", "text"))
    out = capsys.readouterr().out
    assert out == f"n     text\na\\nb  {PROSE} {PROSE}\n図     x\n"


@pytest.mark.parametrize(
    "words",
    [
        ["table", "demo", "--records", str(RECORDS)],
        ["table", "demo", "--records", str(RECORDS), "--costs"],
        ["show", "train"],
        ["show", "dann"],
        ["list", "algorithms"],
        ["list", "formats"],
    ],
    ids=lambda words: " ".join(w for w in words if not w.startswith("/")),
)
@pytest.mark.parametrize("width", [60, 80])
def test_no_line_of_a_command_is_longer_than_the_terminal(words: list[str], width: int) -> None:
    with terminal(width) as got:
        assert main(words) == 0
    lines = got.read().splitlines()
    assert len(lines) > 5
    assert max(map(count_columns, lines)) <= width


def test_a_mistake_is_divided_between_words() -> None:
    with terminal(50, "stderr") as got:
        assert main(["show", "source_onyl"]) == 2
    lines = got.read().splitlines()
    assert len(lines) > 1 and lines[0].startswith("dalib: ")
    assert max(map(count_columns, lines)) <= 50
    assert "'source_only'" in " ".join(line.strip() for line in lines)


def test_the_last_digits_of_numbers_are_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", "1.6", "first", "18.7"), ("b", "16.0", "second", "2.5"), ("c", "", "3", "+5.0")]
    print_columns(rows, ("x", "cost", "word", "gain"))
    assert capsys.readouterr().out.splitlines() == [
        "x  cost  word    gain",
        "a   1.6  first   18.7",
        "b  16.0  second   2.5",
        "c        3       +5.0",
    ]
