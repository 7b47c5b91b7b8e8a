"""Tables follow the reported metric: the oracle is its best point, and where lower is better everything turns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dalib.records.archive import Archive
from dalib.records.manifest import Manifest
from dalib.records.record import Candidate, Record
from dalib.report.costs import build_costs
from dalib.report.curve import build_curve
from dalib.report.layout import lay_out
from dalib.report.render import render
from dalib.report.select import rules
from dalib.report.summary import build_summary
from dalib.report.table import build_table
from dalib.report.validators import build_study

RECORDS = Path(__file__).parents[2] / "results" / "records"


class Mirror:
    """Committed records with `target_rmse` = 10 (1 - target_accuracy): what is best stays best."""

    def __init__(self, file: str) -> None:
        self.archive = Archive(RECORDS / file)

    def manifest(self, name: str) -> Manifest:
        return self.archive.manifest(name)

    def __contains__(self, key: str) -> bool:
        return key in self.archive

    def get(self, key: str) -> Record:
        record = self.archive.get(key)
        return record.model_copy(update={"candidates": [self.turn(c) for c in record.candidates]})

    @staticmethod
    def turn(candidate: Candidate) -> Candidate:
        error = 10 * (1 - candidate.metrics["target_accuracy"])
        return candidate.model_copy(update={"metrics": candidate.metrics | {"target_rmse": error}})


@pytest.fixture(scope="module")
def office() -> Mirror:
    return Mirror("office31_subset.jsonl.gz")


@pytest.mark.parametrize(
    "file", ["office31_subset.jsonl.gz", "open_set.jsonl", "partial.jsonl", "what_to_transfer.jsonl"]
)
def test_regret_is_never_negative_whatever_is_reported(file: str) -> None:
    source, suite = Archive(RECORDS / file), file.partition(".")[0]
    held = [source.get(key) for key in source.manifest(suite).keys]
    metrics = {name for record in held for c in record.candidates for name in c.metrics if name.startswith("target_")}
    assert len(metrics) >= 4
    for metric in metrics:
        for rule in {"last", "entropy"} & set(rules(held)):
            regret = build_summary(source, suite, rule, metric).frame()["regret"].dropna()
            assert (regret >= 0).all(), (metric, rule)


@pytest.mark.parametrize(("suite", "metric"), [("office31_subset", "target_macro_f1"), ("open_set", "target_h_score")])
def test_the_oracle_is_the_best_point_of_the_reported_metric(suite: str, metric: str) -> None:
    source = Archive(next(RECORDS.glob(f"{suite}.jsonl*")))
    table = build_table(source, suite, "oracle", metric)
    for run in source.manifest(suite).runs:
        row = next(r for r in (*table.rows, *table.references) if r.label == run.label)
        best = max(c.metrics[metric] for c in source.get(run.key).candidates)
        assert row.cells[run.task].values[run.seed] == best
    assert f"best point by {metric} (TARGET TEST LABELS)" in table.caption


def test_a_table_of_an_error_ranks_and_marks_as_that_of_accuracy(office: Mirror) -> None:
    accuracy, error = (build_table(office, "office31_subset", "last", m) for m in ("target_accuracy", "target_rmse"))
    for a, b in zip(accuracy.rows, error.rows, strict=True):
        assert (a.label, a.rank) == (b.label, b.rank)
        np.testing.assert_allclose(b.gain, -10 * a.gain, atol=1e-9)
    for a, b in zip(lay_out(accuracy)[1][0].rows, lay_out(error)[1][0].rows, strict=True):
        assert ("▼" in a[-2].text) == ("▼" in b[-2].text)
    best = min(error.rows, key=lambda row: row.average.mean)
    column = lay_out(error)[0].index("Average")
    bold = [row[0].text for row in lay_out(error)[1][0].rows if row[column].bold]
    assert bold == [best.label]
    assert "Target rmse, lower is better on office31" in error.caption and "▼: average above" in error.caption


def test_a_summary_of_an_error_turns_differences_and_keeps_what_they_are_worth(office: Mirror) -> None:
    accuracy, error = (
        build_summary(office, "office31_subset", "ensemble", m) for m in ("target_accuracy", "target_rmse")
    )
    a, b = accuracy.frame(), error.frame()
    for same in ("label", "rank", "improvement", "p", "p_holm", "better", "negative_transfer"):
        assert a[same].equals(b[same]), same
    assert a["better"].any() and a["negative_transfer"].any()
    np.testing.assert_allclose(b["regret"], 10 * a["regret"], atol=2e-5)
    np.testing.assert_allclose(b["difference"], -10 * a["difference"], atol=2e-5)
    np.testing.assert_allclose(b["low"], 10 * (1 - a["high"]), atol=2e-5)
    assert "regret = selected − oracle" in render(error, "md")


def test_a_study_of_an_error_orders_the_validators_as_that_of_accuracy(office: Mirror) -> None:
    accuracy, error = (build_study(office, "office31_subset", m).frame() for m in ("target_accuracy", "target_rmse"))
    assert accuracy["rule"].tolist() == error["rule"].tolist()
    for name in ("regret", "across_regret"):
        np.testing.assert_allclose(error[name], 10 * accuracy[name], atol=2e-5)
    np.testing.assert_allclose(error["correlation"], accuracy["correlation"], atol=2e-6)
    assert accuracy["collapsed"].equals(error["collapsed"])


def test_a_curve_and_costs_of_an_error_turn_too() -> None:
    source = Mirror("few_labels.jsonl.gz")
    accuracy, error = (build_curve(source, "few_labels", "last", m) for m in ("target_accuracy", "target_rmse"))
    a, b = accuracy.frame(), error.frame()
    for kind in ("source", "target"):
        assert a[f"negative_{kind}"].equals(b[f"negative_{kind}"])
        np.testing.assert_allclose(b[f"over_{kind}"], -10 * a[f"over_{kind}"], atol=2e-5)
    assert a["negative_target"].any()
    titles = [block.title.partition(",")[0] for block in error.sheet().blocks]
    assert titles == ["Rmse", "Gain over target_only in its own unit", "Gain over source_only in its own unit",
                      "Negative transfer: the interval lies above …"]  # fmt: skip
    marks = [
        [[cell.text[-1] for cell in line if cell.text[-1] in "▼▲"] for line in curve.sheet().blocks[1].rows]
        for curve in (accuracy, error)
    ]
    assert marks[0] == marks[1] and any(marks[0])
    costs = build_costs(source, "few_labels", "target_rmse")
    assert dataclasses.asdict(costs)["rows"][0]["last"] > 1
    assert costs.sheet().blocks[0].rows[0][1].text == costs.scale.show(float(costs.rows[0]["last"]))
