"""Stands in for `run_one`: quick, and it notes every start in a side log (FAKE_LOG), so double runs are counted."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from dalib.records.record import Candidate, Failure, Record


def note(spec):
    with Path(os.environ["FAKE_LOG"]).open("a") as log:
        log.write(f"{spec.key} {spec.seed} {os.getpid()}\n")


def finish(spec, context):
    value = int(spec.key[:4], 16) / 65535
    record = Record(key=spec.key, spec=spec, status="ok", provenance={"host": "secret-host", "versions": {"x": "1"}})
    for step in (5, 10):
        metrics = {"target_accuracy": value, "source_accuracy": 0.5}
        record.candidates.append(Candidate(step=step, metrics=metrics, scores={"oracle": value}))
    note(spec)
    return record, {"step_10_target": np.full((4, 3), value, np.float32), "target_y": np.arange(4, dtype=np.int16)}


def sleep_briefly(spec, context):
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0.05")))
    return finish(spec, context)


def hold_after_three(spec, context):
    """Three runs end; any other starts, and waits for its process to be stopped."""
    for slot in range(3):
        try:
            Path(f"{os.environ['FAKE_LOG']}.{slot}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return finish(spec, context)
    note(spec)
    while True:
        time.sleep(0.02)


def fail_on_seed_1(spec, context):
    if spec.seed != 1:
        return finish(spec, context)
    note(spec)
    trace = 'Traceback\n  File "/home/someone/x.py"\nRuntimeError: boom'
    error = Failure(type="RuntimeError", message="boom", traceback=trace)
    return Record(key=spec.key, spec=spec, status="failed", error=error), {}


def die_on_seed_1(spec, context):
    if spec.seed == 1 and spec.algorithm == "dann":
        note(spec)
        os.kill(os.getpid(), signal.SIGKILL)
    return sleep_briefly(spec, context)


def die_once(spec, context):
    marker = Path(os.environ["FAKE_LOG"] + ".died")
    if spec.seed == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return sleep_briefly(spec, context)


def report_threads(spec, context):
    record, arrays = finish(spec, context)
    record.counts = {"omp": int(os.environ["OMP_NUM_THREADS"]), "context": context.threads}
    return record, arrays


def interrupt(spec, context):
    raise KeyboardInterrupt
