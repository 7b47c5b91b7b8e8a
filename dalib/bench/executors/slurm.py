"""Runs as array jobs of Slurm, through submitit; what is preempted or timed out goes on from its checkpoint."""

from __future__ import annotations

import getpass
import json
import subprocess
import time as clock
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any, TypeVar

from dalib.core.errors import DalibError
from dalib.core.files import write_text

J = TypeVar("J")
R = TypeVar("R")
ELSEWHERE = True
LIMIT, GRACE, PAUSE = 1000, 10.0, 0.5
"""Tasks of an array (Slurm takes 1001 unless told otherwise); seconds for which the result of a task that has left the
queue is waited for, since file servers are late; seconds between two looks."""
NONE: dict[str, str] = {}


def find_missing() -> str:
    """Why this executor cannot be used here; empty if it can."""
    if not find_spec("submitit"):
        return "submitit is not installed: pip install 'dalib-toolkit[slurm]'"
    gone = [tool for tool in ("sbatch", "squeue", "scancel", "srun") if not which(tool)]
    return f"no {gone[0]} on this machine; start dalib run where Slurm's commands are" if gone else ""


def execute(
    jobs: Iterable[J],
    work: Callable[[J], R],
    workers: int,
    *,
    partition: str = "",
    time: int = 60,
    gres: str = "",
    cpus: int = 1,
    memory: float = 0.0,
    runs_per_task: int = 1,
    retries: int = 1,
    timeouts: int = 3,
    setup: tuple[str, ...] = (),
    sbatch: dict[str, str] = NONE,
    folder: str = "",
) -> Iterator[tuple[J, R | None]]:
    """Results as they come; None for a job whose task was lost more than `retries` times.

    Closing the iterator, or an exception in it (Ctrl-C), cancels what was submitted. What `submit` has handed over
    before, and is still queued, is waited for instead of being submitted again.

    Args
        workers: tasks of an array that run at a time
        partition, time, gres, cpus, memory: what a task asks for; minutes, `gpu:1`, cores, GB
        runs_per_task: how many runs a task does one after the other; short ones are worth a task together
        retries: how often a lost run is submitted again
        timeouts: how often a task that reached its time is queued again; preempted ones always are
        setup: lines of the job script before the command (`module load cuda`)
        sbatch: further options, `{ account = "x", signal = "USR2@300" }`
        folder: of scripts, logs and results, on a disk that all nodes see; default: `slurm` in the store
    """
    everything = list(jobs)
    if not everything:
        return
    queue = _Queue(_place(everything, folder), workers, timeouts, _parameters(locals()))
    pending = queue.adopt(everything)
    losses: Counter[int] = Counter()
    try:
        queue.submit(pending, everything, work, max(1, runs_per_task))
        while queue.tasks:
            for position, result in queue.collect():
                if result is not None:
                    yield everything[position], result[0]
                    continue
                losses[position] += 1
                if losses[position] > retries:
                    yield everything[position], None
                else:
                    queue.submit([position], everything, work, 1)
            clock.sleep(PAUSE)
    finally:
        queue.cancel()


def submit(jobs: Sequence[J], work: Callable[[J], R], workers: int, **options: Any) -> int:
    """Hand everything over and come back: `execute` finds it again."""
    queue = _Queue(_place(jobs, options.get("folder", "")), workers, options.get("timeouts", 3), _parameters(options))
    pending = queue.adopt(jobs)
    queue.submit(pending, jobs, work, max(1, options.get("runs_per_task", 1)))
    return len(jobs)


def show_job(jobs: Sequence[Any], workers: int, **options: Any) -> str:
    """The job script."""
    if not find_spec("submitit"):
        raise DalibError("submitit is not installed: pip install 'dalib-toolkit[slurm]'")
    import shlex
    import sys

    from submitit.slurm.slurm import _make_sbatch_string

    place, per_task = _place(jobs, options.get("folder", "")), max(1, options.get("runs_per_task", 1))
    command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(place))}"
    parameters = _parameters(options) | {"array_parallelism": workers}
    tasks = min(LIMIT, -(-len(jobs) // per_task))
    script: str = _make_sbatch_string(command, place, map_count=tasks, **parameters)
    return script


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Of submitit, whose names are those of sbatch."""
    found: dict[str, Any] = {"job_name": "dalib", "time": given.get("time", 60), "cpus_per_task": given.get("cpus", 1)}
    found |= {name: given[name] for name in ("partition", "gres") if given.get(name)}
    if given.get("memory"):
        found["mem"] = f"{round(given['memory'] * 1024)}M"
    if given.get("setup"):
        found["setup"] = list(given["setup"])
    return found | {"additional_parameters": {"requeue": True, **given.get("sbatch", NONE)}}


def _place(jobs: Sequence[Any], folder: str) -> Path:
    """The folder of the engine's files: as given, else in the store of the first run."""
    store = getattr(jobs[0][0], "store", None) if isinstance(jobs[0], tuple) and jobs[0] else None
    return Path(folder or (store / "slurm" if store else ".dalib-slurm")).resolve()


def _keys(job: Any) -> list[str]:
    """By which a job is found again; nothing for jobs of no store."""
    return [run.key for run in job if hasattr(run, "key")] if isinstance(job, tuple) else []


def list_queued(store: Path) -> set[str]:
    """Keys of the runs of a store that wait in the queue."""
    ledger = store / "slurm" / "submitted.jsonl"
    if not ledger.exists() or not which("squeue"):
        return set()
    waiting = {task for task, state in (read_queue() or {}).items() if state == "PENDING"}
    return {key for task, items in _read_ledger(ledger) if task in waiting for keys in items for key in keys}


def _read_ledger(path: Path) -> list[tuple[str, list[list[str]]]]:
    """(id of a task, keys of its runs one job after the other), less a line that a full disk or a kill has cut."""
    lines: list[tuple[str, list[list[str]]]] = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        with suppress(ValueError, TypeError):
            task, items = json.loads(line)
            lines.append((str(task), items))
    return lines


class _Task:
    """What a task of an array does: its runs in turn. Queued again, those that have a record are skipped."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work

    def __call__(self, jobs: Sequence[Any]) -> list[Any]:
        return [self.work(job) for job in jobs]

    def checkpoint(self, jobs: Sequence[Any]) -> Any:
        """Asked for by submitit when Slurm takes the node away or the time is over."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, jobs)


class _Queue:
    """What is with Slurm: id of a task -> {place in its list: number of the job}."""

    def __init__(self, folder: Path, workers: int, timeouts: int, parameters: dict[str, Any]) -> None:
        if missing := find_missing():
            raise DalibError(missing)
        import submitit

        self.folder, self.ledger = folder, folder / "submitted.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.engine = submitit.SlurmExecutor(folder, max_num_timeout=timeouts)
        self.engine.update_parameters(array_parallelism=workers, **parameters)
        self.job_class = submitit.SlurmJob
        self.tasks: dict[str, dict[int, int]] = {}
        self.seen: set[str] = set()
        self.missed: dict[str, float] = {}

    def adopt(self, jobs: Sequence[Any]) -> list[int]:
        """Numbers of the jobs that are not queued; those that are belong to this process from now on."""
        queued = read_queue()
        if self.ledger.exists() and queued is None:
            raise DalibError("squeue does not answer, so what is queued already is not known; try again")
        known: dict[tuple[str, ...], tuple[str, int]] = {}
        for task, items in _read_ledger(self.ledger):
            if task in (queued or {}):
                known |= {tuple(keys): (task, place) for place, keys in enumerate(items)}
        pending = []
        for number, job in enumerate(jobs):
            task, place = known.get(tuple(_keys(job)), ("", 0))
            if task:
                self.tasks.setdefault(task, {})[place] = number
                self.seen.add(task)
            else:
                pending.append(number)
        return pending

    def submit(self, numbers: Sequence[int], jobs: Sequence[Any], work: Callable[[Any], Any], per_task: int) -> None:
        chunks = [numbers[i : i + per_task] for i in range(0, len(numbers), per_task)]
        for start in range(0, len(chunks), LIMIT):
            part = chunks[start : start + LIMIT]
            try:
                made = self.engine.map_array(_Task(work), [[jobs[n] for n in chunk] for chunk in part])
            except OSError:
                raise
            except Exception as error:  # submitit has several, with the words of sbatch
                text = " ".join(str(error).split())
                raise DalibError(f"sbatch refuses the job: {text[-300:]}") from None
            made_of = list(zip([job.job_id for job in made], part, strict=True))
            self.tasks |= {task: dict(enumerate(chunk)) for task, chunk in made_of}
            self.seen.update(task for task, _ in made_of)
            known = [(task, [_keys(jobs[n]) for n in chunk]) for task, chunk in made_of]
            try:
                with self.ledger.open("a") as file:  # a line break first, for the line before may have been cut
                    file.writelines(f"\n{json.dumps(line)}" for line in known if all(line[1]))
            except OSError as error:
                error.filename = error.filename or str(self.ledger)
                raise

    def collect(self) -> Iterator[tuple[int, tuple[Any] | None]]:
        """(number of a job, its result) of tasks that have ended; None where one ended without a word.

        Raises
            DalibError: a task broke before it came to its runs
        """
        queued = read_queue()
        for task in list(self.tasks):
            answer = self.job_class(self.folder, task).paths
            if answer.result_pickle.exists():
                places = self.tasks.pop(task)
                kind, results = self._read(answer.result_pickle)
                if kind != "success":
                    last = (str(results).strip().splitlines() or ["no reason given"])[-1]
                    raise DalibError(f"task {task} of slurm failed: {last[:300]}; its log is {answer.stderr}")
                for path in (answer.result_pickle, answer.submitted_pickle, answer.stdout, answer.stderr):
                    Path(path).unlink(missing_ok=True)
                for place, number in places.items():
                    yield number, (results[place],)
            elif queued is None or task in queued:
                self.missed.pop(task, None)
            elif clock.monotonic() - self.missed.setdefault(task, clock.monotonic()) > GRACE:
                for number in self.tasks.pop(task).values():
                    yield number, None

    def cancel(self) -> None:
        """Take everything out of the queue; runs under way are killed, and go on from their checkpoint another time.

        So are tasks that Slurm queued again when their results were there already.
        """
        others = [line for line in _read_ledger(self.ledger) if line[0] not in self.seen]
        try:
            write_text(self.ledger, "".join(f"{json.dumps(line)}\n" for line in others))
        finally:
            self._cancel()

    def _cancel(self) -> None:
        left = list(self.tasks | dict.fromkeys(self.seen.intersection(read_queue() or {})))
        for how in ([], ["--full", "--signal", "KILL"]) if left else ():
            subprocess.run(["scancel", *how, *left], capture_output=True, check=False)
        self.tasks.clear()

    def _read(self, path: Path) -> tuple[str, Any]:
        from submitit.core.utils import pickle_load

        kind, results = pickle_load(path)
        return str(kind), results


def read_queue() -> dict[str, str] | None:
    """Id of every task of this user that is queued or running -> its state; None where squeue does not answer."""
    command = ["squeue", "-h", "-r", "-u", getpass.getuser(), "-o", "%i %T"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode:
        return None
    return {line.split()[0]: line.split()[1] for line in answer.stdout.splitlines() if len(line.split()) == 2}
