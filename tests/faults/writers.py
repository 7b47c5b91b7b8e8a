"""Several runners on one store: is every run done, once, whoever dies, sleeps or lives elsewhere?

    python -m tests.faults.writers [--tries 40] [--mounts FOLDER MOUNT MOUNT MOUNT]

Every try is a store of its own and twelve quick runs that note their start. Runners are forked processes; other
machines and containers are simulated by another identity of boot, so that process numbers mean nothing between them and
only signs of life do. How long a stopped one has been silent is set, not waited for: a busy machine, on which the
living are silent for seconds too, changes nothing. silent: a run that was done twice without need or not at all, a
record that another owner's overwrote, a lock or a half-written file of a dead owner that stays, a living one's that
goes. Needs a system that can fork. Several mounts of one folder, the server's own first, by which is judged, are given
to one host each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from dalib.bench.plan import plan
from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.bench.suite import load_suite
from dalib.core import files, processes
from dalib.records import locks
from dalib.records.locks import Owner
from dalib.records.store import Store
from tests.faults.children import Child
from tests.faults.table import show
from tests.support.suites import TEXT
from tests.support.waiting import wait_until

HOMES = ("one", "two", "three")
DEAD = 2**22 + 5
"""A process number that no Linux gives."""


class Scene:
    """One store of twelve runs, and who is at it."""

    def __init__(self, root: Path, mounts: Sequence[Path] = ()) -> None:
        root.mkdir()
        self.places = [mount / f"{root.parent.name}-{root.name}" for mount in mounts] or [root / "store"]
        self.root, self.store, self.log = root, Store(self.places[0]), root / "log"
        self.suite = load_suite(Path("demo.toml"))
        self.keys = [run.key for run in plan(self.suite).runs]
        self.children: list[Child] = []
        self.spared: set[Path] = set()

    def start(self, home: str = "", seconds: float = 0.02, clock: float = 0) -> Child:
        """A runner; home: name of another boot of another machine; clock: seconds by which that one's is wrong."""

        def work() -> None:
            os.environ |= {"FAKE_LOG": str(self.log), "FAKE_SECONDS": str(seconds)}
            locks.BEAT = 0.1
            if home:
                processes._read_boot = processes._read_space = lambda: home  # type: ignore[assignment]
                processes.place.cache_clear()
            if clock:
                right = time.time
                time.time = lambda: right() + clock
            run = "tests.support.fake_runs:sleep_briefly"
            others = self.places[1:] or self.places
            place = others[HOMES.index(home or "one") % len(others)]
            run_suite(self.suite, store=place, run=run, progress=LineProgress())

        child = Child(work, self.root / f"said{len(self.children)}")
        self.children.append(child)
        return child

    def plant(self, number: int, silent: float = 0.0, **owner: object) -> Path:
        """A lock on the run of that number; owner: what differs from this process's own."""
        path = self.store.lock(self.keys[number])
        path.parent.mkdir(parents=True, exist_ok=True)
        pid = os.getpid()
        own = Owner("planted", "here", processes.place(), pid, processes.process_started(pid), time.time())
        path.write_text(json.dumps(asdict(own) | owner))
        os.utime(path, (time.time() - silent,) * 2)
        return path

    def lose(self, child: Child) -> int:
        """How many leases a stopped runner has, of which nothing was heard for long."""
        names = [p for p in (self.store.root / "locks").glob("*") if (o := locks.read_owner(p)) and o.pid == child.pid]
        for path in names:
            _silence(path)
        return len(names)

    def clear_up(self) -> None:
        """Long after all have ended one more comes, and takes away what the stopped ones left of runs that are done."""
        for child in self.children:
            child.wait()
        for path in (self.store.root / "locks").glob("*"):
            _silence(path)
        self.start("three")

    def plant_parts(self) -> None:
        """Half-written files of a dead process here, of one elsewhere long ago, of this one and of one elsewhere."""
        for folder in (self.store.root / "checkpoints", self.store.root / self.keys[0][:2]):
            folder.mkdir(parents=True, exist_ok=True)
            for place, pid, age, spared in (
                (processes.place(), DEAD, 0.0, False),
                ("00000000", 1, 2 * files.ABANDONED, False),
                (processes.place(), os.getpid(), 2 * files.ABANDONED, True),
                ("00000000", 1, 0.0, True),
            ):
                part = folder / f".x.json.{place}-{pid}.{len(self.spared)}a{int(age)}{files.SUFFIX}"
                part.write_text("half")
                os.utime(part, (time.time() - age,) * 2)
                if spared:
                    self.spared.add(part)

    def pass_an_hour(self) -> None:
        """For half-written files of hosts that were killed, which nobody elsewhere may take away before."""
        parts = {p for p in self.store.root.rglob(f".*{files.SUFFIX}") if not files.writer_of(p)} - self.spared
        for part in parts:
            os.utime(part, (time.time() - 2 * files.ABANDONED,) * 2)
        files._sweep(parts)

    def judge(self, again: int = 0) -> str:
        """The outcome when all have ended.

        Args
            again: runs that were under way when their owner was stopped, and so may have begun twice
        """
        killed = False
        for child in self.children:
            status = child.wait()
            killed |= status == -signal.SIGKILL
            if status is None:
                return "hang"
            if child.has_traceback or status not in (0, 130, -signal.SIGKILL, -signal.SIGTERM):
                return "traceback"
        starts = Counter(line.split()[0] for line in self.log.read_text().splitlines())
        done = {record.key for record in self.store.records()}
        if killed:
            self.pass_an_hour()
        parts = set(self.store.root.rglob(f".*{files.SUFFIX}"))
        left = [p for p in (self.store.root / "locks").glob("*") if p.name != ".guard"]
        sound = done == set(starts) == set(self.keys) and parts == self.spared and not left
        return "right" if sound and 12 <= starts.total() <= 12 + again else "silent"


def _silence(path: Path, seconds: float = 2 * locks.SILENCE) -> None:
    """The last sign of life is so long ago."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(path, (time.time() - seconds,) * 2)


def together(scene: Scene, chance: random.Random) -> str:
    """Two to five runners at once."""
    for _ in range(chance.randint(2, 5)):
        scene.start()
    return scene.judge()


def in_two_containers(scene: Scene, chance: random.Random) -> str:
    """Runners of two process namespaces, or of two machines, whose process numbers may be the same."""
    for home in ("one", "two", "one", "two")[: chance.randint(2, 4)]:
        scene.start(home)
    return scene.judge()


def one_is_killed(scene: Scene, chance: random.Random) -> str:
    """-9 for one of three, at any moment; the others take over what it had."""
    homes = chance.choice((("", "", ""), ("one", "two", "two")))
    first, *_ = [scene.start(home, 0.05) for home in homes]
    time.sleep(chance.random() * 0.6)
    first.stop(signal.SIGKILL)
    first.wait()
    scene.lose(first)
    scene.clear_up()
    return scene.judge(again=1)


def one_is_paused(scene: Scene, chance: random.Random) -> str:
    """One of two hosts is stopped until its leases are taken, and wakes: what it then writes must not count."""
    first, second = scene.start("one", 0.05), scene.start("two", 0.05)
    time.sleep(0.1 + chance.random() * 0.4)
    os.kill(first.pid, signal.SIGSTOP)
    wait_until(lambda: not scene.lose(first) or second.has_ended(), "what the paused one had was taken")
    time.sleep(chance.random() * 0.1)
    os.kill(first.pid, signal.SIGCONT)
    return scene.judge(again=1)


def clocks_apart(scene: Scene, chance: random.Random) -> str:
    """Two hosts whose clocks are an hour before and after the file server's; one of them may die."""
    hosts = [scene.start("one", 0.05, clock=-3600), scene.start("two", 0.05, clock=3600)]
    if chance.random() < 0.5:
        time.sleep(chance.random() * 0.5)
        dead = hosts[chance.randrange(2)]
        dead.stop(signal.SIGKILL)
        dead.wait()
        scene.lose(dead)
    scene.clear_up()
    return scene.judge(again=1)


def one_is_terminated(scene: Scene, chance: random.Random) -> str:
    """SIGTERM for one of three, at any moment."""
    first, *_ = [scene.start(seconds=0.05) for _ in range(3)]
    time.sleep(chance.random() * 0.6)
    first.stop(signal.SIGTERM)
    scene.clear_up()
    return scene.judge(again=1)


def dead_owners(scene: Scene, chance: random.Random) -> str:
    """Locks of a dead process, of a reused number, of a silent owner elsewhere, of a container of before."""
    owners: list[dict[str, object]] = [
        {"pid": DEAD}, {"started": "1"}, {"place": "elsewhere", "silent": 1e6},
        {"place": "elsewhere", "host": "before", "pid": 1, "silent": 100.0}, {"pid": -1}, {"pid": 2**80, "silent": 1e6},
    ]  # fmt: skip
    for number in range(12):
        scene.plant(number, **chance.choice(owners))  # type: ignore[arg-type]
    for _ in range(chance.randint(1, 3)):
        scene.start()
    return scene.judge()


def a_zombie(scene: Scene, chance: random.Random) -> str:
    """The owner has ended, and its parent never asked for its status."""
    zombie = Child(lambda: None, scene.root / "zombie")
    started = processes.process_started(zombie.pid)
    scene.plant(chance.randrange(12), pid=zombie.pid, started=started or "1")
    scene.start()
    outcome = scene.judge()
    zombie.wait()
    return outcome


def a_living_owner(scene: Scene, chance: random.Random) -> str:
    """Who lives is waited for, here by the process and elsewhere by its signs of life, and the run is not stolen."""
    elsewhere = chance.random() < 0.5
    lock = scene.plant(chance.randrange(12), **({"place": "elsewhere"} if elsewhere else {}))
    both, line = (scene.start(), scene.start()), f"waiting for process {os.getpid()} on here"

    def have_waited() -> bool:
        _silence(lock, locks.SILENCE / 2)
        return all(line in child.said.read_text() or child.has_ended() for child in both)

    wait_until(have_waited, "both waited for it")
    for _ in range(10):  # so that they look some times more
        _silence(lock, locks.SILENCE / 2)
        time.sleep(0.1)
    stolen = scene.log.exists() and lock.name in scene.log.read_text()
    still = lock.exists() and json.loads(lock.read_text())["token"] == "planted"
    lock.unlink(missing_ok=True)
    outcome = scene.judge()
    return outcome if still and not stolen else "silent"


def what_is_no_lock(scene: Scene, chance: random.Random) -> str:
    """Other content, a folder, or a link in the place of a lock."""
    contents = (b"", b"x", b"\xff\xfe\x00", b"{}", b"[1]", b"null", b"host 12 34", b'{"token": 1}', b"[" * 5000)
    (scene.store.root / "locks").mkdir(parents=True)
    for key in scene.keys:
        path, way = scene.store.lock(key), chance.randrange(6)
        if way == 0:
            path.mkdir()
        elif way == 1:
            path.symlink_to("nowhere")
        elif way == 2:
            os.mkfifo(path)
        else:
            path.write_bytes(chance.choice(contents))
    for _ in range(chance.randint(1, 3)):
        scene.start()
    return scene.judge()


def orphans(scene: Scene, chance: random.Random) -> str:
    """Half-written files: those of the dead go, those of the living stay."""
    scene.plant_parts()
    for _ in range(chance.randint(1, 2)):
        scene.start()
    return scene.judge()


SCENES: dict[str, Callable[[Scene, random.Random], str]] = {
    "several runners at once": together,
    "runners of two containers": in_two_containers,
    "-9 for one of three runners": one_is_killed,
    "a paused owner wakes": one_is_paused,
    "clocks an hour apart": clocks_apart,
    "SIGTERM for one of three runners": one_is_terminated,
    "locks of dead owners": dead_owners,
    "a zombie's lock": a_zombie,
    "a living owner's lock": a_living_owner,
    "what is no lock": what_is_no_lock,
    "half-written files": orphans,
}


def prepare(folder: Path) -> None:
    """A feature file and a suite in the folder, which becomes the working one."""
    import numpy as np

    os.chdir(folder)
    os.environ["DALIB_CACHE"] = str(folder / "cache")
    chance = np.random.default_rng(0)
    arrays = {f"{d}_x": chance.normal(size=(8, 4)).astype(np.float32) for d in "ab"}
    np.savez(folder / "toy.npz", **arrays, **{f"{d}_y": np.arange(8) % 2 for d in "ab"})
    (folder / "demo.toml").write_text(TEXT)


def tabulate(tries: int, mounts: Sequence[Path] = ()) -> dict[str, Counter[str]]:
    """Kind -> outcomes."""
    before, table = Path.cwd(), {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            prepare(Path(folder))
            for name, play in SCENES.items():
                chance, table[name] = random.Random(0), Counter[str]()
                for number in range(tries):
                    scene = Scene(Path(folder, f"{play.__name__}{number}"), mounts)
                    table[name][play(scene, chance)] += 1
        finally:
            os.chdir(before)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=40)
    parser.add_argument("--mounts", type=Path, nargs="+", default=[])
    asked = parser.parse_args()
    print(show(tabulate(asked.tries, [mount.resolve() for mount in asked.mounts])))


if __name__ == "__main__":
    main()
