"""Records read one by one, wherever they lie: what is damaged stays behind, and is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.core.places import open_place
from dalib.records.archive import export
from dalib.records.collection import ArchiveFile, StoreFolder, open_collection
from dalib.records.store import Store
from tests.support.report_shelf import Shelf

TASK = "amazon->webcam"
ARRAYS = {"step_20_target": np.ones((4, 3), np.float32)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    shelf, kept = Shelf().put("dann", TASK, [0.7, 0.8]), Store(tmp_path / "runs")
    for record in shelf.records.values():
        kept.put(record, ARRAYS)
    kept.write_manifest(shelf.toy)
    return kept


def test_a_store_and_its_export_hold_the_same_records(store: Store, tmp_path: Path) -> None:
    export(store, store.manifest("toy"), tmp_path / "toy.jsonl")
    folder, archive = open_collection(store.root), open_collection(tmp_path / "toy.jsonl")
    assert isinstance(folder, StoreFolder) and isinstance(archive, ArchiveFile)
    assert folder.list_keys() == archive.list_keys() == {record.key for record in store.records()}
    for key in folder.list_keys():
        one, other = folder.read(key), archive.read(key)
        assert one is not None and other is not None and one.candidates == other.candidates != ()
        assert archive.arrays(key) is None
    assert [m.name for m in folder.manifests()] == [m.name for m in archive.manifests()] == ["toy"]


def test_damaged_predictions_and_manifests_stay_behind_with_a_word(store: Store) -> None:
    folder = StoreFolder(open_place(str(store.root)))
    key = sorted(folder.list_keys())[0]
    sound = folder.arrays(key)
    assert sound is not None
    path = store.root / key[:2] / f"{key}.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="are damaged and stay behind"):
        damaged = folder.arrays(key)
    assert damaged is None
    (store.root / "manifests" / "toy.json").write_text("{")
    with pytest.warns(UserWarning, match="manifest .* is damaged"):
        assert folder.manifests() == []


def test_what_is_written_is_read_again(store: Store, tmp_path: Path) -> None:
    there = StoreFolder(open_place(str(tmp_path / "there")))
    here = StoreFolder(open_place(str(store.root)))
    for key in here.list_keys():
        record = here.read(key)
        assert record is not None
        there.write(record, here.arrays(key))
    again = StoreFolder(open_place(str(tmp_path / "there")))
    assert again.list_keys() == here.list_keys()
    assert all(again.arrays(key) == here.arrays(key) for key in again.list_keys())


def test_a_place_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DalibError, match="no records in"):
        open_collection(tmp_path)
