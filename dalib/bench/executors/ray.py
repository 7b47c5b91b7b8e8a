"""Runs as tasks of a Ray cluster, local or at an address, with parts of GPUs; a lost worker is a retry."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any, TypeVar

from dalib.core.errors import DalibError

J = TypeVar("J")
R = TypeVar("R")
ELSEWHERE = True
HANDED_ON = ("DALIB_", "OMP_", "MKL_", "FAKE_", "PYTHONPATH")
"""Beginnings of the variables that workers get as they are here."""


def find_missing() -> str:
    """Why this executor cannot be used here; empty if it can."""
    return "" if find_spec("ray") else "ray is not installed: pip install 'dalib-toolkit[ray]'"


def execute(
    jobs: Iterable[J],
    work: Callable[[J], R],
    workers: int,
    *,
    address: str = "",
    cpus: float = 1.0,
    gpus: float = 0.0,
    retries: int = 1,
) -> Iterator[tuple[J, R | None]]:
    """Results as they come; None for a job whose worker or machine was lost more than `retries` times.

    Closing the iterator, or an exception in it (Ctrl-C), cancels what is running.

    Args
        address: of a cluster (`auto`: the one of this machine); empty starts one here, for as long as the suite runs
        cpus, gpus: of a run; parts (0.25) let several share one
        retries: how often a lost run is tried again
    """
    if missing := find_missing():
        raise DalibError(missing)
    import ray

    waiting = deque(enumerate(jobs))
    if not waiting:
        return
    own = not ray.is_initialized()
    if own:
        _connect(ray, address)
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(_call)
    flying: dict[Any, tuple[int, J]] = {}
    losses: Counter[int] = Counter()
    try:
        while waiting or flying:
            while waiting and len(flying) < workers:
                number, job = waiting.popleft()
                flying[task.remote(work, job)] = (number, job)
            for done in ray.wait(list(flying), timeout=1.0)[0]:
                number, job = flying.pop(done)
                try:
                    result = ray.get(done)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except ray.exceptions.RayError:
                    losses[number] += 1
                    if losses[number] > retries:
                        yield job, None
                    else:
                        waiting.append((number, job))
                else:
                    yield job, result
    finally:
        for reference in flying:
            ray.cancel(reference, force=True)
        if own:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    variables = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
    try:
        ray.init(
            address=address or "local",
            runtime_env={"env_vars": variables},
            include_dashboard=False if not address else None,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise DalibError(
            f"no ray cluster at {address or 'this machine'} ({reason[0][:200]}); "
            "`ray start`, as its head, begins one; or leave address out"
        ) from None


def _call(work: Callable[[J], R], job: J) -> R:
    return work(job)
