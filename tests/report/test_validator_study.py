"""Which validator selects well: a world in which one is right, one is random, one loves collapsed models."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from dalib.core.errors import DalibError
from dalib.core.registry import FORMATS
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.report.render import render, write_report
from dalib.report.validators import COLUMNS, build_study, draw_study

TASKS, METHODS, SEEDS, DRAWS, POINTS = ("a->b", "b->a", "a->c"), ("mmd", "dann"), 3, 4, 5


class Shelf:
    """`good` = accuracy, `backward` = minus accuracy, `collapse` is highest for a collapsed model of accuracy 0.1."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.records: dict[str, Record] = {}
        runs = []
        for task in TASKS:
            for method in METHODS:
                for seed in range(SEEDS):
                    for draw in range(DRAWS):
                        source, _, target = task.partition("->")
                        spec = RunSpec(
                            data=DataSpec(dataset="toy"), source=source, target=target, algorithm=method, seed=seed,
                            hparams={"weight": float(draw)},
                        )  # fmt: skip
                        points = [self.point(rng, step, draw) for step in range(POINTS)]
                        self.records[spec.key] = Record(key=spec.key, spec=spec, status="ok", candidates=points)
                        runs.append(Cell(label=method, task=task, seed=seed, key=spec.key, draw=draw))
        self._manifest = Manifest(name="toy", title="Toy", dataset="toy", runs=runs)

    @staticmethod
    def point(rng: np.random.Generator, step: int, draw: int) -> Candidate:
        collapsed = step == 2 and draw == 1
        value = 0.1 if collapsed else float(rng.uniform(0.4, 0.9))
        scores = {"good": value, "backward": -value, "collapse": 5.0 if collapsed else float(rng.uniform())}
        metrics = {"target_accuracy": value, "target_effective_classes": 0.1 if collapsed else 1.0}
        return Candidate(step=step, metrics=metrics, scores={**scores, "oracle": value})

    def manifest(self, name: str) -> Manifest:
        return self._manifest

    def get(self, key: str) -> Record:
        return self.records[key]

    def __contains__(self, key: str) -> bool:
        return key in self.records


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="module")
def frame(shelf: Shelf):
    return build_study(shelf, "toy").frame().set_index("rule")


def accuracies(shelf: Shelf, **wanted) -> np.ndarray:
    runs = [r for r in shelf.records.values() if all(getattr(r.spec, k) == v for k, v in wanted.items())]
    return np.array([[c.metrics["target_accuracy"] for c in r.candidates] for r in runs])


def test_a_perfect_validator_has_no_regret_and_a_backward_one_the_most(shelf: Shelf, frame) -> None:
    blocks = [accuracies(shelf, task=t, algorithm=m, seed=s) for t in TASKS for m in METHODS for s in range(SEEDS)]
    best = np.mean([b.max() for b in blocks])
    assert frame.loc["good", "accuracy"] == pytest.approx(best, abs=1e-6)
    assert frame.loc["good", ["regret", "across_regret"]].tolist() == [0, 0]
    assert frame.loc["good", "correlation"] == pytest.approx(1) and frame.loc["backward", "correlation"] == -1
    guarded = np.mean([np.sort(b.ravel())[1] for b in blocks])
    assert frame.loc["backward", "accuracy"] == pytest.approx(guarded, abs=1e-6)
    assert frame.loc["backward", "unguarded_accuracy"] == pytest.approx(0.1, abs=1e-6)


def test_last_is_the_end_of_the_first_draw(shelf: Shelf, frame) -> None:
    ends = [
        r.candidates[-1].metrics["target_accuracy"] for r in shelf.records.values() if r.spec.hparams["weight"] == 0.0
    ]
    assert frame.loc["last", "accuracy"] == pytest.approx(np.mean(ends), abs=1e-6)


def test_the_guard_saves_a_validator_that_loves_collapsed_models(frame) -> None:
    row = frame.loc["collapse"]
    assert row["collapsed"] == 1.0 and row["unguarded_accuracy"] == pytest.approx(0.1)
    assert row["accuracy"] > 0.5
    assert frame.loc["good", "collapsed"] == 0


def test_correlations_are_spearmans_per_block(shelf: Shelf, frame) -> None:
    values = []
    for task in TASKS:
        for method in METHODS:
            for seed in range(SEEDS):
                runs = [
                    r for r in shelf.records.values()
                    if (r.spec.task, r.spec.algorithm, r.spec.seed) == (task, method, seed)
                ]  # fmt: skip
                points = [c for r in runs for c in r.candidates]
                pair = [c.scores["collapse"] for c in points], [c.metrics["target_accuracy"] for c in points]
                values.append(spearmanr(*pair).statistic)
    assert frame.loc["collapse", "correlation"] == pytest.approx(np.mean(values), abs=1e-6)


def test_choosing_the_method_too_reaches_the_best_of_both(shelf: Shelf, frame) -> None:
    best = np.mean([accuracies(shelf, task=t, seed=s).max() for t in TASKS for s in range(SEEDS)])
    assert frame.loc["good", "across_accuracy"] == pytest.approx(best, abs=1e-6)


def test_formats_files_and_figure(shelf: Shelf, tmp_path: Path) -> None:
    study = build_study(shelf, "toy")
    assert tuple(study.frame().columns) == COLUMNS
    assert study.rows[0]["rule"] == "oracle" and study.rows[-1]["rule"] == "last"
    for format in [name for name in FORMATS.names() if name != "csv"]:
        assert "backward" in render(study, format)
    assert len(write_report(study, tmp_path, "toy.validators", ["md", "csv", "latex", "html"])) == 4
    assert draw_study(study, tmp_path / "toy.png").stat().st_size > 10_000


def test_a_suite_without_candidates_is_one_line() -> None:
    empty = Shelf()
    empty.records.clear()
    with pytest.raises(DalibError, match="no successful run with several candidates"):
        build_study(empty, "toy")


def test_a_failed_run_as_it_stands_leaves_its_block_out_and_another_draw_its_candidates(shelf: Shelf) -> None:
    def fail(method: str, draw: int) -> None:
        cell = next(
            c for c in shelf.manifest("toy").runs if (c.label, c.task, c.seed, c.draw) == (method, "a->b", 0, draw)
        )
        shelf.records[cell.key] = shelf.records[cell.key].model_copy(update={"status": "failed", "candidates": []})

    every = build_study(shelf, "toy")
    assert "20 candidates each (points × settings: 5 × 4)" in every.notes[0]
    fail("mmd", 2)
    fewer = build_study(shelf, "toy")
    assert "15 to 20 candidates each" in fewer.notes[0]
    last = [row for row in every.rows if row["rule"] == "last"]
    assert [row["accuracy"] for row in fewer.rows if row["rule"] == "last"] == [row["accuracy"] for row in last]
    fail("mmd", 0)
    found = {str(row["rule"]): float(row["accuracy"]) for row in build_study(shelf, "toy").rows}
    kept = [c for c in shelf.manifest("toy").runs if c.draw == 0 and (c.label, c.task) != ("mmd", "a->b")]
    ends = [shelf.records[c.key].candidates[-1].metrics["target_accuracy"] for c in kept]
    assert found["last"] == pytest.approx(np.mean(ends))


def test_a_metric_that_no_run_has_is_one_line(shelf: Shelf) -> None:
    with pytest.raises(DalibError, match="no metric named 'target_h_score'"):
        build_study(shelf, "toy", "target_h_score")


@pytest.mark.filterwarnings("error")
def test_two_points_a_run_have_no_correlation_and_nobody_is_warned(shelf: Shelf) -> None:
    """A rank correlation of two points says nothing."""
    manifest = shelf.manifest("toy")
    runs = [cell for cell in manifest.runs if cell.draw == 0 and cell.label == "mmd"]
    shelf._manifest = manifest.model_copy(update={"runs": runs})
    for cell in runs:
        record = shelf.records[cell.key]
        shelf.records[cell.key] = record.model_copy(update={"candidates": record.candidates[:2]})
    good = next(row for row in build_study(shelf, "toy").rows if row["rule"] == "good")
    assert math.isnan(float(good["correlation"])) and good["regret"] == 0
