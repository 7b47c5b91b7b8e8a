"""Learning curves: values, gains and flags of matrices that can be checked by hand."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dalib.core.errors import DalibError
from dalib.core.registry import FORMATS
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Failure, Record
from dalib.records.spec import DataSpec, ProtocolSpec, RunSpec
from dalib.report.curve import COLUMNS, build_curve, join_targets
from dalib.report.curve_plot import draw_curve
from dalib.report.render import render, write_report
from dalib.report.statistics import mean, stratified_bootstrap

TASKS = ("a->b", "b->a")
Matrix = list[list[float]]
"""Splits by tasks."""


class Shelf:
    """Records of one suite, added strategy by strategy."""

    def __init__(self, sweep: str = "shots") -> None:
        self.toy = Manifest(name="toy", title="Toy", dataset="office", counts={"a": 9, "b": 8}, sweep=sweep)
        self.records: dict[str, Record] = {}

    def manifest(self, name: str) -> Manifest:
        return self.toy

    def get(self, key: str) -> Record:
        return self.records[key]

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def put(self, row: str, at: float, scores: Matrix, protocol: str, algorithm: str = "source_only") -> Shelf:
        label = f"{row}@{at:g}" if at else row
        for seed, line in enumerate(scores):
            for task, value in zip(TASKS, line, strict=True):
                source, _, target = task.partition("->")
                spec = RunSpec(
                    data=DataSpec(dataset="office"), source=source, target=target, algorithm=algorithm, seed=seed,
                    hparams={"row": row, "at": at}, protocol=ProtocolSpec(name=protocol),  # type: ignore[arg-type]
                )  # fmt: skip
                ok = not math.isnan(value)
                found = [Candidate(step=9, metrics={"target_accuracy": value}, scores={})] if ok else []
                error = None if ok else Failure(type="Diverged", message="nan")
                self.records[spec.key] = Record(
                    key=spec.key, spec=spec, status="ok" if ok else "failed", candidates=found, error=error
                )
                self.toy.runs.append(
                    Cell(label=label, task=task, seed=seed, key=spec.key, row=row if at else "", at=at)
                )
        return self


@pytest.fixture
def shelf() -> Shelf:
    """Two splits, two tasks, k = 1 and 10."""
    found = Shelf()
    found.put("source_only", 1, [[0.50, 0.60], [0.52, 0.58]], "uda")
    found.put("source_only", 10, [[0.50, 0.60], [0.52, 0.58]], "uda")
    found.put("target_only", 1, [[0.30, 0.40], [0.40, 0.30]], "supervised")
    found.put("target_only", 10, [[0.80, 0.90], [0.84, 0.86]], "supervised")
    found.put("joint", 1, [[0.60, 0.70], [0.62, 0.68]], "semi_supervised")
    found.put("joint", 10, [[0.75, 0.85], [0.79, 0.81]], "semi_supervised")
    found.put("wild", 1, [[0.70, 0.80], [0.32, 0.38]], "semi_supervised", "dann")
    found.put("wild", 10, [[0.45, 0.55], [0.47, 0.53]], "semi_supervised", "dann")
    return found


def test_means_and_spread_are_over_splits_of_the_averages_over_tasks(shelf: Shelf) -> None:
    frame = build_curve(shelf, "toy").frame().set_index(["strategy", "at"])
    assert frame.loc[("joint", 1), "mean"] == pytest.approx(0.65) and frame.loc[("joint", 1), "std"] == 0
    assert frame.loc[("wild", 1), "mean"] == pytest.approx(0.55)
    assert frame.loc[("wild", 1), "std"] == pytest.approx(np.std([0.75, 0.35], ddof=1), abs=1e-6)
    assert (frame["n_splits"] == 2).all() and (frame["n_tasks"] == 2).all()
    assert frame["labels"].groupby("strategy").first().to_dict() == {
        "source_only": "source", "target_only": "target", "joint": "both", "wild": "both",
    }  # fmt: skip


def test_gains_are_paired_and_their_intervals_are_the_bootstraps(shelf: Shelf) -> None:
    curve = build_curve(shelf, "toy")
    assert (curve.source, curve.target) == ("source_only", "target_only")
    frame = curve.frame().set_index(["strategy", "at"])
    joint = frame.loc[("joint", 1)]
    assert [joint[f"over_source{end}"] for end in ("", "_low", "_high")] == pytest.approx([0.1] * 3)
    assert joint["over_target"] == pytest.approx(0.3)
    gaps = np.array([[0.30, 0.30], [0.22, 0.38]])
    expected = stratified_bootstrap(gaps, mean)
    assert [joint["over_target_low"], joint["over_target_high"]] == pytest.approx(list(expected), abs=1e-6)
    assert math.isnan(frame.loc[("source_only", 1), "over_source"])
    assert frame.loc[("source_only", 10), "over_target"] == pytest.approx(-0.3)


def test_tasks_of_one_target_vary_together() -> None:
    scores = np.array([[0.2, 0.2, 0.9], [0.4, 0.4, 0.9], [0.6, 0.6, 0.9]])
    joined = join_targets(scores, ["a->c", "b->c", "a->b"])
    np.testing.assert_allclose(joined, np.array([[0.4, 0.9], [0.8, 0.9], [1.2, 0.9]]) * 2 / 3)
    np.testing.assert_allclose(joined.mean(axis=1), scores.mean(axis=1))
    narrow, wide = (np.ptp(stratified_bootstrap(array, mean)) for array in (scores, joined))
    assert wide > 1.3 * narrow
    np.testing.assert_array_equal(join_targets(scores[:, 1:], ["b->c", "a->b"]), scores[:, 1:])


def test_negative_transfer_is_flagged_where_the_interval_lies_below_zero(shelf: Shelf) -> None:
    frame = build_curve(shelf, "toy").frame().set_index(["strategy", "at"])
    flags = {
        key: (bool(row["negative_source"]), bool(row["negative_target"])) for key, row in frame.iterrows()
    }  # fmt: skip
    assert flags[("joint", 1)] == (False, False) and flags[("joint", 10)] == (False, True)
    assert flags[("wild", 1)] == (False, False), "one bad split of two is no evidence"
    assert flags[("wild", 10)] == (True, True)
    assert flags[("source_only", 10)] == (False, True) and flags[("target_only", 1)] == (True, False)


def test_the_sheet_shows_accuracy_gains_and_flags_side_by_side(shelf: Shelf) -> None:
    sheet = build_curve(shelf, "toy").sheet()
    assert sheet.header == ("Strategy", "Labels", "k = 1", "k = 10")
    accuracy, over_target, over_source, negative = sheet.blocks
    shown = {row[0].text: [cell.text for cell in row[1:]] for row in accuracy.rows}
    assert shown["joint"] == ["both", "65.0 ± 0.0", "80.0 ± 0.0"]
    assert [row[0].text for row in accuracy.rows if row[3].bold] == ["target_only"]
    gains = {row[0].text: row[3].text for row in over_target.rows}
    assert gains["joint"] == "−5.0 [−5.0, −5.0] ▼" and "target_only" not in gains
    assert {row[0].text: row[2].text for row in over_source.rows}["joint"] == "+10.0 [+10.0, +10.0] ▲"
    flagged = {row[0].text: [cell.text for cell in row[2:]] for row in negative.rows}
    assert flagged["wild"] == ["–", "target_only and source_only"] and flagged["joint"] == ["–", "target_only"]
    assert "stratified bootstrap" in sheet.notes[1] and "a 9, b 8" in sheet.notes[0]


def test_a_row_that_is_not_swept_counts_at_every_value(shelf: Shelf) -> None:
    shelf.put("flat", 0, [[0.60, 0.70], [0.62, 0.68]], "uda", "dann")
    frame = build_curve(shelf, "toy").frame().set_index(["strategy", "at"])
    assert list(frame.loc["flat"]["mean"]) == pytest.approx([0.65, 0.65])
    assert bool(frame.loc[("flat", 10), "negative_target"]) and not frame.loc[("flat", 1), "negative_target"]


def test_an_incomplete_point_is_a_gap_and_is_counted(shelf: Shelf) -> None:
    shelf.put("torn", 1, [[0.6, math.nan], [0.6, 0.7]], "semi_supervised", "mcc")
    shelf.put("torn", 10, [[0.6, 0.7], [0.6, 0.7]], "semi_supervised", "mcc")
    curve = build_curve(shelf, "toy")
    shown = next(row for row in curve.sheet().blocks[0].rows if row[0].text == "torn")
    assert [cell.text for cell in shown[2:]] == ["–", "65.0 ± 0.0"]
    assert curve.notes[-1] == "1 incomplete points are left out."


def test_without_a_target_only_row_there_are_gains_over_source_only_alone() -> None:
    shelf = Shelf("fraction").put("source_only", 0, [[0.5, 0.5], [0.5, 0.5]], "uda")
    shelf.put("probe", 0.15, [[0.6, 0.6], [0.6, 0.6]], "supervised", "linear_probe")
    shelf.put("probe", 1, [[0.7, 0.7], [0.7, 0.7]], "supervised", "linear_probe")
    curve = build_curve(shelf, "toy")
    assert (curve.source, curve.target) == ("source_only", "")
    assert curve.sheet().header[2:] == ("15%", "100%")
    assert [block.title for block in curve.sheet().blocks][1:] == [
        "Gain over source_only in points, 95 %", "Negative transfer: the interval lies below …",
    ]  # fmt: skip
    assert curve.sheet().blocks[-1].rows[0][0].text == "none"


def test_one_split_has_gains_without_intervals_and_without_flags() -> None:
    shelf = Shelf().put("source_only", 3, [[0.9, 0.9]], "uda").put("joint", 3, [[0.5, 0.5]], "semi_supervised")
    curve = build_curve(shelf, "toy")
    line = curve.frame().set_index("strategy").loc["joint"]
    assert line["over_source"] == pytest.approx(-0.4) and math.isnan(line["over_source_low"])
    assert not line["negative_source"]
    assert curve.sheet().blocks[1].rows[0][2].text == "−40.0"


def test_a_suite_without_a_sweep_says_what_to_add() -> None:
    with pytest.raises(DalibError, match=r"toy sweeps nothing, so there is no curve; add \[sweep\]"):
        build_curve(Shelf(""), "toy")


@pytest.mark.parametrize("format", [name for name in FORMATS.names() if name != "csv"])
def test_every_format_holds_all_sections(shelf: Shelf, format: str) -> None:
    text = " ".join(render(build_curve(shelf, "toy"), format).split())
    for word in ("Gain over", "Negative transfer", "joint", "65.0"):
        assert word in text


def test_the_csv_loads_files_are_written_and_the_figure_is_a_picture(shelf: Shelf, tmp_path: Path) -> None:
    curve = build_curve(shelf, "toy")
    frame = pd.read_csv(io.StringIO(render(curve, "csv")))
    assert tuple(frame.columns) == COLUMNS and len(frame) == 8
    assert len(write_report(curve, tmp_path, "toy.curve", ["md", "csv", "latex", "html"])) == 4
    assert draw_curve(curve, tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    svg = draw_curve(curve, tmp_path / "c.svg").read_text()
    assert "</svg>" in svg and draw_curve(curve, tmp_path / "again.svg").read_text() == svg


def test_the_command_line_prints_and_draws_the_curve(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dalib.cli import main

    monkeypatch.setattr("dalib.report.reports.open_records", lambda *_: (shelf, "toy"))
    assert main(["table", "toy", "--curve", "--format", "md"]) == 0
    assert "Gain over target" in capsys.readouterr().out
    assert main(["table", "toy", "--curve", "--plot", str(tmp_path / "c.svg")]) == 0
    assert (tmp_path / "c.svg").exists()
    assert main(["table", "toy", "--curve", "--published"]) == 2
    assert "leave out --only and --published" in capsys.readouterr().err
