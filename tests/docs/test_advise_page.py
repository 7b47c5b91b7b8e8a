"""docs/advise.md: the points that its example shows are those of the committed tables, in the order of advice."""

from __future__ import annotations

import re
from pathlib import Path

from dalib.advice.evidence import describe, load_gains, rank, suit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "advise.md"
SHOWN = re.compile(r"^ *\d+\. (\w+):.*\n +measured: (.*)$", re.MULTILINE)


def test_points_of_the_example_are_those_of_the_tables() -> None:
    gains, shown = (
        suit(load_gains(), "closed-set", several=False),
        dict(SHOWN.findall(PAGE.read_text(encoding="utf-8"))),
    )
    assert len(shown) > 5
    assert {row: describe(row, gains) for row in shown} == shown


def test_methods_of_the_example_stand_in_the_order_of_their_points() -> None:
    rows = [row for row, _ in SHOWN.findall(PAGE.read_text(encoding="utf-8")) if row != "linear_probe"]
    assert rows == rank(rows, suit(load_gains(), "closed-set", several=False))
