"""The summary with the accuracy that was to be expected without labels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.bench.suite import Suite
from dalib.core.errors import DalibError
from dalib.core.types import Outputs
from dalib.records.store import Store
from dalib.report.points import group_runs
from dalib.report.render import render
from dalib.report.reports import table
from dalib.scoring.expected import expected_accuracy
from dalib.scoring.rescore import rescore
from tests.support.report_shelf import Shelf, toy_shelf


def with_expectations() -> Shelf:
    """`toy_shelf`; mmd expects (value, value - 0.1, value + 0.1) with value = accuracy + 0.05 * (1 + 2 * seed)."""
    shelf = toy_shelf()
    for run in shelf.toy.runs:
        if run.label == "mmd":
            for point in shelf.records[run.key].candidates:
                value = point.metrics["target_accuracy"] + 0.05 * (1 + 2 * run.seed)
                point.expected = (value, value - 0.1, value + 0.1)
    return shelf


def test_expected_and_measured_stand_side_by_side() -> None:
    summary = table("toy", "summary", select="last", records=with_expectations(), expected=True)
    frame = summary.frame().set_index("label")
    mmd = frame.loc["mmd"]
    assert (mmd["measured"], mmd["expected"]) == pytest.approx((0.615, 0.715))
    assert (mmd["expected_low"], mmd["expected_high"]) == pytest.approx((0.615, 0.815))
    assert (mmd["held"], mmd["n_expected"]) == (2, 4)  # off by 0.05 inside, by 0.15 outside
    assert frame.loc["dann", ["expected", "measured"]].isna().all()
    text = render(summary, "md")
    assert "71.5 | 61.5 … 81.5 | 61.5 | 2/4" in " ".join(text.split()) and "whose own interval holds it" in text


def test_without_being_asked_the_summary_is_what_it_was() -> None:
    plain = table("toy", "summary", select="last", records=toy_shelf())
    more = table("toy", "summary", select="last", records=with_expectations())
    assert render(plain, "csv") == render(more, "csv") and "Expected" not in render(more, "md")


def test_without_an_expectation_or_a_summary_it_is_refused() -> None:
    with pytest.raises(DalibError, match="dalib rescore"):
        table("toy", "summary", select="last", records=toy_shelf(), expected=True)
    with pytest.raises(DalibError, match="study='summary'"):
        table("toy", select="last", records=with_expectations(), expected=True)


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> tuple[Store, Suite]:
    """A probabilistic row and one whose scores are distances, with held-out rows enough."""
    folder: Path = tmp_path_factory.mktemp("expected")
    rng, y = np.random.default_rng(0), np.arange(90) % 3
    rows = {f"{d}_x": rng.normal(size=(90, 4)) + 1.5 * np.eye(3, 4)[y] + shift for d, shift in (("a", 0.0), ("b", 0.3))}
    np.savez(folder / "toy.npz", **{k: v.astype(np.float32) for k, v in rows.items()}, a_y=y, b_y=y)
    suite = Suite.model_validate(
        {
            "name": "expects", "dataset": f"features:{folder / 'toy.npz'}", "tasks": ["a->b"], "seeds": [0],
            "protocol": {"validation": 0.3}, "algorithms": {"linear_probe": {}, "nearest_neighbour": {}},
        }
    )  # fmt: skip
    run_suite(suite, store=folder / "store", progress=LineProgress(io.StringIO()))
    return Store(folder / "store"), suite


def test_a_run_keeps_what_its_outputs_let_expect_and_rescoring_adds_it(ran) -> None:
    store, suite = ran
    manifest = store.manifest(suite.name)
    records = {run.label: store.get(run.key) for run in manifest.runs}
    assert all(c.expected is None for c in records["nearest_neighbour"].candidates)
    record = records["linear_probe"]
    arrays, point = store.predictions(record.key), record.candidates[-1]
    sides = {}
    for side in ("source", "target"):
        logits = torch.from_numpy(arrays[f"step_{point.step}_{side}"].astype(np.float32))
        sides[side] = Outputs(logits[:, :0], logits, torch.from_numpy(arrays[f"{side}_y"].astype(np.int64)))
    told = expected_accuracy(sides["source"], sides["target"])
    assert told is not None and point.expected == pytest.approx((told.value, told.low, told.high), abs=0.02)
    old = record.model_copy(deep=True)
    for candidate in old.candidates:
        candidate.expected = None
    store.update(old)
    rescore(store, manifest)
    assert store.get(record.key).candidates[-1].expected == pytest.approx((told.value, told.low, told.high), abs=1e-6)
    assert set(group_runs(manifest, {})) == {"linear_probe", "nearest_neighbour"}


def test_it_is_that_of_the_point_that_the_rule_chooses_and_the_ends_of_an_interval_are_inside() -> None:
    shelf = toy_shelf()
    for run in shelf.toy.runs:
        record = shelf.records[run.key]
        (point,) = record.candidates
        true = point.metrics["target_accuracy"]
        point.scores["source_accuracy"], point.expected = 0.1, (0.9, 0.8, 0.95)
        early = point.model_copy(deep=True)
        early.step, early.scores["source_accuracy"], early.expected = point.step - 1, 0.9, (true, true, true)
        record.candidates = [early, point]
    last, chosen = (
        table("toy", "summary", select=rule, records=shelf, expected=True).frame().set_index("label").loc["mmd"]
        for rule in ("last", "source_accuracy")
    )
    assert last["expected"] == pytest.approx(0.9) and last["held"] == 0
    assert chosen["expected"] == pytest.approx(chosen["measured"]) == pytest.approx(0.615) and chosen["held"] == 4
