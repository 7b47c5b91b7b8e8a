"""Measures against reached accuracies: tau by hand, what a first choice costs, and what is missing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import weightedtau

from dalib.core.errors import DalibError
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.report.formats.md import render_markdown
from dalib.report.rank_study import draw_study, read_reached, study_frame, study_sheets

REACHED = {"good": (0.9, 0.95), "fair": (0.7, 0.97), "poor": (0.4, 0.5)}
SCORES = {"right": (3.0, 2.0, 1.0), "wrong": (1.0, 2.0, 3.0), "partly": (1.0, math.nan, math.nan)}


class Records:
    """Two seeds of `probe` and `tune` runs; the second seed is two points better."""

    def __init__(self, without: str = "") -> None:
        cells, self.found = [], {}
        for model, pair in REACHED.items():
            for way, value in zip(("probe", "tune"), pair, strict=True):
                for seed in (0, 1):
                    spec = RunSpec(
                        data=DataSpec(dataset="toy"), source="a", target="b", algorithm=f"{way}_{model}", seed=seed
                    )
                    metrics = {"target_accuracy": value + 0.02 * seed}
                    done = [Candidate(step=1, metrics=metrics, scores={})]
                    failed = f"{way} {model}" == without
                    self.found[spec.key] = Record(
                        key=spec.key, spec=spec, status="failed" if failed else "ok", candidates=[] if failed else done
                    )
                    cells.append(Cell(label=f"{way} {model}", task="a->b", seed=seed, key=spec.key))
        self.cells = cells

    def manifest(self, name: str, /) -> Manifest:
        return Manifest(
            name=name, title="Toy: three networks", baseline="", metric="target_accuracy", note="", partial=False,
            dataset="toy", counts={}, created="2026-01-01T00:00:00+00:00", sha256="0", runs=self.cells,
        )  # fmt: skip

    def get(self, key: str, /) -> Record:
        return self.found[key]

    def __contains__(self, key: str, /) -> bool:
        return key in self.found


def scores() -> pd.DataFrame:
    lines = [
        ("toy", model, seed, measure, value + 0.1 * seed)
        for measure, values in SCORES.items()
        for model, value in zip(REACHED, values, strict=True)
        for seed in (0, 1)
    ]
    return pd.DataFrame(lines, columns=["suite", "model", "seed", "measure", "score"])


def test_accuracies_and_scores_are_means_over_seeds() -> None:
    found = read_reached(Records(), "toy", scores())
    assert (found.title, found.models) == ("Toy", ("good", "fair", "poor"))
    np.testing.assert_allclose(found.accuracy["probe"], [91, 71, 41])
    np.testing.assert_allclose(found.accuracy["tune"], [96, 98, 51])
    right = found.measures.index("right")
    np.testing.assert_allclose(found.scores[:, right], [3.05, 2.05, 1.05])


def test_tau_is_scipys_and_a_first_choice_costs_its_distance_to_the_best() -> None:
    found = read_reached(Records(), "toy", scores())
    tau, lost = (
        {w: dict(zip(found.measures, f(w), strict=True)) for w in ("probe", "tune")} for f in (found.tau, found.lost)
    )
    assert (tau["probe"]["right"], tau["probe"]["wrong"]) == pytest.approx((1, -1))
    assert tau["tune"]["right"] == pytest.approx(weightedtau([3, 2, 1], [96, 98, 51]).statistic)
    assert math.isnan(tau["probe"]["partly"]) and math.isnan(lost["probe"]["partly"])
    assert (lost["probe"]["right"], lost["probe"]["wrong"]) == pytest.approx((0, 50))
    assert (lost["tune"]["right"], lost["tune"]["wrong"]) == pytest.approx((2, 47))


def test_a_failed_run_leaves_its_network_out() -> None:
    found = read_reached(Records(without="tune good"), "toy", scores())
    assert math.isnan(found.accuracy["tune"][0])
    assert dict(zip(found.measures, found.tau("tune"), strict=True))["right"] == 1.0


def test_sheets_frame_and_figure_hold_every_number(tmp_path: Path) -> None:
    targets = [read_reached(Records(), "toy", scores())] * 2
    tau, reached = (render_markdown(sheet) for sheet in study_sheets(targets))
    assert "| right " in tau and "+1.00" in tau and "n/a" in tau and "47.0" in tau
    assert "(accuracy after probing)" in tau and "1 = Toy; 2 = Toy" in tau
    assert "96.0" in reached and "41.0" in reached
    frame = study_frame(targets)
    assert set(frame["quantity"]) == {"tau", "lost", "accuracy"} and len(frame) == 2 * 2 * 9
    first, second = (draw_study(targets, tmp_path / f"{i}.svg").read_bytes() for i in "ab")
    assert first == second and b"<svg" in first


def test_a_suite_that_is_no_such_study_and_missing_scores_are_clear_lines() -> None:
    strange = Records()
    strange.cells = [cell.model_copy(update={"label": "dann"}) for cell in strange.cells]
    with pytest.raises(DalibError, match="has no rows called 'probe MODEL'"):
        read_reached(strange, "toy", scores())
    with pytest.raises(DalibError, match="no scores of poor; score them again"):
        read_reached(Records(), "toy", scores().query("model != 'poor'"))
