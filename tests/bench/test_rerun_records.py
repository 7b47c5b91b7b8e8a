"""benchmarks/rerun_records.py: what counts as the same result, and which records are drawn."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def differences(monkeypatch: pytest.MonkeyPatch) -> Any:
    return load("_record_differences", monkeypatch)


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> Any:
    return load("_record_draws", monkeypatch)


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return __import__(name)


def result(accuracy: float = 0.5, error: dict[str, Any] | None = None, **curve: list[float]) -> dict[str, Any]:
    candidate = {"step": 2, "metrics": {"target_accuracy": accuracy}, "scores": {"entropy": -1.0}}
    return {
        "status": "failed" if error else "ok", "error": error, "candidates": [candidate],
        "curve": curve or {"step": [1.0, 2.0], "ce": [1.0, math.nan]}, "per_class": {"mug": {"n": 3.0}},
        "counts": {"test": 9},
    }  # fmt: skip


def test_a_result_is_identical_to_itself_with_what_was_added(differences: Any) -> None:
    after = result()
    after["candidates"][0]["metrics"]["target_kappa"] = 0.1
    assert differences.compare(result(), after) == differences.Difference()


def test_a_renamed_term_is_told_by_its_values_and_changes_nothing(differences: Any) -> None:
    told = differences.compare(result(ce=[1.0, 2.0], mmd=[0.5, 0.25]), result(supervised=[1.0, 2.0], mmd=[0.5, 0.25]))
    assert (told.kind, told.renamed) == ("identical", {"ce": "supervised"})


def test_a_curve_differs_relative_to_the_largest_size_of_its_term(differences: Any) -> None:
    told = differences.compare(result(ce=[4.0, 1e-9], mmd=[1.0]), result(ce=[4.0, 0.04], mmd=[1.0]))
    assert (told.kind, told.term) == ("curves differ", "ce")
    assert told.curve == pytest.approx(0.01)


def test_a_term_cut_in_two_is_compared_by_its_sum(differences: Any) -> None:
    told = differences.compare(result(loss=[3.0, 2.0]), result(ce=[1.0, 0.5], mmd=[2.0, 1.5]))
    assert told.kind == "curves differ"
    assert told.notes == ["terms loss are now ce, mmd, their sums within 0.0e+00"]


def test_an_accuracy_is_graver_than_a_curve_and_a_failure_graver_than_both(differences: Any) -> None:
    told = differences.compare(result(0.5, ce=[1.0]), result(0.25, ce=[2.0]))
    assert (told.kind, told.accuracy, told.metric) == ("accuracies differ", 0.25, "target_accuracy")
    diverged = {"type": "Diverged", "message": "ce is nan", "step": 2}
    assert differences.compare(result(error=diverged), result(error=diverged)).kind == "identical"
    assert differences.compare(result(error=diverged), result(error={**diverged, "step": 3})).kind == "failures differ"
    assert differences.compare(result(0.5), result(0.25, error=diverged)).kind == "failures differ"


def test_specs_differ_by_value_or_by_field_but_not_by_where_data_lie(differences: Any) -> None:
    before = {"data": {"dataset": "features:a.npz"}, "backbone": {"hash": "1", "weights": "w.npz"}, "train": {"lr": 1}}
    after = {"data": {"dataset": "features:x/a.npz"}, "backbone": {"hash": "1", "weights": "x/w.npz"}, "seed": 0}
    assert differences.compare_specs(before, after) == ([], ["train.lr = 1 gone", "seed = 0 added"])
    assert differences.compare_specs(before, {**before, "train": {"lr": 2}}) == (["train.lr 1 is now 2"], [])


def write_archive(folder: Path, suite: str, rows: dict[str, tuple[float, str]], key: str) -> None:
    """rows: algorithm -> (seconds, status); keys are made of `key`, records stand in their order."""
    cells = [{"label": row, "task": "a->b", "seed": 0, "key": f"{key}{i}"} for i, row in enumerate(rows)]
    records = [
        {
            "key": f"{key}{i}",
            "spec": {"algorithm": row},
            "status": status,
            "candidates": [],
            "seconds": {"total": seconds},
        }
        for i, (row, (seconds, status)) in enumerate(rows.items())
    ]
    lines = [{"name": suite, "runs": cells}, *sorted(records, key=lambda r: str(r["key"]))]
    (folder / f"{suite}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_a_draw_has_every_suite_algorithm_and_failure_whatever_the_keys(draws: Any, tmp_path: Path) -> None:
    drawn = []
    for key in ("k", "z"):
        folder = tmp_path / key
        folder.mkdir()
        many = {f"row{i}": (1.0, "ok") for i in range(5)}
        write_archive(folder, "short", {**many, "broken": (1.0, "failed")} if key == "k" else
                      dict(reversed({**many, "broken": (1.0, "failed")}.items())), key)  # fmt: skip
        write_archive(folder, "long", {"slow": (99.0, "ok"), "slower": (100.0, "ok")}, key)
        runs = draws.read_records(folder)
        drawn.append([run.name for run in draws.draw_runs(runs, number=0, most_seconds=60, budget=60, seed=1)])
    assert drawn[0] == drawn[1]
    assert {name.split(" | ")[1] for name in drawn[0]} == {*many, "broken", "slow", "slower"}


def test_the_rest_of_a_draw_is_short_and_within_the_budget(draws: Any, tmp_path: Path) -> None:
    write_archive(tmp_path, "suite", {"source_only": (1.0, "ok")}, "k")
    (run,) = draws.read_records(tmp_path)
    copies = [
        draws.Drawn(f"run {i}", "suite", run.spec, seconds, run.result) for i, seconds in enumerate([1.0] * 9 + [70.0])
    ]
    chosen = draws.draw_runs(copies, number=8, most_seconds=60, budget=5.5, seed=0)
    assert sum(r.seconds for r in chosen) == 5.0


def test_a_line_that_was_cut_off_is_left_out(draws: Any, tmp_path: Path) -> None:
    file = tmp_path / "saved.jsonl"
    file.write_text('{"name": "a\\u2028b"}\n{"name": "\u2028"}\n{"na', encoding="utf-8")
    assert [line["name"] for line in draws.read_lines(file)] == ["a\u2028b", "\u2028"]


def test_scores_and_counts_of_classes_are_told_apart_from_accuracies(differences: Any) -> None:
    before, after = result(), result()
    before["candidates"][0]["metrics"]["target_effective_classes"] = 0.8
    after["candidates"][0]["metrics"]["target_effective_classes"] = 0.6
    told = differences.compare(before, after)
    assert (told.kind, told.validator) == ("scores differ", "target_effective_classes")
    assert told.score == pytest.approx(0.25)
    after["candidates"][0]["scores"] = {"entropy": -4.0}
    assert differences.compare(before, after).validator == "entropy"
    assert differences.compare({**result(), "predictions": {"a": "1"}}, {**result(), "predictions": {"a": "2"}}).notes
