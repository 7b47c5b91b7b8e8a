"""One process per run: a lease, a file with an owner who says every few seconds that he lives.

A lease is made whole, by a link, and holds a random token. An owner on this machine and in this container is dead
when his process is (a zombie is); one elsewhere when his file was not touched for `SILENCE` seconds, by the clock of
the file system. A dead owner's lease is renamed away before a new one is made, so that one of several takes it over; a
guard, where the system has one at once, only spares them the race. What is no lease (other content) belongs to nobody.

What an owner writes is fenced: `publish` renames a file of his token's name, which was there when he got the lease and
which the next owner takes away. One who was paused, and whose lease was taken meanwhile, finds nothing to rename.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import platform
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dalib.core.files import folder_time, read_file, sync_folder
from dalib.core.processes import place, process_started
from dalib.records.shared import require_shared

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BEAT, SILENCE = 5.0, 60.0
"""Seconds between two signs of life, and without one until an owner elsewhere counts as dead."""
END_OF_TIME = 1e11
"""Seconds since 1970 that no clock shows."""
PATIENCE = 2.0
"""Seconds that the guard is waited for; a lock server that does not answer is done without."""
KINDS = ("json", "npz")
"""What an owner may publish, once each."""
_STAGE = re.compile(r"\.(?P<name>.+)\.(?P<token>[0-9a-f]{32})\.(?:json|npz)\.stage")


@dataclass(frozen=True)
class Owner:
    """token: random, of one lease; place: boot of a machine, and container (`core.processes.place`); since: seconds
    since 1970, by the clock of the file system."""

    token: str
    host: str
    place: str
    pid: int
    started: str
    since: float

    def describe(self) -> str:
        """`process 12 on node7, since 12:03:05`."""
        return f"process {self.pid} on {self.host}, since {time.strftime('%H:%M:%S', time.localtime(self.since))}"


class TakenOver(Exception):
    """The lease is another process's by now; nothing was written."""


_HELD: dict[Path, str] = {}
"""Lock file -> its token, of the locks of this process."""
_beating: threading.Thread | None = None


def acquire(path: Path) -> bool:
    """Make the lock file with this process as its owner; False if somebody who lives has it.

    Raises
        DalibError: the owner is another machine, and this file system cannot keep two apart
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _guard(path.parent / ".guard"):
        if os.path.lexists(path):
            before = read_owner(path)
            if before is not None and before.place != place():
                require_shared(path.parent)
            if before is not None and _lives(path, before):
                return False
            if not _remove(path, before):
                return False
        token = secrets.token_hex(16)
        pid = os.getpid()
        owner = Owner(token, platform.node(), place(), pid, process_started(pid), folder_time(path.parent))
        made = False
        try:
            for kind in KINDS:
                _stage(path, token, kind).touch()
            made = _make(path, json.dumps(asdict(owner)))
        except OSError as error:
            error.filename = error.filename or str(path)  # a full disk says so when bytes are written, and not where
            raise
        finally:
            if not made:
                _drop_stages(path, token)
        if not made:
            return False
        _HELD[path] = token
        if owns(path):
            _drop_stages(path, but=token)
    _beat()
    return True


def release(path: Path) -> None:
    """Give a lock back; one that was taken over meanwhile stays."""
    if owns(path):
        path.unlink(missing_ok=True)
    if token := _HELD.pop(path, ""):
        _drop_stages(path, token)


def publish(path: Path, kind: str, content: bytes, final: Path) -> None:
    """`content` in the place of `final`, if the lock is this process's at the moment of the renaming.

    Args
        kind: one of `KINDS`
    Raises
        TakenOver: it is another's
    """
    stage = _stage(path, _HELD.get(path, ""), kind)
    try:
        with os.fdopen(os.open(stage, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_BINARY", 0)), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        final.parent.mkdir(parents=True, exist_ok=True)
        stage.replace(final)
    except OSError as error:
        if error.errno in (errno.ENOENT, getattr(errno, "ESTALE", errno.ENOENT)) and not stage.exists():
            raise TakenOver(path.name) from None
        error.filename = error.filename or str(final)
        raise
    sync_folder(final.parent)


def owns(path: Path) -> bool:
    """This process made the lock, and nobody has taken it over."""
    owner = read_owner(path)
    return owner is not None and owner.token == _HELD.get(path)


def is_held(path: Path) -> bool:
    """The owner named in the lock file lives."""
    owner = read_owner(path)
    return owner is not None and _lives(path, owner)


def sweep_locks(folder: Path) -> None:
    """Remove the locks of dead owners, whose runs nobody wants again, and what was left in the middle of making one."""
    with _guard(folder / ".guard"):
        for path in folder.glob("*"):
            owner = read_owner(path)
            if stage := _STAGE.fullmatch(path.name):
                holder = read_owner(path.with_name(stage["name"]))
                if (holder is None or holder.token != stage["token"]) and _silence(path) > SILENCE:
                    path.unlink(missing_ok=True)
            elif path.name.startswith("."):
                if path.name != ".guard" and _silence(path) > SILENCE:
                    path.unlink(missing_ok=True)
            elif owner is not None and not _lives(path, owner) and _remove(path, owner):
                _drop_stages(path, owner.token)


def read_owner(path: Path) -> Owner | None:
    """Who has a lock; None if there is none, or if the file is no lock."""
    try:
        owner = Owner(**json.loads(read_file(path)))
        kinds = [(owner.token, str), (owner.host, str), (owner.place, str), (owner.pid, int), (owner.since, float)]
        return owner if all(isinstance(v, kind) for v, kind in kinds) and 0 <= owner.since < END_OF_TIME else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _lives(path: Path, owner: Owner) -> bool:
    if owner.place == place():
        started = process_started(owner.pid)
        if started != "unknown":
            return bool(started) and started == owner.started
    silence = _silence(path)
    if silence < -SILENCE:  # stamped before the clock was put back: silence counts from now on
        with contextlib.suppress(OSError):
            os.utime(path)
    return silence < SILENCE


def _silence(path: Path) -> float:
    """Seconds since the last sign of life, both times by the clock of the file system; by this one's if read-only."""
    try:
        try:
            now = folder_time(path.parent)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES):
                raise
            now = time.time()
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
    except OSError:
        return 0.0


def _stage(path: Path, token: str, kind: str) -> Path:
    return path.with_name(f".{path.name}.{token}.{kind}.stage")


def _drop_stages(path: Path, token: str = "", but: str = "") -> None:
    """Take away what owners of a lock would publish: of one token, or of all but one."""
    if token:
        stages = [_stage(path, token, kind) for kind in KINDS]
    else:
        found = path.parent.glob(f".{glob.escape(path.name)}.*.stage")
        stages = [s for s in found if (m := _STAGE.fullmatch(s.name)) and m["name"] == path.name and m["token"] != but]
    for stage in stages:
        with contextlib.suppress(OSError):
            stage.unlink(missing_ok=True)


def _remove(path: Path, owner: Owner | None) -> bool:
    """Take a dead owner's lock away; False if it is a living one's by now, or being taken away, and then it stays."""
    with _alone(path) as alone:
        if not alone or (os.path.lexists(path) and read_owner(path) != owner):
            return False
        return _move_away(path, owner)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether no other process is about to take this lock away; one that died of it counts no longer than a silent one.

    Of two that judged an owner dead, the slower would else have moved away the lease of the faster for a moment, in
    which a third finds none.
    """
    mark = path.with_name(f".{path.name}.heir")
    try:
        mark.open("x").close()
    except FileExistsError:
        with contextlib.suppress(OSError):
            if _silence(mark) > SILENCE:
                mark.unlink(missing_ok=True)
        yield False
        return
    try:
        yield True
    finally:
        mark.unlink(missing_ok=True)


def _move_away(path: Path, owner: Owner | None) -> bool:
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return True
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
        return True
    taken = read_owner(aside)
    if taken != owner:  # another process was faster: its lock goes back
        with contextlib.suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
    return taken == owner


def _make(path: Path, text: str) -> bool:
    """The file with its whole content, or nothing if there is one already."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
        except (OSError, AttributeError):  # a file system without links
            with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
                file.write(text)
                return True
            return False
        return True
    finally:
        aside.unlink(missing_ok=True)


def _beat() -> None:
    """Start the thread that touches this process's locks, unless it runs."""
    global _beating
    if _beating is None or not _beating.is_alive():
        _beating = threading.Thread(target=_touch_locks, name="dalib locks", daemon=True)
        _beating.start()


def _touch_locks() -> None:
    """To the end of the process: a thread that ends with the last lock may be ending just as the next one is made."""
    while True:
        time.sleep(BEAT)
        for path in list(_HELD):
            with contextlib.suppress(OSError):
                _touch(path)


def _touch(path: Path) -> None:
    """A sign of life on the very file that was found to be this process's; by then another may have its name."""
    if os.utime not in os.supports_fd:
        if owns(path):
            os.utime(path)
        return
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if owns(path):
            os.utime(handle)
    finally:
        os.close(handle)


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    try:
        if os.path.lexists(path) and not path.is_file():
            raise OSError(errno.EINVAL, "No ordinary file", str(path))
        file = path.open("w")
    except OSError:  # something else has its name: the renaming above still lets one of several through
        yield
        return
    with file:
        until = time.monotonic() + PATIENCE
        while fcntl is not None and time.monotonic() < until:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.005)
            except OSError:  # a file system without such locks
                break
        yield
