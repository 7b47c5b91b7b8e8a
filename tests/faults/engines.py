"""Real engines, a Ray or Dask cluster of two nodes and a Slurm that runs: are their records those of an inline run?

    python -m tests.faults.engines same   --engine ray|dask|slurm [--whole]
    python -m tests.faults.engines faults --engine ray|dask|slurm [--tries 10]
    python -m tests.faults.engines time   --engine processes|ray|dask|slurm [--runs 200] [--seconds 1]

`same` runs eight runs of the demonstration, or the whole of it, inline and there; numbers must be equal to the bit.
`faults` kills a worker, a node's daemon (raylet, nanny, slurmd) or the driver at a random moment of a suite of twelve
runs, or has Slurm queue a running task again, as it does where a job of more weight takes the node. `time` is the time
of quick runs with 1, 2 and 4 at a time, and what each costs beyond its own seconds.

Ray's and Dask's nodes are started and ended here. Slurm must run, with its nodes on this machine and `SLURM_CONF` set;
slurmd is started again after it was killed. All see PYTHONPATH, which must hold this checkout.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dalib.bench.executors.slurm import read_queue
from dalib.bench.plan import plan
from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.bench.suite import Suite, find_suite, load_suite
from dalib.records.store import Store
from tests.faults.table import show
from tests.support import fake_runs
from tests.support.suites import TEXT
from tests.support.waiting import wait_until

DRIVER = """
import sys
from tests.faults.engines import run
if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], eval(sys.argv[3]), int(sys.argv[4]))
"""
Spec = dict[str, Any]


def noted(spec: Any, context: Any) -> Any:
    """A run that says at its start which process is at it."""
    with Path(os.environ["FAKE_LOG"] + ".pids").open("a") as log:
        log.write(f"{os.getpid()}\n")
    return fake_runs.sleep_briefly(spec, context)


def run(suite: str, store: str, executor: Spec, jobs: int) -> None:
    run_suite(
        suite, store=store, executor=executor, jobs=jobs, run="tests.faults.engines:noted", progress=LineProgress()
    )


def prepare(folder: Path, seeds: int = 3) -> Path:
    """A feature file and a suite of four runs per seed."""
    import numpy as np

    chance = np.random.default_rng(0)
    arrays = {f"{d}_x": chance.normal(size=(8, 4)).astype(np.float32) for d in "ab"}
    np.savez(folder / "toy.npz", **arrays, **{f"{d}_y": np.arange(8) % 2 for d in "ab"})
    (folder / "demo.toml").write_text(TEXT.replace("[0, 1, 2]", str(list(range(seeds)))))
    return folder / "demo.toml"


class Ray:
    """Two nodes of a cluster on this machine."""

    daemon = "raylet"
    kinds = ("worker", daemon, "driver")

    def __init__(self, folder: Path) -> None:
        os.environ["RAY_AUTH_MODE"] = "disabled"  # the nodes are of this machine and this process
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.nodes = [self._start("--head", f"--port={self.port}", "--include-dashboard=false")]
        until = time.monotonic() + 60
        while time.monotonic() < until and socket.socket().connect_ex(("127.0.0.1", self.port)):
            time.sleep(0.5)
        time.sleep(3)
        self.nodes.append(self._join())
        time.sleep(6)

    def spec(self) -> Spec:
        return {"name": "ray", "address": f"127.0.0.1:{self.port}", "retries": 3}

    def kill_daemon(self, chance: random.Random) -> None:
        """Of the node that is not the head's."""
        for pid in descendants(self.nodes[1].pid):
            if "raylet" in command_of(pid).partition(" ")[0]:
                os.kill(pid, signal.SIGKILL)

    def mend(self) -> None:
        if self.nodes[1].poll() is not None or not any(
            "raylet" in command_of(p).partition(" ")[0] for p in descendants(self.nodes[1].pid)
        ):
            self._end(self.nodes[1])
            self.nodes[1] = self._join()
            time.sleep(6)

    def stop(self) -> None:
        for node in reversed(self.nodes):
            self._end(node)

    def _join(self) -> subprocess.Popen[bytes]:
        return self._start(f"--address=127.0.0.1:{self.port}")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        ray = str(Path(sys.executable).with_name("ray"))
        command = [ray, "start", "--block", "--num-cpus=2", "--disable-usage-stats"]
        command += ["--object-store-memory=100000000", *words]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def _end(self, node: subprocess.Popen[bytes]) -> None:
        below = descendants(node.pid)
        node.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.wait(20)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Dask:
    """A scheduler and two workers with their nannies on this machine."""

    daemon = "nanny"
    kinds = ("worker", daemon, "driver")

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        listening = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file))
        self.scheduler = self._start("scheduler", *listening)
        wait_until(lambda: self.file.exists() and bool(self.file.read_text()), "the scheduler listened")
        self.address = json.loads(self.file.read_text())["address"]
        self.nodes = [self._join() for _ in range(2)]

    def spec(self) -> Spec:
        return {"name": "dask", "address": self.address, "retries": 3}

    def kill_daemon(self, chance: random.Random) -> None:
        chance.choice(self.nodes).kill()

    def mend(self) -> None:
        self.nodes = [self._join() if node.poll() is not None else node for node in self.nodes]

    def stop(self) -> None:
        for process in (*self.nodes, self.scheduler):
            process.kill()
            process.wait()

    def _join(self) -> subprocess.Popen[bytes]:
        return self._start("worker", self.address, "--nthreads", "1", "--memory-limit", "0", "--no-dashboard")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Slurm:
    """The Slurm of SLURM_CONF, whose nodes are on this machine."""

    daemon = "slurmd"
    kinds = ("worker", daemon, "driver", "requeue")

    def __init__(self, folder: Path) -> None:
        self.conf = os.environ["SLURM_CONF"]
        text = Path(self.conf).read_text()
        self.pids = next(line.split("=", 1)[1] for line in text.splitlines() if line.startswith("SlurmdPidFile="))
        self.nodes = [line.split()[0].split("=")[1] for line in text.splitlines() if line.startswith("NodeName=")]

    def spec(self) -> Spec:
        return {"name": "slurm", "time": 10, "runs_per_task": 2, "retries": 3}

    def kill_daemon(self, chance: random.Random) -> None:
        self.hit = chance.choice(self.nodes)
        os.kill(int(Path(self.pids.replace("%n", self.hit)).read_text()), signal.SIGKILL)
        time.sleep(3)
        subprocess.run(["slurmd", "-f", self.conf, "-N", self.hit], check=True)

    def requeue(self) -> None:
        """Every task that runs now goes back into the queue, as if its node were taken; it waits 15 seconds there."""
        running = [task for task, state in (read_queue() or {}).items() if state == "RUNNING"]
        for task in running:
            subprocess.run(["scontrol", "requeue", task], check=False)
        time.sleep(15)
        for task in running:  # Slurm's own wait is two minutes
            subprocess.run(["scontrol", "update", f"jobid={task}", "StartTime=now"], check=False, capture_output=True)

    def mend(self) -> None: ...

    def stop(self) -> None: ...


class Local:
    """Worker processes of this machine."""

    daemon = ""

    def __init__(self, folder: Path) -> None: ...

    def spec(self) -> Spec:
        return {"name": "processes"}

    def stop(self) -> None: ...


ENGINES: dict[str, Callable[[Path], Any]] = {"ray": Ray, "dask": Dask, "slurm": Slurm, "processes": Local}


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    """Of a process of ours, by the table of processes."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, queue = [], [pid]
    while queue:
        queue += (children := parents.get(queue.pop(), []))
        found += children
    return found


@contextlib.contextmanager
def engine(name: str, folder: Path) -> Iterator[Any]:
    os.environ |= {"FAKE_LOG": str(folder / "log"), "DALIB_CACHE": str(folder / "cache")}
    made = ENGINES[name](folder)
    try:
        yield made
    finally:
        made.stop()


def same(name: str, folder: Path, whole: bool) -> int:
    """How many records of the demonstration, or of eight runs of it, are other there than inline."""
    suite: Suite = load_suite(find_suite("demo"))
    rows: tuple[str, ...] = ()
    if not whole:
        suite = suite.model_copy(update={"seeds": [0], "tasks": ["amazon->webcam", "webcam->dslr"]})
        rows = ("source_only", "coral", "dann", "mcc")
    with engine(name, folder) as there:
        run_suite(suite, store=folder / "inline", jobs=1, only=rows)
        spec = there.spec() | ({"runs_per_task": 27, "time": 60} if name == "slurm" and whole else {})
        run_suite(suite, store=folder / "there", executor=spec, jobs=2, only=rows)
    here = {r.key: [c.model_dump() for c in r.candidates] for r in Store(folder / "inline").records()}
    found = {r.key: [c.model_dump() for c in r.candidates] for r in Store(folder / "there").records()}
    differ = [key for key in here.keys() | found.keys() if here.get(key) != found.get(key)]
    print(f"{name}: {len(found)} records, {len(differ)} differ from those of an inline run")
    return len(differ)


def strike(what: str, there: Any, driver: subprocess.Popen[bytes], log: Path, chance: random.Random) -> None:
    if what == "driver":
        driver.kill()
    elif what == "requeue":
        there.requeue()
    elif what == "worker":
        pids = log.with_name(log.name + ".pids")
        living = [p for p in map(int, pids.read_text().split() if pids.exists() else ()) if command_of(p)]
        for pid in living[-1:]:
            os.kill(pid, signal.SIGKILL)
    else:
        there.kill_daemon(chance)


def one_fault(what: str, there: Any, folder: Path, chance: random.Random) -> str:
    """The outcome of one kill at a random moment."""
    suite = prepare(folder)
    os.environ |= {"FAKE_LOG": str(folder / "log"), "FAKE_SECONDS": "0.3"}
    store, log = Store(folder / "store"), folder / "log"
    command = [sys.executable, "-c", DRIVER, str(suite), str(store.root), repr(there.spec()), "2"]
    for attempt in range(4):
        with (folder / "said").open("ab") as said:
            driver = subprocess.Popen(command, stdout=said, stderr=said)
            if attempt == 0:
                until = time.monotonic() + 60
                while not log.with_name("log.pids").exists() and time.monotonic() < until:
                    time.sleep(0.05)
                time.sleep(chance.random() * 1.5)
                strike(what, there, driver, log, chance)
            try:
                status = driver.wait(180)
            except subprocess.TimeoutExpired:
                driver.kill()
                return "hang"
        there.mend()
        if status == 0:
            break
    wanted = {r.key for r in plan(load_suite(suite)).runs}
    records = {r.key: r for r in store.records()}
    right = records.keys() == wanted and all(
        r.status == "ok" and r.candidates[-1].metrics["target_accuracy"] == int(k[:4], 16) / 65535
        for k, r in records.items()
    )
    starts = Counter(line.split()[0] for line in log.read_text().splitlines())
    return "right" if right and starts.total() <= len(wanted) + 2 * 2 else "silent"


def faults(name: str, folder: Path, tries: int) -> int:
    chance, table = random.Random(0), {}
    with engine(name, folder) as there:
        for what in there.kinds:
            counts = Counter[str]()
            for number in range(tries):
                place = folder / f"{what}{number}"
                place.mkdir()
                outcome = one_fault(what, there, place, chance)
                counts[outcome] += 1
                if outcome != "right":
                    print(what, number, outcome, (place / "said").read_text(errors="replace")[-2000:], flush=True)
            table[f"{name}: {'queued again' if what == 'requeue' else f'-9 for the {what}'}"] = counts
            print(show(table), flush=True)
    return sum(counts.total() - counts["right"] for counts in table.values())


def timing(name: str, folder: Path, runs: int, seconds: float) -> int:
    suite = prepare(folder, runs // 4)
    print(f"{'engine':12}{'at a time':>10}{'seconds':>9}{'overhead per run, ms':>22}")
    with engine(name, folder) as there:
        os.environ["FAKE_SECONDS"] = str(seconds)
        for jobs in (1, 2, 4):
            spec = there.spec() | ({"runs_per_task": max(1, runs // (5 * jobs))} if name == "slurm" else {})
            begun = time.monotonic()
            run(str(suite), str(folder / f"store{jobs}"), spec, jobs)
            took = time.monotonic() - begun
            print(f"{name:12}{jobs:>10}{took:>9.1f}{1000 * (took * jobs / runs - seconds):>22.0f}", flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("same", "faults", "time"))
    parser.add_argument("--engine", choices=sorted(ENGINES), required=True)
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--whole", action="store_true", help="all of the demonstration")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        if asked.what == "same":
            return int(same(asked.engine, Path(place), asked.whole) > 0)
        if asked.what == "faults":
            return int(faults(asked.engine, Path(place), asked.tries) > 0)
        return timing(asked.engine, Path(place), asked.runs, asked.seconds)


if __name__ == "__main__":
    sys.exit(main())
