"""One run of a suite over several processes: a row with `devices = N`."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from dalib.assemble import RunContext
from dalib.bench.run import RecordedRun, run_one
from dalib.core.errors import DalibError
from dalib.records.record import Failure, Record
from dalib.records.spec import RunSpec

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name))
Made = tuple[Record, dict[str, np.ndarray]]


def run_shared(spec: RunSpec, context: RunContext) -> Made:
    """`run_one` by `context.processes` processes, which `torchrun`'s launcher starts and connects.

    The record is the first one's, as one process would have made it up to rounding; how many there were is provenance.
    Where one fails, the failure recorded is the one that came first.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    n, started = context.processes, time.monotonic()
    device = "cuda" if context.device.startswith("cuda") else context.device  # each takes its own
    each = replace(context, processes=1, distributed=True, device=device, threads=max(1, context.threads // n))
    with tempfile.TemporaryDirectory() as folder:
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=n, run_id=f"dalib-{os.getpid()}", max_restarts=0,
            rdzv_backend="c10d", rdzv_endpoint="localhost:0", monitor_interval=0.1,
        )  # fmt: skip
        ended, fell = False, set[int]()
        try:
            with _undisturbed():
                elastic_launch(config, _run_rank)(spec, each, folder)
        except ChildFailedError as error:
            ended, fell = True, set(error.failures)  # those that fell by themselves: the launcher ends the others
        except SignalException:
            raise KeyboardInterrupt from None
        told: list[tuple[float, Made]] = [pickle.loads(file.read_bytes()) for file in Path(folder).glob("rank*")]
        silent = [rank for rank in range(n) if not Path(folder, f"rank{rank}").exists()]
    told.sort(key=lambda made: made[0])
    failures = [record for _, (record, _) in told if record.error]
    failed = next((record for record in failures if not _lost_another(record)), None)
    if failed is None and (ended or failures):
        names = " or ".join(map(str, [rank for rank in silent if rank in fell] or silent)) or "one"
        message = f"no word from process {names} of {n}: killed (out of memory?); lower batch_size or devices"
        failed = Record(key=spec.key, spec=spec, status="failed", error=Failure(type="WorkerDied", message=message))
    if failed is not None:
        failed.seconds = {"total": round(time.monotonic() - started, 3)}
    record, arrays = (failed, {}) if failed else next(made for _, made in told if made[1])
    record.provenance["processes"] = n
    return record, arrays


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The launcher takes every signal for itself, for good, and logs what the record says already: not so inside."""
    mine = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS} if mine else {}
    loggers = [logging.getLogger(name) for name in ("torch.distributed.elastic", "torch.multiprocessing.spawn")]
    loggers += [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)
                if name.startswith("torch.distributed.elastic.")]  # fmt: skip
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _run_rank(spec: RunSpec, context: RunContext, folder: str) -> None:
    """In each process: the run, and what came of it as a file."""
    from dalib.train.ranks import connected

    rank = int(os.environ["RANK"])
    try:
        with connected(context.device) as (_, own):
            here = replace(context, device=own)
            record, arrays = _help(spec, here) if rank else run_one(spec, here)
            _leave(folder, rank, record, arrays)
            if record.error:
                os._exit(1)  # the launcher ends the others, which may wait for this one
    except DalibError as error:
        failure = Failure(type=type(error).__name__, message=str(error))
        _leave(folder, rank, Record(key=spec.key, spec=spec, status="failed", error=failure), {})


def _lost_another(record: Record) -> bool:
    """The failure is that another process is gone."""
    error = record.error
    return error is not None and (error.type.startswith("Dist") or "gloo" in error.message or "NCCL" in error.message)


def _leave(folder: str, rank: int, record: Record, arrays: dict[str, np.ndarray]) -> None:
    """What came of the run in this process, for the one that started it."""
    part = Path(folder, f"part{rank}")
    part.write_bytes(pickle.dumps((time.time(), (record, arrays))))
    part.replace(Path(folder, f"rank{rank}"))


def _help(spec: RunSpec, context: RunContext) -> Made:
    """What ranks but the first do: train, and record no more than a failure."""
    run = RecordedRun(spec, context)
    with run.recording():
        run.prepare()
        run.trainer.fit(run.algorithm, run.task, run.backbone)
    return run.record, {}
