"""Columns in a width: headings of several lines, few and even parts."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from dalib.core.columns import GAP, divide, pad, stack, widths_of


def test_a_column_is_as_wide_as_its_longest_cell_or_word() -> None:
    assert widths_of(["name", "target, with labels"], [["source_only", "1"]]) == [11, 7]
    assert widths_of(["a", ""], [["b", "cc"]]) == [1, 2]


def test_headings_stand_on_the_rows_below() -> None:
    widths = [11, 7]
    assert stack(["name", "target, with labels"], widths) == [["", "target,"], ["", "with"], ["name", "labels"]]
    assert stack(["vs it"], [5]) == [["vs it"]]


def parts_of(widths: list[int], room: int) -> int:
    """Fewest parts, by trying every way to cut."""
    columns = range(1, len(widths))
    for count in range(len(widths)):
        for cuts in combinations(range(2, len(widths)), count):
            edges = [1, *cuts, len(widths)]
            pieces = [columns[a - 1 : b - 1] for a, b in pairwise(edges)]
            if all(len(p) == 1 or widths[0] + sum(GAP + widths[i] for i in p) <= room for p in pieces):
                return count + 1
    return 0


@pytest.mark.parametrize("room", [12, 20, 31, 40, 52, 80])
@pytest.mark.parametrize("widths", [[10, 4, 4, 4, 4, 4, 9, 2], [6, 12, 3, 12, 3], [5, 30, 2], [8, 7, 7, 7, 7, 7, 7]])
def test_there_are_as_few_parts_as_the_room_allows(widths: list[int], room: int) -> None:
    parts = divide(widths, room)
    assert len(parts) == parts_of(widths, room)
    assert [i for part in parts for i in part[1:]] == list(range(1, len(widths)))
    assert all(part[0] == 0 for part in parts)
    assert all(len(p) == 2 or sum(widths[i] for i in p) + GAP * (len(p) - 1) <= room for p in parts)


def test_parts_begin_where_columns_of_another_kind_do_and_are_even() -> None:
    widths = [10, *[8] * 6, 6, 6]
    assert divide(widths, 70, breaks=(7,)) == [[0, 1, 2, 3, 4, 5, 6], [0, 7, 8]]
    assert divide([10, *[8] * 6], 52) == [[0, 1, 2, 3], [0, 4, 5, 6]]
    assert divide([10, *[8] * 6], 100, breaks=(3,)) == [[0, 1, 2, 3, 4, 5, 6]]
    assert divide([10], 5) == [[0]]


def test_text_is_padded_by_what_a_terminal_shows() -> None:
    assert pad("図", 4) == "図  "
    assert pad("ab", 4, right=True) == "  ab"
