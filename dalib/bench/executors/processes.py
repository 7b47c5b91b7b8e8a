"""Runs in persistent worker processes on this machine; a worker that dies takes only its own run with it."""

from __future__ import annotations

import ctypes
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

    Which of several jobs killed its worker is not known, so all that were in flight are tried again alone. One that had
    not begun cannot have done it: it is tried again too, but not counted against.
    Closing the iterator, or an exception in it (Ctrl-C), terminates the workers at once.
    """
    everything = list(jobs)
    waiting, suspects = deque(range(len(everything))), deque[int]()
    flying: dict[Future[R], int] = {}
    deaths: Counter[int] = Counter()
    begun = multiprocessing.get_context("spawn").RawArray("b", len(everything) or 1)
    with _threads(max(1, count_cores() // workers)):
        pool = _open_pool(workers, begun)
        try:
            while waiting or suspects or flying:
                queue, room = (suspects, 1) if suspects else (waiting, workers)
                lost: list[int] = []
                broken = False
                try:
                    while queue and len(flying) < room:
                        begun[queue[0]] = 0
                        future = _submit(pool, work, queue[0], everything[queue[0]])
                        flying[future] = queue.popleft()
                except BrokenProcessPool:
                    broken = True
                for future in wait(flying, return_when=FIRST_COMPLETED).done if flying else ():
                    job = flying.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        lost.append(job)
                    else:
                        yield everything[job], future.result()
                if not lost and not broken:
                    continue
                for future, job in flying.items():
                    wait([future])
                    if future.exception() is None:
                        yield everything[job], future.result()
                    else:
                        lost.append(job)
                flying.clear()
                _kill(pool)
                pool = _open_pool(workers, begun)
                guilty = [job for job in lost if begun[job]] or lost
                deaths.update(guilty)
                for job in lost:
                    if deaths[job] > 1:
                        yield everything[job], None
                    else:
                        suspects.append(job)
        finally:
            _kill(pool)


def _open_pool(workers: int, begun: ctypes.Array[ctypes.c_byte]) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(begun,))
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool:
        raise DalibError(
            "worker processes do not start; in a script, call run_suite below `if __name__ == '__main__':`"
        ) from None
    return pool


def _submit(pool: ProcessPoolExecutor, work: Callable[[J], R], number: int, job: J) -> Future[R]:
    """`pool.submit`, which starts workers as they are asked for and meets closed pipes if the pool breaks meanwhile.

    Raises:
        BrokenProcessPool: The pool is broken, whatever `submit` stumbled over.
    """
    try:
        return pool.submit(_work, work, number, job)
    except (OSError, RuntimeError, ValueError):
        pool.submit(os.getpid)
        raise


_begun: ctypes.Array[ctypes.c_byte]
"""In a worker: which jobs have begun, shared with the parent; without a lock, which a killed worker might hold."""


def _work(work: Callable[[J], R], number: int, job: J) -> R:
    _begun[number] = 1
    return work(job)


def _start(begun: ctypes.Array[ctypes.c_byte]) -> None:
    """Ctrl-C is the parent's business, and a worker never outlives it."""
    global _begun
    _begun = begun
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
