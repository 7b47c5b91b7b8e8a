"""Who owns a lock: tokens, dead processes and zombies, other machines by their signs of life, one taker of several."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from dalib.core import processes
from dalib.records import locks
from dalib.records.locks import SILENCE, Owner, acquire, is_held, owns, read_owner, release
from tests.support.waiting import HANG, wait_until

ACQUIRE = "import sys; from pathlib import Path; from dalib.records.locks import acquire; acquire(Path(sys.argv[1]))"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "key"


def _plant(lock: Path, silent: float = 0.0, **changes: object) -> Owner:
    """A lock of this process, changed, whose last sign of life is some seconds ago."""
    assert acquire(lock)
    owner = read_owner(lock)
    assert owner is not None
    release(lock)
    owner = replace(owner, token="other", **changes)  # type: ignore[arg-type]
    lock.write_text(json.dumps(asdict(owner)))
    os.utime(lock, (time.time() - silent,) * 2)
    return owner


def test_a_lock_tells_its_owner_and_since_when(lock: Path) -> None:
    assert acquire(lock) and not acquire(lock) and owns(lock)
    owner = read_owner(lock)
    assert owner is not None and owner.pid == os.getpid()
    assert (
        owner.describe()
        == f"process {os.getpid()} on {owner.host}, since {time.strftime('%H:%M:%S', time.localtime(owner.since))}"
    )
    release(lock)
    assert not lock.exists()
    assert sorted(p.name for p in lock.parent.iterdir()) == [".guard"]


@pytest.mark.parametrize(
    ("changes", "silent", "held"),
    [
        ({}, 1e6, True),
        ({"pid": 2**22 + 5}, 0, False),
        ({"started": "1"}, 0, False),
        ({"place": "elsewhere"}, 1, True),
        ({"place": "elsewhere", "pid": 1}, SILENCE - 20, True),
        ({"place": "elsewhere"}, SILENCE + 20, False),
        ({"place": "elsewhere", "host": "container-of-before"}, 1e6, False),
    ],
    ids=[
        "here and alive",
        "here and dead",
        "a reused number",
        "elsewhere",
        "elsewhere and quiet",
        "silent",
        "restarted",
    ],
)
def test_who_counts_as_alive(lock: Path, changes: dict[str, object], silent: float, held: bool) -> None:
    _plant(lock, silent, **changes)
    assert is_held(lock) is held
    assert acquire(lock) is not held
    assert owns(lock) is not held


def test_the_same_host_name_in_another_container_is_another_place(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process numbers say nothing here: neither that it lives nor that it is dead."""
    _plant(lock, place="00000000", pid=2**22 + 5)
    assert not acquire(lock)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only there a zombie can be told")
def test_a_zombie_is_dead(lock: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ACQUIRE, str(lock)])
    wait_until(lambda: not processes.process_started(child.pid), "the owner was dead")
    assert lock.exists() and not is_held(lock)
    assert acquire(lock)
    child.wait()


WHOLE = {"token": "t", "host": "h", "place": "elsewhere", "pid": 1, "started": "1"}
CONTENTS = [
    *(json.dumps(WHOLE | {"since": since}).encode() for since in (float("nan"), float("inf"), 1e18, -1.0)),
    b"",
    b"x",
    b"\xff\xfe\x00",
    b"{}",
    b"[1]",
    b"null",
    b"host 12 34",
    b'{"token": 1}',
    b"[" * 5000,
    b"host notanumber 3",
]


@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_no_lock_belongs_to_nobody(lock: Path, content: bytes) -> None:
    lock.parent.mkdir(parents=True)
    lock.write_bytes(content)
    assert not is_held(lock)
    assert acquire(lock) and owns(lock)


def test_a_folder_or_a_loose_link_in_the_place_of_a_lock_is_moved_away(lock: Path) -> None:
    (lock / "inside").mkdir(parents=True)
    assert acquire(lock)
    release(lock)
    lock.symlink_to("nowhere")
    assert acquire(lock)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_in_the_place_of_a_lock_or_of_its_guard_is_not_waited_for(lock: Path) -> None:
    lock.parent.mkdir(parents=True)
    os.mkfifo(lock)
    os.mkfifo(lock.parent / ".guard")
    assert not is_held(lock)
    assert acquire(lock) and owns(lock)


def test_a_lock_that_was_taken_over_is_not_given_back_by_its_first_owner(lock: Path) -> None:
    assert acquire(lock)
    taken = json.dumps(asdict(replace(read_owner(lock), token="taken", place="elsewhere")))  # type: ignore[type-var]
    lock.write_text(taken)
    assert not owns(lock)
    release(lock)
    assert lock.read_text() == taken


def test_a_living_lock_that_comes_in_between_goes_back(lock: Path) -> None:
    """Two judge an owner dead; the slower one moves away what by then is the faster one's."""
    dead = _plant(lock, pid=2**22 + 5)
    assert acquire(lock)
    assert not locks._remove(lock, dead)
    assert owns(lock)


def test_a_living_lock_that_comes_in_between_is_there_all_the_time(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved away for a moment only, it would let a third one in."""
    dead, read = _plant(lock, pid=2**22 + 5), locks.read_owner

    def look(path: Path) -> locks.Owner | None:
        assert lock.exists()
        return read(path)

    assert acquire(lock)
    monkeypatch.setattr(locks, "read_owner", look)
    assert not locks._remove(lock, dead)


def test_one_alone_takes_a_lock_away_and_one_who_died_of_it_is_no_hindrance(lock: Path) -> None:
    dead = _plant(lock, pid=2**22 + 5)
    mark = lock.with_name(f".{lock.name}.heir")
    mark.touch()
    assert not acquire(lock) and read_owner(lock) == dead
    os.utime(mark, (1.0, 1.0))
    assert not acquire(lock)
    assert acquire(lock) and owns(lock) and not mark.exists()


def test_an_owner_gives_signs_of_life(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.01)
    monkeypatch.setattr(locks, "_beating", None)
    assert acquire(lock)
    os.utime(lock, (1.0, 1.0))
    wait_until(lambda: lock.stat().st_mtime > 1.0, "the lock was touched")
    release(lock)


def test_who_gives_them_outlives_a_moment_without_a_lock(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.001)
    monkeypatch.setattr(locks, "_beating", None)
    assert acquire(lock)
    beating = locks._beating
    release(lock)
    time.sleep(0.1)
    assert beating is not None and beating.is_alive()


@pytest.mark.skipif(os.utime not in os.supports_fd, reason="files are touched by their names here")
def test_no_sign_of_life_falls_on_what_has_just_taken_the_place_of_a_lock(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def owns_and_is_taken(path: Path) -> bool:
        heir, answer = path.with_name("heir"), owns(path)
        heir.touch()
        os.utime(heir, (1.0, 1.0))
        heir.replace(path)
        return answer

    assert acquire(lock)
    monkeypatch.setattr(locks, "owns", owns_and_is_taken)
    locks._touch(lock)
    assert lock.stat().st_mtime == 1.0


def _race(lock: Path, gate: Barrier, log: Path) -> None:
    gate.wait(HANG)
    if acquire(lock):
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
    gate.wait(HANG)  # the winner lives until the last one has tried, however slow that is


@pytest.mark.parametrize("guarded", [True, False], ids=["guard", "no fcntl"])
def test_one_of_several_takes_over(lock: Path, tmp_path: Path, guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not guarded:
        monkeypatch.setattr(locks, "fcntl", None)
    for attempt in range(5):
        _plant(lock, pid=2**22 + 5)
        log = tmp_path / f"log{attempt}"
        context = multiprocessing.get_context("fork")
        gate = context.Barrier(6)
        racers = [context.Process(target=_race, args=(lock, gate, log)) for _ in range(6)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert len(log.read_text().split()) == 1
