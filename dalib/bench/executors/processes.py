"""Runs in persistent worker processes on this machine; a worker that dies takes only its own run with it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from dalib.bench.cores import count_cores
from dalib.core.errors import DalibError

J = TypeVar("J")
R = TypeVar("R")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def execute(jobs: Iterable[J], work: Callable[[J], R], workers: int) -> Iterator[tuple[J, R | None]]:
    """Results as they come; None for a job that killed its worker twice.

    Which of several jobs killed its worker is not known, so all that were in flight are tried again alone.
    Closing the iterator, or an exception in it (Ctrl-C), terminates the workers at once.
    """
    waiting, suspects = deque(jobs), deque[J]()
    flying: dict[Future[R], J] = {}
    deaths: Counter[int] = Counter()
    with _threads(max(1, count_cores() // workers)):
        pool = _open_pool(workers)
        try:
            while waiting or suspects or flying:
                queue, room = (suspects, 1) if suspects else (waiting, workers)
                lost: list[J] = []
                broken = False
                try:
                    while queue and len(flying) < room:
                        future = pool.submit(work, queue[0])
                        flying[future] = queue.popleft()
                except BrokenProcessPool:
                    broken = True
                for future in wait(flying, return_when=FIRST_COMPLETED).done if flying else ():
                    job = flying.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        lost.append(job)
                    else:
                        yield job, future.result()
                if not lost and not broken:
                    continue
                for future, job in flying.items():
                    wait([future])
                    if future.exception() is None:
                        yield job, future.result()
                    else:
                        lost.append(job)
                flying.clear()
                _kill(pool)
                pool = _open_pool(workers)
                for job in lost:
                    deaths[id(job)] += 1
                    if deaths[id(job)] > 1:
                        yield job, None
                    else:
                        suspects.append(job)
        finally:
            _kill(pool)


def _open_pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start)
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool:
        raise DalibError(
            "worker processes do not start; in a script, call run_suite below `if __name__ == '__main__':`"
        ) from None
    return pool


def _start() -> None:
    """Ctrl-C is the parent's business, and a worker never outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _kill(pool: ProcessPoolExecutor) -> None:
    processes = list((getattr(pool, "_processes", None) or {}).values())
    for process in processes:
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Thread counts that workers inherit, so that they hold before torch is imported."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
