"""A file is the old one or the new one: after a kill, an exception, and for a reader in between."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from dalib.core.files import read_file, write_atomic, write_text, writer_of, written_aside
from dalib.core.processes import place
from dalib.records.store import Store
from tests.support.waiting import HANG, wait_until


def test_a_file_is_replaced_and_no_part_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    write_atomic(path, b"one")
    write_text(path, "zwei ü")
    assert path.read_text(encoding="utf-8") == "zwei ü" and [p.name for p in path.parent.iterdir()] == ["file.json"]


def _write_forever(path: Path) -> None:
    i = 0
    while True:
        write_atomic(path, bytes([i % 256]) * 200_000)
        i += 1


def test_a_kill_never_leaves_half_a_file(tmp_path: Path) -> None:
    context, path = multiprocessing.get_context("fork"), tmp_path / "state"
    for delay in (0.02, 0.05, 0.08):
        worker = context.Process(target=_write_forever, args=(path,))
        worker.start()
        wait_until(path.exists, "something was written")
        time.sleep(delay)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        content = path.read_bytes()
        assert len(content) == 200_000 and len(set(content)) == 1


def _hang_in_the_middle(path: Path) -> None:
    with written_aside(path) as file:
        file.write(b"half")
        file.flush()
        time.sleep(HANG)


def test_a_writer_killed_in_the_middle_leaves_the_old_file_and_a_part_that_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "ab" / "file.json"
    write_atomic(path, b"old")
    worker = multiprocessing.get_context("fork").Process(target=_hang_in_the_middle, args=(path,))
    worker.start()
    wait_until(lambda: bool(list(path.parent.glob(".*.part"))), "the writer was in the middle")
    parts = list(path.parent.glob(".*.part"))
    Store(tmp_path).sweep()
    assert parts[0].exists() and writer_of(parts[0]) == worker.pid, "its writer lives"
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    assert path.read_bytes() == b"old" and parts[0].exists()
    Store(tmp_path).sweep()
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


@pytest.mark.parametrize("name", ["file.json", ".part", ".file.json.part", ".file.12x.abcd.part"])
def test_a_name_that_no_writer_gave_has_no_writer(name: str) -> None:
    assert writer_of(Path(name)) == 0


def test_a_reader_of_the_old_file_is_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with path.open("rb") as reader:
        write_atomic(path, b"new!")
        assert reader.read() == b"old"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_no_part(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with pytest.raises(error), written_aside(path) as file:
        file.write(b"ne")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.glob(".*")) == []


def test_two_threads_of_one_process_do_not_share_a_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with written_aside(path) as one, written_aside(path) as other:
        assert one.name != other.name
        one.write(b"first")
        other.write(b"second")
    assert path.read_bytes() == b"first"


def test_the_file_is_synced_before_the_rename_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "file", []
    monkeypatch.setattr(
        os, "fsync", lambda handle: seen.append((stat.S_ISDIR(os.fstat(handle).st_mode), path.exists()))
    )
    write_atomic(path, b"content")
    assert seen == [(False, False), (True, True)], "(is a folder, the new file is there)"


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="lists the open files of this process")
def test_no_handle_stays_open(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"content")
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        write_atomic(tmp_path / "file", b"content")
    assert len(list(Path("/dev/fd").iterdir())) < before + 10


def test_the_mode_of_a_new_file_is_that_of_any_other(tmp_path: Path) -> None:
    write_atomic(tmp_path / "ours", b"")
    (tmp_path / "any").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_path_without_a_name_is_a_folder(name: str) -> None:
    with pytest.raises(IsADirectoryError):
        write_atomic(Path(name), b"x")


def test_what_dead_writers_of_a_file_left_goes_with_the_next_writing_of_it(tmp_path: Path) -> None:
    part, other = tmp_path / f".model.{place()}-{2**22 + 5}.12.part", tmp_path / f".else.{place()}-{2**22 + 5}.12.part"
    living = tmp_path / f".model.{place()}-{os.getpid()}.34.part"
    for path in (part, other, living):
        path.write_text("half")
    write_atomic(tmp_path / "model", b"whole")
    assert not part.exists() and other.exists() and living.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_no_file_to_wait_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=r"No ordinary file|No such file"):
            read_file(path)
    write_atomic(tmp_path / "pipe", b"x")
    assert read_file(tmp_path / "pipe") == b"x"


def test_a_full_disk_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomic(tmp_path / "a.txt", b"x")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())
