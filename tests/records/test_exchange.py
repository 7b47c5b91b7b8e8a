"""Stores that share no disk: joined by key, the same numbers pass, others are named and nothing is written."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dalib
from dalib.cli import main
from dalib.core.checksum import seal_json, seal_lines
from dalib.core.errors import DalibError
from dalib.records.archive import export
from dalib.records.exchange import join
from dalib.records.locks import acquire, release
from dalib.records.record import Candidate, Record
from dalib.records.store import Store
from tests.support.report_shelf import FAILED, MISSING, Shelf, points

TASK, OTHER = "amazon->webcam", "webcam->amazon"
ARRAYS = {"step_20_target": np.ones((4, 3), np.float32), "target_y": np.arange(4, dtype=np.int16)}


def keep(shelf: Shelf, root: Path, predictions: bool = True) -> Store:
    store = Store(root)
    for record in shelf.records.values():
        store.put(record, ARRAYS if predictions and record.status == "ok" else None)
    store.write_manifest(shelf.toy)
    return store


def shelf(values: list[Any], **manifest: Any) -> Shelf:
    return Shelf(**manifest).put("dann", TASK, values)


@pytest.fixture(params=["folder", "file://", "memory://"])
def far(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    kinds = {
        "folder": f"{tmp_path}/far",
        "file://": f"file://{tmp_path}/far",
        "memory://": f"memory://{secrets.token_hex(4)}",
    }
    return kinds[request.param]


def content(store: Store) -> dict[str, str]:
    return {record.key: record.model_dump_json() for record in store.records()}


def test_a_store_goes_to_another_place_and_back_with_all_it_has(tmp_path: Path, far: str) -> None:
    here = keep(shelf([0.7, 0.8, FAILED]), tmp_path / "here")
    there = dalib.merge_records([here.root], far)
    assert (there.added, there.improved, there.same) == (3, 0, 0)
    back = Store(tmp_path / "back")
    assert dalib.merge_records([far], back.root).added == 3
    assert content(back) == content(here)
    assert back.manifest("toy") == here.manifest("toy")
    for record in here.records():
        if record.predictions:
            assert {k: v.tolist() for k, v in back.predictions(record.key).items()} == {
                k: v.tolist() for k, v in here.predictions(record.key).items()
            }
    again = dalib.merge_records([here.root], far)
    assert (again.added, again.improved, again.same) == (0, 0, 3)


def test_runs_of_several_stores_add_up_to_one_suite(tmp_path: Path) -> None:
    first = keep(shelf([0.7, MISSING, 0.5]), tmp_path / "a")
    second = keep(shelf([0.7, 0.8, MISSING]).put("dann", OTHER, [0.6]), tmp_path / "b")
    into = Store(tmp_path / "into")
    done = dalib.merge_records([first.root, second.root], into.root)
    assert (done.added, done.conflicts) == (4, [])
    assert len(into.manifest("toy").runs) == 4
    row = dalib.table("toy", store=into.root).rows[0]
    assert row.cells[TASK].values == {0: 0.7, 1: 0.8, 2: 0.5} and row.cells[OTHER].values == {0: 0.6}


def test_domains_that_one_of_two_suites_knows_are_counted_in_both(tmp_path: Path) -> None:
    first, second = {"amazon": 9}, {"amazon": 9, "webcam": 8}
    keep(shelf([0.7], counts=second), tmp_path / "more")
    into = keep(shelf([0.7], counts=first), tmp_path / "into")
    dalib.merge_records([tmp_path / "more"], into.root)
    assert into.manifest("toy").counts == second


def test_other_numbers_under_one_key_are_named_and_nothing_is_written(tmp_path: Path, far: str) -> None:
    into = keep(shelf([0.7]), tmp_path / "into")
    other = keep(shelf([0.71, 0.8]), tmp_path / "other")
    before = content(into)
    told = (
        rf"1 conflicts, so nothing was written: dann {TASK} seed 0 \(\w{{12}}\): target_accuracy 0.7 in .*into, 0.71 in"
    )
    with pytest.raises(DalibError, match=told):
        dalib.merge_records([other.root], into.root)
    assert content(into) == before
    done = dalib.merge_records([other.root], into.root, keep_first=True)
    assert (done.added, len(done.conflicts)) == (1, 1)
    assert dalib.table("toy", store=into.root).rows[0].cells[TASK].values == {0: 0.7, 1: 0.8}
    with pytest.raises(DalibError, match="1 conflicts"):
        dalib.merge_records([into.root, other.root], far)


@pytest.mark.parametrize("order", [1, -1])
def test_a_success_stands_in_the_place_of_a_failure(tmp_path: Path, order: int) -> None:
    stores = [keep(shelf(v), tmp_path / n).root for n, v in (("failed", [FAILED]), ("right", [0.7]))][::order]
    assert dalib.merge_records(stores[1:], stores[0]).improved == (order == 1)
    record = next(Store(stores[0]).records())
    assert record.status == "ok" and Store(stores[0]).predictions(record.key)


def test_scores_and_predictions_that_one_lacks_are_added(tmp_path: Path) -> None:
    bare, scored = shelf([0.7]), shelf([0.7])
    key = next(iter(bare.records))
    for candidate in scored.records[key].candidates:
        candidate.scores["ami"] = 0.25
    into = keep(bare, tmp_path / "into", predictions=False)
    keep(scored, tmp_path / "more")
    assert dalib.merge_records([tmp_path / "more"], into.root).improved == 1
    assert [c.scores["ami"] for c in into.get(key).candidates] == [0.25] * len(into.get(key).candidates)
    assert into.predictions(key).keys() == ARRAYS.keys()


def scored(ami: float) -> list[Candidate]:
    return [c.model_copy(update={"scores": {"ami": ami}}) for c in points(0.6, 0.7)]


def _change(**update: Any) -> Callable[[Record], Record]:
    return lambda record: record.model_copy(update=update)


@pytest.mark.parametrize(
    "change",
    [
        _change(candidates=points(0.7)),
        _change(candidates=points(0.6, 0.7000000001)),
        lambda record: record.model_copy(update={"candidates": scored(0.26)}),
        _change(objective="regression"),
        _change(per_class={"mug": {"target_recall": 0.2}}),
    ],
    ids=["points", "a last digit", "a score", "objective", "classes"],
)
def test_what_counts_as_other_numbers(change: Callable[[Record], Record]) -> None:
    record = next(iter(shelf([0.7]).records.values()))
    record = record.model_copy(update={"per_class": {"mug": {"target_recall": 0.1}}, "candidates": scored(0.25)})
    assert join(record, record) is record
    assert join(record, change(record)) is None


def test_two_scores_that_are_no_numbers_are_the_same() -> None:
    nan = [c.model_copy(update={"scores": {"ami": float("nan")}}) for c in points(0.7)]
    record = next(iter(shelf([0.7]).records.values())).model_copy(update={"candidates": nan})
    assert join(record, record.model_copy(deep=True)) is record


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({"metric": "target_macro_f1"}, "metric is"),
        ({"counts": {"amazon": 2817}}, "the data have other numbers of rows"),
    ],
)
def test_suites_of_one_name_that_differ_are_refused(tmp_path: Path, manifest: dict[str, Any], told: str) -> None:
    first = keep(shelf([0.7]), tmp_path / "a")
    other = keep(shelf([0.7], **manifest), tmp_path / "b")
    with pytest.raises(DalibError, match=f"suite toy: {told}"):
        dalib.merge_records([other.root], first.root)


def test_a_row_of_one_name_with_other_settings_is_refused(tmp_path: Path) -> None:
    first = keep(shelf([0.7]), tmp_path / "a")
    other = keep(Shelf().put("dann", TASK, [0.7], algorithm="mcc"), tmp_path / "b")
    with pytest.raises(DalibError, match="suite toy: row dann, task amazon->webcam, seed 0 has other settings or data"):
        dalib.merge_records([other.root], first.root)


def test_a_damaged_record_stays_behind_with_a_word(tmp_path: Path) -> None:
    store = keep(shelf([0.7, 0.8]), tmp_path / "a")
    path = next(store.root.glob("??/*.json"))
    path.write_text(path.read_text().replace("0.", "1.", 1))
    with pytest.warns(RuntimeWarning, match="is damaged"):
        assert dalib.merge_records([store.root], tmp_path / "into").added == 1


def test_a_run_that_is_under_way_is_left_to_its_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = keep(shelf([0.7, 0.8]), tmp_path / "a")
    into = Store(tmp_path / "into")
    lock = into.lock(next(iter(shelf([0.7]).records)))
    assert acquire(lock)
    assert main(["merge", str(other.root), "--into", str(into.root)]) == 1
    assert "1 runs are under way there" in capsys.readouterr().err
    release(lock)
    assert main(["merge", str(other.root), "--into", str(into.root)]) == 0
    assert "1 records added, 0 completed, 1 there already" in capsys.readouterr().out


def test_an_exported_file_is_imported_here_and_from_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = keep(shelf([0.7, FAILED]), tmp_path / "a")
    url = f"memory://{secrets.token_hex(4)}/toy.jsonl.gz"
    assert main(["export", "toy", "--store", str(store.root), "--out", url]) == 0
    assert main(["import", url, "--store", str(tmp_path / "b")]) == 0
    assert "2 records added" in capsys.readouterr().out
    assert main(["table", "toy", "--store", str(tmp_path / "b"), "--format", "csv"]) == 0
    here = capsys.readouterr().out
    assert main(["table", url, "--format", "csv"]) == 0
    assert "70.0" in here and "70.0" in capsys.readouterr().out
    export(store, store.manifest("toy"), tmp_path / "c.jsonl")
    assert main(["import", str(tmp_path / "c.jsonl"), "--store", str(tmp_path / "b")]) == 0
    assert "0 records added, 0 completed, 2 there already" in capsys.readouterr().out


def test_a_key_that_is_a_path_is_refused(tmp_path: Path) -> None:
    hostile = shelf([0.7])
    record = next(iter(hostile.records.values())).model_copy(update={"key": "../../escape"})
    lines = [hostile.toy.model_dump_json(), record.model_dump_json()]
    (tmp_path / "x.jsonl").write_bytes(seal_lines(("\n".join(lines) + "\n").encode()))
    with pytest.raises(DalibError, match=r"'../../escape' is no key of a record"):
        dalib.merge_records([tmp_path / "x.jsonl"], tmp_path / "into")


@pytest.mark.parametrize(
    "name", ["../../escape", "/escape", "..", "a/b", "a\\b", "", ".x", "x" * 300, "a\0b", "a\nb", "a\n"]
)
def test_a_suite_whose_name_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    given = shelf([0.7])
    lines = [json.dumps(given.toy.model_dump(mode="json") | {"name": name})]
    lines += [record.model_dump_json() for record in given.records.values()]
    (tmp_path / "x.jsonl").write_bytes(seal_lines(("\n".join(lines) + "\n").encode()))
    into = tmp_path / "deep" / "into"
    with pytest.raises(DalibError, match=r"archive .*x.jsonl is damaged"):
        dalib.merge_records([tmp_path / "x.jsonl"], into)
    store = keep(given, tmp_path / "store")
    (store.root / "manifests" / "toy.json").write_text(seal_json(json.dumps(json.loads(lines[0]), indent=1)))
    with pytest.warns(UserWarning, match=r"manifest .*toy.json is damaged and stays behind"):
        dalib.merge_records([store.root], into)
    assert not list(tmp_path.rglob("escape*")) and not (into / "manifests").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["merge", "nothing", "--into", "into"], "no records in nothing"),
        (["merge", "into", "--into", "./into"], "into is merged into itself"),
        (["import", "folder"], "folder is no .jsonl or .jsonl.gz file; a store is brought in by dalib merge folder"),
        (["merge", "nosuch://x", "--into", "into"], "Protocol not known"),
        (["import", "x.jsonl", "--store", "s3://b"], "--store s3:/b is a URL"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
