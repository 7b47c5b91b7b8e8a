"""Runs as tasks of a Dask cluster, local or at an address; a lost worker is a retry."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from threading import Lock
from typing import Any, TypeVar

from dalib.core.errors import DalibError

J = TypeVar("J")
R = TypeVar("R")
ELSEWHERE = True
HANDED_ON = ("DALIB_", "FAKE_")
"""Beginnings of the variables that workers get as they are here."""
_one_at_a_time = Lock()


def find_missing() -> str:
    """Why this executor cannot be used here; empty if it can."""
    return "" if find_spec("distributed") else "distributed is not installed: pip install 'dalib-toolkit[dask]'"


def execute(
    jobs: Iterable[J], work: Callable[[J], R], workers: int, *, address: str = "", cpus: int = 1, retries: int = 1
) -> Iterator[tuple[J, R | None]]:
    """Results as they come; None for a job whose worker was lost more than `retries` times.

    A worker does one run at a time, however many threads it has. Closing the iterator, or an exception in it (Ctrl-C),
    ends the workers that are at a run; their nannies start others.

    Args
        address: of a scheduler (`tcp://node7:8786`); empty starts workers here, for as long as the suite runs
        cpus: of a run; workers at an address have what they were started with
        retries: how often a lost run is tried again; at an address on top of the scheduler's own (`allowed-failures`)
    """
    if missing := find_missing():
        raise DalibError(missing)
    waiting = deque(enumerate(jobs))
    if not waiting:
        return
    client, cluster = _connect(address, min(workers, len(waiting), (os.cpu_count() or 1) // max(1, cpus)))
    from distributed import KilledWorker, as_completed

    variables = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
    flying: dict[Any, tuple[int, J]] = {}
    losses, done = Counter[int](), as_completed(loop=client.loop)
    try:
        while waiting or flying:
            while waiting and len(flying) < min(workers, max(1, len(client.nthreads()))):
                future = client.submit(_call, variables, work, waiting[0][1], pure=False)
                flying[future] = waiting.popleft()
                done.add(future)
            number, job = flying.pop(future := next(done))
            if future.status == "finished":
                yield job, future.result()
            elif future.status != "error":
                raise DalibError("the dask scheduler is gone; the same command goes on with what is left")
            elif not isinstance(error := future.exception(), KilledWorker):
                raise error
            elif losses[number] < retries:
                losses[number] += 1
                waiting.append((number, job))
            else:
                yield job, None
    finally:
        with suppress(OSError, ValueError, RuntimeError):  # a run can be stopped with its process alone
            keys, tasks = {future.key for future in flying}, client.processing() if flying else {}
            client.cancel(list(flying), force=True)
            if busy := [worker for worker, at in tasks.items() if keys.intersection(at)]:
                client.restart_workers(busy, timeout=10, raise_for_error=False)
        client.close()
        if cluster:
            cluster.close()


def _connect(address: str, number: int) -> tuple[Any, Any]:
    """(client, the cluster that it began)."""
    import dask
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "memory_limit": None, "dashboard_address": None, "silence_logs": 50}
    own = {"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": False}
    try:
        with dask.config.set({} if address else own):
            cluster = None if address else LocalCluster(n_workers=max(1, number), **options)
        return Client(cluster or address, set_as_default=False), cluster
    except (OSError, ValueError, RuntimeError) as error:
        raise DalibError(
            f"no dask scheduler at {address or 'this machine'} ({str(error)[:200]}); "
            "`dask scheduler` begins one, `dask worker ADDRESS` adds workers; or leave address out"
        ) from None


def _call(variables: dict[str, str], work: Callable[[J], R], job: J) -> R:
    os.environ.update(variables)
    with _one_at_a_time:
        return work(job)
