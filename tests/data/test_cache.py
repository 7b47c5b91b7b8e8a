"""The cache never shows half a file and survives two writers and a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dalib.core.rows import RowView
from dalib.data.cache import cache_root, cached_array, cached_rows, content_of
from tests.support.waiting import HANG, wait_until


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path / "cache"))


def test_an_array_is_made_once_and_then_mapped() -> None:
    calls = []

    def make() -> np.ndarray:
        calls.append(1)
        return np.arange(6).reshape(2, 3)

    first, second = cached_array("name/with slash", "key", make), cached_array("name/with slash", "key", make)
    assert len(calls) == 1 and isinstance(second, np.memmap) and not second.flags.writeable
    np.testing.assert_array_equal(first, np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(second, first)


def test_another_key_is_another_array() -> None:
    assert cached_array("a", "1", lambda: np.zeros(2))[0] == 0
    assert cached_array("a", "2", lambda: np.ones(2))[0] == 1


def test_an_array_without_rows_can_be_cached() -> None:
    assert cached_array("empty", "k", lambda: np.zeros((0, 3))).shape == (0, 3)
    assert cached_array("empty", "k", lambda: np.ones((1, 3))).shape == (0, 3)


@pytest.mark.parametrize("damage", [b"", b"not an array", None], ids=["empty", "text", "truncated"])
def test_a_damaged_file_is_made_again(damage: bytes | None) -> None:
    cached_array("a", "k", lambda: np.arange(1000))
    (path,) = (cache_root() / "arrays").glob("*.npy")
    path.write_bytes(path.read_bytes()[:200] if damage is None else damage)
    with pytest.warns(UserWarning, match="damaged"):
        again = cached_array("a", "k", lambda: np.arange(1000))
    np.testing.assert_array_equal(again, np.arange(1000))
    np.testing.assert_array_equal(cached_array("a", "k", lambda: np.arange(1000)), np.arange(1000))


def test_a_failing_maker_leaves_nothing_behind() -> None:
    def fail() -> np.ndarray:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached_array("a", "k", fail)
    assert not list(cache_root().rglob("*.*"))


def _fill(log: Path, results: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    def make() -> np.ndarray:
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.2)
        return np.full((500, 100), 7)

    results.put(int(cached_array("shared", "k", make).sum()))


def test_of_two_processes_that_need_an_array_one_makes_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=_fill, args=(tmp_path / "log", results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=HANG) for _ in workers] == [350000] * 3
    for worker in workers:
        worker.join()
    files = list((cache_root() / "arrays").iterdir())
    assert len(files) == 1 and files[0].suffix == ".npy"
    assert (tmp_path / "log").read_text() == "made\n"


def _hang() -> None:
    cached_array("slow", "k", lambda: time.sleep(HANG) or np.zeros(1))


def test_a_killed_maker_does_not_keep_the_others_waiting() -> None:
    worker = multiprocessing.get_context("fork").Process(target=_hang)
    worker.start()
    wait_until(lambda: bool(list(cache_root().glob("locks/*"))), "the maker was at it")
    time.sleep(0.05)
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    assert cached_array("slow", "k", lambda: np.ones(2)).tolist() == [1, 1]


def test_where_files_cannot_be_locked_the_array_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert cached_array("a", "k", lambda: np.ones(2)).tolist() == [1, 1]


def test_rows_are_written_part_by_part_as_the_whole_array_would_be() -> None:
    whole = np.arange(60, dtype=np.int32).reshape(5, 3, 4)
    parts = cached_rows("rows", "k", whole.shape, np.int32, lambda: [whole[:2], whole[2], whole[3:].transpose(0, 1, 2)])
    np.testing.assert_array_equal(parts, whole)
    assert isinstance(parts, np.memmap) and parts.dtype == np.int32
    np.testing.assert_array_equal(cached_rows("rows", "k", whole.shape, np.int32, list), whole)


def test_rows_that_fail_half_way_leave_nothing_behind() -> None:
    def fail() -> Iterator[np.ndarray]:
        yield np.zeros((1, 2))
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached_rows("rows", "k", (3, 2), np.float64, fail)
    assert not list(cache_root().rglob("*.*"))


def test_no_flipped_bit_and_no_zeroed_block_passes_unseen() -> None:
    """200 flips anywhere, in header, rows and checksum, and 50 runs of zeros: each time the array is made again."""
    rng, whole = np.random.default_rng(0), np.random.default_rng(1).integers(1, 255, (40, 50), dtype=np.uint8)
    cached_array("a", "k", lambda: whole)
    (path,) = (cache_root() / "arrays").glob("*.npy")
    sound = path.read_bytes()
    for trial in range(250):
        damaged = bytearray(sound)
        if trial < 200:
            damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        else:
            start = int(rng.integers(len(damaged) - 64))
            damaged[start : start + 64] = bytes(64)
        if damaged == sound:
            continue
        path.write_bytes(damaged)
        os.utime(path, ns=(trial, trial))  # another stamp than before, however coarse the clock
        with pytest.warns(UserWarning, match="damaged"):
            x = cached_array("a", "k", lambda: whole)
        assert np.array_equal(x, whole)


def test_a_file_of_another_shape_or_type_is_made_again() -> None:
    cached_rows("rows", "k", (2, 2), np.uint8, lambda: [np.ones((2, 2), np.uint8)])
    with pytest.warns(UserWarning, match="damaged"):
        again = cached_rows("rows", "k", (1, 3), np.float32, lambda: [np.zeros(3, np.float32)])
    assert again.shape == (1, 3) and again.dtype == np.float32


def test_a_file_is_read_through_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    x = cached_array("a", "k", lambda: np.arange(10))
    monkeypatch.setattr("dalib.data.cache.zlib.crc32", lambda *_: pytest.fail("read again"))
    assert content_of(cached_array("a", "k", lambda: pytest.fail("made again"))) == content_of(x)


def test_content_tells_arrays_apart_and_nothing_else_does() -> None:
    x, y = np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(3, 2)
    assert content_of(x) == content_of(y)
    y[2, 1] = 9
    assert content_of(x) != content_of(y) and content_of(x) != content_of(x.astype(np.float32))
    assert content_of(x) != content_of(x.reshape(2, 3))
    view = RowView([x], np.array([2, 0]), np.array([0, 0]))
    assert content_of(view) != content_of(RowView([x], np.array([0, 2]), np.array([0, 0])))
    before = content_of(view)
    x[0, 0] = 7
    assert content_of(view) != before
