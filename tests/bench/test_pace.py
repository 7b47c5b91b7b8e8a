"""The time that is left is told from runs that ended, in proportion to cost, and not before they tell anything."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path
from typing import Any

import pytest

from dalib.bench.pace import Pace
from dalib.bench.progress import LineProgress, Tally
from dalib.bench.runner import run_suite

COSTS = {"plain": 100.0, "game": 1500.0, "solved": 50.0}


def seconds(cost: float, other: float = 2.0) -> dict[str, float]:
    """Of a machine that takes 10 ms per unit of cost, and 2 s beside training."""
    return {"data": 0.5, "fit": 0.01 * cost, "evaluate": 0.5, "total": 0.01 * cost + other}


def left(runs: int = 6) -> dict[str, tuple[str, float]]:
    return {f"{row}{i}": (row, cost) for row, cost in COSTS.items() for i in range(runs)}


def test_nothing_is_said_before_every_worker_has_ended_a_second_run() -> None:
    pace = Pace(2, left())
    assert pace.seconds is None
    for number, key in enumerate(["plain0", "game0", "plain1"]):
        assert pace.seconds is None, number
        pace.end(key, seconds(COSTS[key[:-1]], other=40.0 if number < 2 else 2.0))
    # the first runs of both workers took longer for all that follow, and 10 ms per unit of cost are what both rows tell
    assert pace.seconds == pytest.approx((4 * 3.0 + 5 * 17.0 + 6 * 2.5) / 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_that_have_not_begun_are_expected_by_their_cost(workers: int) -> None:
    pace = Pace(workers, left())
    for i in range(3):
        pace.end(f"plain{i}", seconds(100))
    rest = 3 * 3.0 + 6 * 17.0 + 6 * 2.5
    assert pace.seconds == pytest.approx(rest / workers)


def test_one_run_that_made_the_data_for_all_does_not_count_for_the_rest() -> None:
    pace = Pace(1, left())
    pace.end("plain0", seconds(100, other=60.0))
    for i in (1, 2, 3):
        pace.end(f"plain{i}", seconds(100))
    assert pace.seconds == pytest.approx(2 * 3.0 + 6 * 17.0 + 6 * 2.5)


def test_records_of_before_tell_at_once_and_give_way_to_runs_of_this_call() -> None:
    pace = Pace(1, left())
    for row, cost in COSTS.items():
        pace.learn(row, cost, {"fit": 0.02 * cost, "total": 0.02 * cost + 4.0})
    assert pace.seconds == pytest.approx(6 * (6.0 + 34.0 + 5.0))
    for key in ("game0", "game1"):
        pace.end(key, seconds(1500))
    # rows that have not begun train as they did before, and take beside it what runs of this call take
    assert pace.seconds == pytest.approx(4 * 17.0 + 6 * ((2.0 + 2.0) + (1.0 + 2.0)))


def test_what_says_no_seconds_teaches_nothing_and_at_the_end_none_are_left() -> None:
    pace = Pace(1, {"a": ("plain", 1.0), "b": ("plain", 1.0)})
    pace.learn("plain", 1.0, {})
    pace.end("a", {})
    assert pace.seconds is None
    pace.end("b", {})
    assert pace.seconds == 0.0


def test_one_long_run_is_not_divided_among_workers() -> None:
    pace = Pace(8, {"long": ("game", 1000.0), "short": ("game", 1.0)})
    pace.learn("game", 1.0, {"fit": 1.0, "total": 1.0})
    assert pace.seconds == pytest.approx(500.5)


def test_the_clock_runs_between_two_ends_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace(1, {str(i): ("plain", 1.0) for i in range(10)})
    tally = Tally(10, 0, ["plain"], {"plain": []}, pace=pace)
    assert tally.eta is None
    for key in "01":
        now[0] += 3.0
        tally.count(key, "plain", "ok", 0.5, {"fit": 2.0, "total": 3.0})
    assert tally.eta == pytest.approx(24.0)
    now[0] += 2.0
    assert tally.eta == pytest.approx(22.0)
    now[0] += 100.0
    assert tally.eta == 0.0 and (tally.done, tally.finished) == (2, 2)


def test_lines_of_a_suite_say_nothing_at_first(suite: Any, tmp_path: Path) -> None:
    out = io.StringIO()
    run_suite(suite, store=tmp_path, progress=LineProgress(out), run="tests.support.fake_runs:finish")
    lines = [line for line in out.getvalue().splitlines() if line.startswith("[")]
    assert "eta" not in lines[0] and re.search(r"eta 0:00  ", lines[-1])
