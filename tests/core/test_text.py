"""Text on a terminal: divided between words, in its real width; untouched in a pipe."""

from __future__ import annotations

import io
import sys

import pytest

from dalib.core.text import Styled, count_columns, fold, say, terminal_width
from tests.support.terminal import terminal

MESSAGE = "dalib: no domain named 'nowhere'; known: amazon, dslr, webcam (task amazon->nowhere)"


@pytest.mark.parametrize("width", [20, 33, 50, 79])
def test_lines_are_divided_between_words_and_none_is_lost(width: int) -> None:
    folded = fold(MESSAGE, width)
    assert folded.split() == MESSAGE.split()
    assert max(map(count_columns, folded.split("\n"))) <= width
    assert all(line.startswith("  ") for line in folded.split("\n")[1:])


def test_text_that_fits_is_left_as_it_is() -> None:
    text = "a   b\n\n  c  " + "x" * 60
    assert fold(text, 80) == text


def test_the_text_of_an_item_hangs_below_its_beginning() -> None:
    assert fold("- one two three", 9) == "- one two\n  three"
    assert fold("12. one two three", 11) == "12. one two\n    three"
    assert fold("    one two", 8) == "    one\n      two"


def test_a_command_to_type_stays_in_one_piece() -> None:
    command = "dalib predict /a/long/place/of/a/model.safetensors PATH"
    assert fold(f"  {command}", 20) == f"  {command}"
    assert fold(f"model a (2.0 MB); use it: {command}", 40) == f"model a (2.0 MB); use it:\n  {command}"


def test_a_word_that_is_longer_than_the_line_is_not_cut() -> None:
    assert fold("see /a/place/that/is/long now", 10) == "see\n  /a/place/that/is/long\n  now"


def test_a_choice_ends_at_its_bars_where_it_is_too_long() -> None:
    assert fold("a|b c", 5) == "a|b c"
    assert fold("take one|two|three now", 12) == "take one|\n  two|three\n  now"
    assert fold("||long|words||", 8).replace("\n  ", "") == "||long|words||"


def test_columns_are_counted_as_a_terminal_shows_them() -> None:
    assert count_columns("\x1b[1mbold\x1b[0m") == 4
    assert count_columns("図書") == 4
    assert count_columns("e\u0301") == 1


@pytest.mark.parametrize("width", [40, 80, 132])
def test_the_width_is_the_terminal_s_own(width: int) -> None:
    with terminal(width):
        assert terminal_width(sys.stdout) == width


def test_columns_in_the_environment_come_first_and_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal_width(io.StringIO()) is None
    with terminal(80):
        monkeypatch.setenv("COLUMNS", "55")
        assert terminal_width(sys.stdout) == 55
        monkeypatch.setenv("COLUMNS", "wide")
        assert terminal_width(sys.stdout) == 80


def test_say_folds_on_a_terminal_only() -> None:
    with terminal(40) as got:
        say(Styled("\x1b[1mdalib\x1b[0m"), MESSAGE[5:])
    lines = got.read().splitlines()
    assert len(lines) == 3
    assert max(map(count_columns, lines)) <= 40
    pipe = io.StringIO()
    say(MESSAGE, file=pipe)
    assert pipe.getvalue() == MESSAGE + "\n"
