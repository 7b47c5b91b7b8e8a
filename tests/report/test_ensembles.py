"""Rows computed afterwards: the mean of the probabilities that rows of a suite gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from dalib.cli.table import print_table
from dalib.core.errors import DalibError
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Failure, Record
from dalib.records.spec import DataSpec, ProtocolSpec, RunSpec
from dalib.records.store import Store
from dalib.report.ensembles import read_ensemble
from dalib.report.reports import table
from dalib.train.config import TrainConfig

TASKS = ("a->b", "b->a")
Y = np.repeat(np.arange(3), 20)


def make_store(folder: Path, change: dict[str, dict[str, object]] | None = None) -> Store:
    """Rows of two tasks and seeds whose outputs are drawn; two points each, of which the validator likes the first."""
    store, rng = Store(folder), np.random.default_rng(3)
    manifest = Manifest(name="toy", title="Toy", dataset="toy", baseline="source_only")
    for steps, label in enumerate(("source_only", "dann", "mcc", "dann + prior"), 100):
        how = (change or {}).get(label, {})
        for task in TASKS:
            for seed in range(2):
                source, _, target = task.partition("->")
                spec = RunSpec(
                    data=DataSpec(dataset="toy", fingerprint=str(how.get("data", "f"))), source=source, target=target,
                    seed=seed, algorithm=str(how.get("algorithm", "source_only")), train=TrainConfig(steps=steps),
                    protocol=ProtocolSpec(validation=float(how.get("validation", 0.1))),  # type: ignore[arg-type]
                )  # fmt: skip
                y = Y if "y" not in how else np.asarray(how["y"])
                arrays = {"target_y": y.astype(np.int16), "source_y": Y[:6].astype(np.int16)}
                points = []
                for step, score in ((5, 0.9), (10, 0.1)):
                    logits = rng.standard_normal((len(y), 3)) + 1.2 * np.eye(3)[y]
                    logits[0] = how.get("first", logits[0])
                    arrays[f"step_{step}_target"] = logits.astype(np.float16)
                    arrays[f"step_{step}_source"] = logits[:6].astype(np.float16)
                    right = float((arrays[f"step_{step}_target"].argmax(1) == y).mean()) + float(how.get("off", 0.0))  # type: ignore[arg-type]
                    points.append(
                        Candidate(step=step, metrics={"target_accuracy": right}, scores={"source_accuracy": score})
                    )
                record = Record(key=spec.key, spec=spec, status="ok", candidates=points)
                if how.get("failed") and seed == 1:
                    record = Record(key=spec.key, spec=spec, status="failed", error=Failure(type="E", message="m"))
                store.put(record, None if how.get("bare") else arrays)
                manifest.runs.append(Cell(label=label, task=task, seed=seed, key=spec.key))
    store.write_manifest(manifest)
    return store


def mean_accuracy(store: Store, labels: tuple[str, ...], task: str, seed: int, step: int) -> float:
    runs = [r for r in store.manifest("toy").runs if r.label in labels and (r.task, r.seed) == (task, seed)]
    p = [softmax(store.predictions(r.key)[f"step_{step}_target"].astype(float), axis=1) for r in runs]
    return float((np.mean(p, axis=0).argmax(1) == Y).mean())


@pytest.mark.parametrize(("rule", "step"), [("last", 10), ("source_accuracy", 5)])
def test_an_ensemble_is_the_mean_of_probabilities_for_every_task_and_seed(tmp_path, rule: str, step: int) -> None:
    store = make_store(tmp_path)
    report = table("toy", select=rule, records=store, ensembles={"both": ("dann", "mcc")})
    row = next(row for row in report.rows if row.label == "both")
    single = next(row for row in report.rows if row.label == "dann")
    for task in TASKS:
        expected = {seed: mean_accuracy(store, ("dann", "mcc"), task, seed, step) for seed in range(2)}
        assert row.cells[task].values == pytest.approx(expected, abs=1e-6)
        assert row.cells[task].values != single.cells[task].values
    assert row.algorithm == "mean of dann and mcc" and np.isfinite(row.rank) and np.isfinite(row.gain)
    assert "both of dann and mcc: the mean of their probabilities" in report.caption
    assert ("end of training" in report.caption.split("afterwards")[1]) == (rule == "last")


def test_rows_of_the_suite_stay_what_they_were_and_the_summary_has_the_ensemble(tmp_path) -> None:
    store = make_store(tmp_path)
    plain, more = table("toy", records=store), table("toy", records=store, ensembles={"both": ["dann", "mcc"]})
    cells = {row.label: row.cells for row in plain.rows}
    assert {row.label: row.cells for row in more.rows if row.label != "both"} == cells
    assert "Computed afterwards" not in plain.caption
    summary = table("toy", "summary", records=store, ensembles={"both": ["dann", "mcc"]}).frame().set_index("label")
    row = next(row for row in more.rows if row.label == "both")
    assert summary.loc["both", "last"] == pytest.approx(row.average.mean, abs=1e-6)


def test_a_failed_member_leaves_its_cell_incomplete(tmp_path) -> None:
    report = table("toy", records=make_store(tmp_path, {"mcc": {"failed": True}}), ensembles={"both": ["dann", "mcc"]})
    row = next(row for row in report.rows if row.label == "both")
    assert not row.complete and all((c.n_ok, c.n_failed) == (1, 1) for c in row.cells.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bare": True}, "not stored"),
        ({"data": "g"}, "other data"),
        ({"validation": 0.2}, "validation"),
        ({"y": Y[::-1]}, "other rows"),
        ({"algorithm": "nearest_neighbour"}, "no probabilities"),
        ({"algorithm": "somebodys"}, "--plugin"),
        ({"off": 0.2}, "its record says"),
        ({"off": -0.03}, "its record says"),
        ({"first": np.nan}, "hold nan, or scores beyond half precision"),
        ({"first": (np.inf, 0.0, 1.0)}, "hold nan, or scores beyond half precision"),
    ],
)
def test_what_has_no_mean_is_refused(tmp_path, change: dict[str, object], said: str) -> None:
    store = make_store(tmp_path, {"mcc": change})
    with pytest.raises(DalibError, match=said):
        table("toy", records=store, ensembles={"both": ["dann", "mcc"]})


def test_rows_and_names_are_checked(tmp_path) -> None:
    store = make_store(tmp_path)
    for wrong, said in (
        ({"mcc": ["dann", "source_only"]}, "already"),
        ({"x": ["dann"]}, "two rows"),
        ({"x": ["dann", "dann"]}, "each once"),
        ({"x": ["dann", "mc"]}, "mcc"),
        ({"x": "dann"}, "is no name with rows"),
        ({"x": ["dann", 3]}, "is no name with rows"),
        ({"x": None}, "is no name with rows"),
        ({3: ["dann", "mcc"]}, "is no name with rows"),
        ({" ": ["dann", "mcc"]}, "is no name with rows"),
        ([("x", ["dann", "mcc"])], "is no table of names and rows"),
        ("x=dann+mcc", "is no table of names and rows"),
    ):
        with pytest.raises(DalibError, match=said):
            table("toy", records=store, ensembles=wrong)
    with pytest.raises(DalibError, match="knows no ensembles"):
        table("toy", "costs", records=store, ensembles={"x": ["dann", "mcc"]})
    with pytest.raises(DalibError, match="dalib export"):
        table("toy", records=_NoArrays(store), ensembles={"x": ["dann", "mcc"]})


def test_what_is_stored_of_a_point_must_be_a_table_of_scores_and_labels(tmp_path) -> None:
    for number, (name, value, said) in enumerate(
        (
            ("step_10_target", np.zeros(60, np.float16), "not stored or damaged"),
            ("step_10_target", np.zeros((0, 3), np.float16), "not stored or damaged"),
            ("target_y", np.full(60, -1, np.int16), "rows without labels"),
        )
    ):
        store = make_store(tmp_path / str(number))
        for run in store.manifest("toy").runs:
            record = store.get(run.key)
            for point in record.candidates:
                point.metrics = {"target_mae": 1.0}
            store.put(record, store.predictions(run.key) | {name: value})
        with pytest.raises(DalibError, match=said):
            table("toy", metric="target_mae", records=store, ensembles={"both": ["dann", "mcc"]})


def test_an_ensemble_is_shown_beside_the_rows_that_were_chosen(tmp_path) -> None:
    store = make_store(tmp_path)
    for only, labels in ((["mcc"], ["mcc", "both"]), (["both"], ["both"])):
        report = table("toy", records=store, only=only, ensembles={"both": ["dann", "mcc"]})
        assert [row.label for row in report.rows] == labels


class _NoArrays:
    """An archive: records alone."""

    def __init__(self, store: Store) -> None:
        self.manifest, self.get, self._store = store.manifest, store.get, store

    def __contains__(self, key: str) -> bool:
        return key in self._store


def test_a_label_with_a_plus_is_read_and_two_readings_are_named() -> None:
    labels = ["dann", "mcc", "dann + prior"]
    assert read_ensemble("x = dann + prior + mcc", labels) == ("x", ("dann + prior", "mcc"))
    assert read_ensemble("x=dann+mcc", labels) == ("x", ("dann", "mcc"))
    with pytest.raises(DalibError, match="'dann' and 'prior' or 'dann \\+ prior'"):
        read_ensemble("x=dann+prior", [*labels, "prior"])
    for wrong in ("dann+mcc", "x=", "=dann"):
        with pytest.raises(DalibError, match="NAME=a\\+b"):
            read_ensemble(wrong, labels)
    with pytest.raises(DalibError, match="mcc"):
        read_ensemble("x=dann+mccc", labels)


def test_the_command_line_adds_the_row(tmp_path, capsys) -> None:
    make_store(tmp_path)
    out = tmp_path / "table.csv"
    print_table(["toy"], "csv", ensemble=["both = dann + mcc", "all=dann+mcc+dann + prior"], store=tmp_path, out=out)
    text = out.read_text()
    assert "mean of dann and mcc" in text and "mean of dann and mcc and dann + prior" in text
    with pytest.raises(DalibError, match="given twice"):
        print_table(["toy"], ensemble=["x=dann+mcc", "x=dann+source_only"], store=tmp_path)
    for other in ({"failures": True}, {"per_class": "dann", "task": TASKS[0]}):
        with pytest.raises(DalibError, match="know neither ensembles"):
            print_table(["toy"], ensemble=["x=dann+mcc"], store=tmp_path, **other)


def test_what_half_precision_may_change_of_an_accuracy_is_no_other_run(tmp_path) -> None:
    store = make_store(tmp_path, {"mcc": {"off": 0.015}})
    assert table("toy", records=store, ensembles={"both": ["dann", "mcc"]}).rows[-1].label == "both"
