"""A store that several hosts share: fenced writing, other clocks and process numbers, what a file system must have."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from dalib.core import files, processes
from dalib.core.errors import DalibError
from dalib.records import locks, shared
from dalib.records.locks import KINDS, TakenOver, acquire, is_held, owns, publish, read_owner, release, sweep_locks
from dalib.records.shared import find_lacks
from dalib.records.store import Store
from tests.support.report_shelf import Shelf
from tests.support.waiting import HANG, wait_until

OWNER = """
import os, sys
from pathlib import Path
from dalib.records import locks
lock, final, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
locks.BEAT = 0.05
def pause():
    print("paused", flush=True)
    sys.stdin.readline()
if not locks.acquire(lock):
    sys.exit("held")
if moment == "before writing":
    pause()
elif moment == "before renaming":
    sync = os.fsync
    os.fsync = lambda handle: (sync(handle), pause())
elif moment == "holding":
    print(locks.read_owner(lock).host, flush=True)
    sys.stdin.readline()
try:
    locks.publish(lock, "json", b"of the sleeper", final)
    print("written")
except locks.TakenOver:
    print("taken over")
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks" / ("ab" * 32)


def move_away(monkeypatch: pytest.MonkeyPatch, name: str = "another host") -> None:
    """From here on this process is on another host, whose process numbers say nothing of those before."""
    monkeypatch.setattr(processes, "_read_boot", lambda: name)
    monkeypatch.setattr(processes, "_read_space", lambda: name)
    processes.place.cache_clear()


@pytest.fixture(autouse=True)
def come_home():
    yield
    processes.place.cache_clear()
    locks._HELD.clear()


def start(lock: Path, final: Path, moment: str, *before: str) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-c", OWNER, str(lock), str(final), moment]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no way to pause a process")
@pytest.mark.parametrize("moment", ["before writing", "before renaming"])
@pytest.mark.parametrize("ended", [True, False], ids=["the heir has ended", "the heir is at it"])
def test_who_wakes_after_his_lease_was_taken_writes_nothing(
    lock: Path, tmp_path: Path, moment: str, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "ab" / "record.json"
    sleeper = start(lock, final, moment)
    assert sleeper.stdout and sleeper.stdout.readline() == "paused\n"
    sleeper.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(locks, "SILENCE", 0.5)
    move_away(monkeypatch)
    wait_until(lambda: acquire(lock), "the lease was taken over")
    if ended:
        publish(lock, "json", b"of the heir", final)
        release(lock)
    sleeper.send_signal(signal.SIGCONT)
    told, _ = sleeper.communicate("go on\n", timeout=HANG)
    assert told.split("\n")[-2:] == ["taken over", ""]
    if not ended:
        assert owns(lock)
        publish(lock, "json", b"of the heir", final)
    assert final.read_bytes() == b"of the heir"
    release(lock)
    assert [p.name for p in lock.parent.iterdir()] == [".guard"]


def test_an_owner_publishes_each_kind_once_and_leaves_nothing(lock: Path, tmp_path: Path) -> None:
    assert acquire(lock)
    for kind in KINDS:
        publish(lock, kind, b"x" * 1000, tmp_path / "ab" / f"a.{kind}")
    with pytest.raises(TakenOver):
        publish(lock, "json", b"again", tmp_path / "ab" / "a.json")
    release(lock)
    assert sorted(p.name for p in (tmp_path / "ab").iterdir()) == ["a.json", "a.npz"]
    assert [p.name for p in lock.parent.iterdir()] == [".guard"]
    with pytest.raises(TakenOver):
        publish(lock, "json", b"without a lease", tmp_path / "ab" / "a.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to be had")
def test_a_full_disk_is_an_error_and_no_lost_lease(lock: Path, tmp_path: Path) -> None:
    assert acquire(lock)
    stage = locks._stage(lock, locks._HELD[lock], "json")
    stage.unlink()
    stage.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        publish(lock, "json", b"content", tmp_path / "final.json")
    assert not (tmp_path / "final.json").exists()
    release(lock)


@pytest.mark.parametrize("stage", ["while it is written", "before that"])
def test_a_lease_that_a_full_disk_refuses_leaves_nothing_and_says_where(
    lock: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write, touch = Path.write_text, Path.touch
    monkeypatch.setattr(Path, "write_text" if stage == "while it is written" else "touch", full)
    monkeypatch.setattr(locks, "folder_time", lambda folder: 1.0)
    with pytest.raises(OSError, match="No space left") as caught:
        acquire(lock)
    assert caught.value.filename == str(lock)
    assert [p.name for p in lock.parent.iterdir()] == [".guard"]
    monkeypatch.setattr(Path, "write_text", write)
    monkeypatch.setattr(Path, "touch", touch)
    assert acquire(lock)


def test_the_records_of_a_lost_lease_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    record = next(iter(Shelf().put("dann", "a->b", [0.7]).records.values()))
    assert acquire(store.lock(record.key))
    token = locks._HELD[store.lock(record.key)]
    move_away(monkeypatch)
    monkeypatch.setattr(locks, "SILENCE", -1.0)
    assert acquire(store.lock(record.key))
    store.put(record, leased=True)
    mine, locks._HELD[store.lock(record.key)] = locks._HELD[store.lock(record.key)], token
    with pytest.raises(TakenOver):
        store.put(record.model_copy(update={"status": "failed"}), leased=True)
    assert store.get(record.key).status == "ok"
    locks._HELD[store.lock(record.key)] = mine


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_the_clock_of_a_host_says_nothing(lock: Path, skew: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither whether an owner elsewhere lives, nor whether a half-written file is left over."""
    assert acquire(lock)
    owner, now = read_owner(lock), time.time
    assert owner is not None and abs(owner.since - now()) < HANG
    monkeypatch.setattr(time, "time", lambda: now() + skew)
    move_away(monkeypatch)
    part = lock.parent / f".x.json.00000000-1.1234{files.SUFFIX}"
    part.write_text("half")
    assert is_held(lock) and not acquire(lock)
    assert files.sweep_parts(lock.parent) == 0
    locks._HELD.clear()  # no beat of this process's falls between here and the look
    for path in (lock, part):
        os.utime(path, (now() - 2 * files.ABANDONED,) * 2)
    assert not is_held(lock)
    assert files.sweep_parts(lock.parent) == 1
    assert acquire(lock) and read_owner(lock) is not None
    since = read_owner(lock).since  # type: ignore[union-attr]
    assert abs(since - now()) < HANG, "by the clock of the file system"


def test_a_lease_of_the_future_is_not_waited_for_for_ever(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file server's clock was put back: from the next look on silence counts; an owner who lives is heard."""
    assert acquire(lock)
    monkeypatch.setattr(locks, "_HELD", {})
    move_away(monkeypatch)
    os.utime(lock, (time.time() + 1e6,) * 2)
    assert is_held(lock) and not acquire(lock)
    assert abs(lock.stat().st_mtime - time.time()) < HANG
    os.utime(lock, (time.time() - 2 * locks.SILENCE,) * 2)
    assert not is_held(lock) and acquire(lock)


def _can_unshare() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--uts", "--pid", "--fork", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _can_unshare(), reason="namespaces of hosts and processes are not allowed here")
def test_two_hosts_on_one_store(lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of its own name and process numbers holds a lease, dies, and is found dead by its silence."""
    outside = 'hostname elsewhere-7 && exec "$0" "$@"'
    other = start(
        lock, tmp_path / "x.json", "holding", "unshare", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c", outside
    )
    assert other.stdout and other.stdout.readline() == "elsewhere-7\n"
    owner = read_owner(lock)
    assert owner is not None and owner.place != processes.place() and owner.pid == 1
    assert is_held(lock) and not acquire(lock)
    other.kill()
    other.wait()
    assert not acquire(lock), "whether it is dead cannot be known yet"
    monkeypatch.setattr(locks, "SILENCE", 0.5)
    wait_until(lambda: acquire(lock), "the silent owner's lease was taken")
    assert owns(lock)
    release(lock)


def test_a_beat_touches_no_lease_of_another(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.01)
    monkeypatch.setattr(locks, "_beating", None)
    assert acquire(lock)
    taken = asdict(read_owner(lock)) | {"token": "taken"}  # type: ignore[call-overload]
    os.utime(lock, (1.0, 1.0))
    wait_until(lambda: lock.stat().st_mtime > 1.0, "the own lease was touched")
    lock.unlink()
    lock.write_text(json.dumps(taken))
    os.utime(lock, (1.0, 1.0))
    mine = lock.with_name("cd" * 32)
    assert acquire(mine)
    os.utime(mine, (1.0, 1.0))
    wait_until(lambda: mine.stat().st_mtime > 1.0, "a beat had passed")
    assert lock.stat().st_mtime == 1.0
    release(mine)


def test_what_owners_left_to_publish_is_swept(lock: Path) -> None:
    assert acquire(lock)
    mine = locks._stage(lock, locks._HELD[lock], "json")
    left = [locks._stage(lock, "0" * 32, "json"), locks._stage(lock.with_name("cd" * 32), "1" * 32, "npz")]
    for path in (mine, *left):
        path.touch()
        os.utime(path, (1.0, 1.0))
    fresh = locks._stage(lock.with_name("ef" * 32), "2" * 32, "json")
    fresh.touch()
    sweep_locks(lock.parent)
    assert mine.exists() and fresh.exists() and not any(path.exists() for path in left)
    release(lock)


def test_this_file_system_has_what_it_takes(tmp_path: Path) -> None:
    assert find_lacks(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_keep_two_hosts_apart_is_refused(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(shared, "find_lacks", find_lacks.__wrapped__)
    assert acquire(lock), "one host alone does without"
    move_away(monkeypatch)
    told = (
        "locks lies on a file system without hard links that refuse a name which is taken, so several machines cannot"
    )
    with pytest.raises(DalibError, match=told):
        acquire(lock)


def test_links_that_replace_what_is_there_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", lambda one, two: Path(two).write_bytes(Path(one).read_bytes()))
    assert find_lacks.__wrapped__(tmp_path) == ("hard links that refuse a name which is taken",)


def test_stamps_of_two_clocks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch = os.utime

    def by_the_host(path: object, times: object = None, **how: object) -> None:
        touch(path, times or (time.time() - 3600,) * 2)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "utime", by_the_host)
    assert find_lacks.__wrapped__(tmp_path) == ("one clock that stamps its files",)
