"""Costs: medians of what the records hold, per row and, in a sweep, per strategy."""

from __future__ import annotations

import io
import math

import pandas as pd
import pytest

from dalib.core.errors import DalibError
from dalib.core.registry import FORMATS
from dalib.report.costs import COLUMNS, build_costs
from dalib.report.render import render
from tests.support.report_shelf import FAILED, MISSING, Shelf


@pytest.fixture
def timed() -> Shelf:
    """source_only takes 1, 2 and 3 seconds, dann 8, and 30 where it failed; mmd has records from before counts."""
    shelf = Shelf().put("source_only", "amazon->webcam", [0.5, 0.6, 0.7]).put("mmd", "amazon->webcam", [0.5])
    shelf.put("dann", "amazon->webcam", [0.8, FAILED, MISSING])
    for record in shelf.records.values():
        name, seed = record.spec.algorithm, record.spec.seed
        record.seconds |= {"fit": {"source_only": 1.0 + seed, "dann": 8.0 + 22 * seed, "mmd": 3.0}[name]}
        record.seconds |= {"evaluate": 0.5, "total": record.seconds["fit"] + 0.5}
        if name != "mmd":
            record.counts["trainable"] = {"source_only": 1000, "dann": 2500}[name]
    return shelf


def test_medians_quartiles_and_ratio_are_those_of_the_successful_runs(timed: Shelf) -> None:
    frame = build_costs(timed, "toy").frame().set_index("label")
    assert list(frame.loc["source_only", ["fit_low", "fit", "fit_high"]]) == [1.5, 2.0, 2.5]
    assert frame.loc["source_only", "relative"] == 1.0 and frame.loc["source_only", "n"] == 3
    assert frame.loc["source_only", "last"] == pytest.approx(0.6)
    assert list(frame.loc["dann", ["fit", "relative", "trainable", "n", "last"]]) == [8.0, 4.0, 2500, 1, 0.8]
    assert math.isnan(frame.loc["mmd", "trainable"]) and frame.loc["mmd", "relative"] == 1.5


def test_copies_of_a_swept_row_are_one_line(timed: Shelf) -> None:
    timed.put("dann@3", "webcam->amazon", [0.9], algorithm="dann")
    timed.get(timed.toy.runs[-1].key).seconds["fit"] = 10.0
    for run in timed.toy.runs:
        run.row, run.at = ("dann", 3.0) if run.label.startswith("dann") else ("", 0.0)
    frame = build_costs(timed, "toy").frame().set_index("label")
    assert list(frame.index) == ["source_only", "mmd", "dann"]
    assert list(frame.loc["dann", ["fit", "n"]]) == [9.0, 2]


def test_every_format_shows_numbers_with_their_units(timed: Shelf) -> None:
    costs = build_costs(timed, "toy")
    for format in [name for name in FORMATS.names() if name != "csv"]:
        text = " ".join(render(costs, format).split())
        assert "Trained numbers" in text and "2,500" in text and "Fit, s" in text
    frame = pd.read_csv(io.StringIO(render(costs, "csv")))
    assert tuple(frame.columns) == COLUMNS and len(frame) == 3


def test_without_a_baseline_the_fastest_row_is_the_unit(timed: Shelf) -> None:
    timed.toy.baseline = ""
    costs = build_costs(timed, "toy")
    assert (
        costs.sheet().header[5] == "× fastest" and costs.frame().set_index("label").loc["source_only", "relative"] == 1
    )


def test_a_suite_without_a_success_is_one_line() -> None:
    with pytest.raises(DalibError, match="suite toy has no successful run; dalib run makes them"):
        build_costs(Shelf().put("dann", "amazon->webcam", [FAILED]), "toy")


def test_a_row_that_is_not_whole_shows_of_how_many_runs_it_is(timed: Shelf) -> None:
    costs = build_costs(timed, "toy")
    assert {line[0].text: line[-1].text for line in costs.sheet().blocks[0].rows} == {
        "source_only": "3", "mmd": "1", "dann": "1/3",
    }  # fmt: skip
    assert "Runs as 3/4: others failed or are missing" in costs.notes[0]
    timed.toy.runs = [run for run in timed.toy.runs if run.label != "dann"]
    assert "Runs as" not in build_costs(timed, "toy").notes[0]


def test_last_is_the_row_as_it_stands_and_no_draw_of_a_search(timed: Shelf) -> None:
    timed.put("dann", "webcam->amazon", [0.1], algorithm="mcc")
    timed.toy.runs[-1].draw = 1
    line = build_costs(timed, "toy").frame().set_index("label").loc["dann"]
    assert line["last"] == 0.8 and line["n"] == 2


@pytest.mark.filterwarnings("error")
def test_records_without_seconds_have_none_and_nobody_is_warned() -> None:
    """Of what was trained elsewhere."""
    costs = build_costs(Shelf().put("ours", "amazon->webcam", [0.5]), "toy")
    assert costs.frame().loc[0, ["fit", "relative"]].isna().all() and costs.frame().loc[0, "last"] == 0.5
