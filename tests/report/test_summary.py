"""The summary: selected beside last and oracle, and what the differences to the baseline are worth."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest

from dalib.core.errors import DalibError
from dalib.core.registry import FORMATS
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, ProtocolSpec, RunSpec
from dalib.report.render import render, write_report
from dalib.report.statistics import difference_interval
from dalib.report.summary import COLUMNS, build_summary

TASKS = ("a->b", "b->a", "a->c", "c->a", "b->c", "c->b")
LEVEL = {"source_only": 0.6, "mmd": 0.7, "dann": 0.5, "target": 0.9}


class Shelf:
    """Six tasks, three seeds; accuracy = level + noise; the second of two points is worse and scores better."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        runs = []
        rng = np.random.default_rng(0)
        for label, level in LEVEL.items():
            for task in TASKS:
                for seed in range(3):
                    value = level + 0.01 * rng.standard_normal()
                    source, _, target = task.partition("->")
                    spec = RunSpec(
                        data=DataSpec(dataset="toy"), source=source, target=target, algorithm=label, seed=seed,
                        protocol=ProtocolSpec(name="supervised" if label == "target" else "uda"),
                    )  # fmt: skip
                    points = [(5, value, 0.8), (10, value - 0.1, 0.9)]
                    found = [
                        Candidate(step=s, metrics={"target_accuracy": a}, scores={"source_accuracy": v})
                        for s, a, v in points
                    ]
                    self.records[spec.key] = Record(key=spec.key, spec=spec, status="ok", candidates=found)
                    runs.append(Cell(label=label, task=task, seed=seed, key=spec.key))
        self._manifest = Manifest(name="toy", title="Toy", baseline="source_only", dataset="toy", runs=runs)

    def manifest(self, name: str) -> Manifest:
        return self._manifest

    def get(self, key: str) -> Record:
        return self.records[key]

    def __contains__(self, key: str) -> bool:
        return key in self.records


def points_of(value: float) -> list[Candidate]:
    return [Candidate(step=10, metrics={"target_accuracy": value}, scores={"source_accuracy": 0.9})]


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf()


def test_regret_is_oracle_minus_selected_and_last_is_the_end(shelf: Shelf) -> None:
    frame = build_summary(shelf, "toy", "source_accuracy").frame().set_index("label")
    assert sorted(frame.reset_index().columns) == sorted(COLUMNS)
    np.testing.assert_allclose(frame["selected"], frame["last"], atol=1e-6)
    np.testing.assert_allclose(frame["regret"], 0.1, atol=1e-5)
    np.testing.assert_allclose(frame["oracle"] - frame["selected"], frame["regret"], atol=2e-6)


def test_differences_ranks_and_flags_are_those_of_the_scores(shelf: Shelf) -> None:
    frame = build_summary(shelf, "toy", "oracle").frame().set_index("label")

    def scores(label: str) -> np.ndarray:
        runs = [r for r in shelf.records.values() if r.spec.algorithm == label]
        values = {(r.spec.seed, r.spec.task): r.candidates[0].metrics["target_accuracy"] for r in runs}
        return np.array([[values[seed, task] for task in TASKS] for seed in range(3)])

    expected = difference_interval(scores("mmd"), scores("source_only"))
    assert frame.loc["mmd", "difference"] == pytest.approx((scores("mmd") - scores("source_only")).mean(), abs=1e-6)
    assert frame.loc["mmd", "difference_low"] == pytest.approx(expected.low, abs=1e-6)
    assert list(frame.loc[["mmd", "source_only", "dann"], "rank"]) == [1, 2, 3]
    assert bool(frame.loc["mmd", "better"]) and bool(frame.loc["dann", "negative_transfer"])
    assert frame.loc["mmd", "improvement"] == 1.0
    assert frame.loc["mmd", "p"] == frame.loc["mmd", "smallest_p"] == pytest.approx(2 / 2**6)
    assert frame.loc["mmd", "p_holm"] == pytest.approx(2 * 2 / 2**6)


def test_rows_with_target_labels_stand_apart_and_are_not_ranked(shelf: Shelf) -> None:
    summary = build_summary(shelf, "toy", "last")
    frame = summary.frame().set_index("label")
    assert frame.loc["target", "kind"] == "reference" and math.isnan(frame.loc["target", "rank"])
    assert [block.title for block in summary.sheet().blocks] == ["", "Uses target labels (reference)"]


@pytest.mark.parametrize("format", [name for name in FORMATS.names() if name != "csv"])
def test_every_format_names_rule_blocks_and_smallest_p(shelf: Shelf, format: str) -> None:
    text = " ".join(render(build_summary(shelf, "toy", "source_accuracy"), format).split())
    for word in ("Regret", "mmd", "allow no p"):
        assert word in text
    assert "▼" in text or "downarrow" in text


def test_the_csv_loads_and_files_are_written(shelf: Shelf, tmp_path) -> None:
    summary = build_summary(shelf, "toy", "source_accuracy")
    frame = pd.read_csv(io.StringIO(render(summary, "csv")))
    assert tuple(frame.columns) == COLUMNS and len(frame) == 4
    names = [path.name for path in write_report(summary, tmp_path, "toy.summary")]
    assert names == ["toy.summary.csv", "toy.summary.md"]


def test_an_incomplete_row_is_left_out_and_counted(shelf: Shelf) -> None:
    few = Shelf()
    gone = next(key for key, r in few.records.items() if r.spec.algorithm == "dann")
    del few.records[gone]
    summary = build_summary(few, "toy", "last")
    assert "dann" not in set(summary.frame()["label"])
    assert any("1 incomplete rows" in note for note in summary.notes)


@pytest.mark.parametrize("baseline", ["source_only", "target", ""])
def test_without_a_baseline_intervals_and_ranks_stay(shelf: Shelf, baseline: str) -> None:
    """It has failed once, it uses target labels, or there is none: nothing else hangs on it."""
    few = Shelf()
    few._manifest = few._manifest.model_copy(update={"baseline": baseline})
    if baseline == "source_only":
        del few.records[next(key for key, r in few.records.items() if r.spec.algorithm == "source_only")]
    summary, whole = build_summary(few, "toy", "last"), build_summary(shelf, "toy", "last")
    found, expected = summary.frame().set_index("label"), whole.frame().set_index("label")
    assert found.loc["mmd", ["low", "high", "iqm"]].tolist() == expected.loc["mmd", ["low", "high", "iqm"]].tolist()
    assert found.loc[["mmd", "dann"], "rank"].tolist() == [1, 2 if baseline == "source_only" else 3]
    assert found["difference"].isna().all() and not found["better"].any()
    assert "vs baseline" in summary.sheet().header and "P(better)" not in summary.notes[1]


def test_a_row_of_other_seeds_on_one_task_says_so(shelf: Shelf) -> None:
    more = Shelf()
    spec = next(r.spec for r in more.records.values() if r.spec.algorithm == "mmd").model_copy(update={"seed": 3})
    more.records[spec.key] = Record(key=spec.key, spec=spec, status="ok", candidates=points_of(0.7))
    more._manifest.runs.append(Cell(label="mmd", task=spec.task, seed=3, key=spec.key))
    summary = build_summary(more, "toy", "last")
    row = next(line for line in summary.sheet().blocks[0].rows if line[0].text == "mmd")
    assert row[-1].text == "uneven × 6" and row[3].text == "–"
    assert any("n: uneven" in note and note.endswith(": 1.") for note in summary.notes)


def test_an_unknown_rule_is_one_line(shelf: Shelf) -> None:
    with pytest.raises(DalibError, match="no selection rule named 'sorce_accuracy'; did you mean"):
        build_summary(shelf, "toy", "sorce_accuracy")
