"""Runs of a suite that train together: which they are, and how each of them gets its own record."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from dalib.assemble import RunContext
from dalib.bench.run import RecordedRun
from dalib.bench.work import Job, Result, claim, do_job, keep, load_function
from dalib.core.errors import DalibError
from dalib.records.locks import release
from dalib.records.record import Record
from dalib.records.spec import RunSpec
from dalib.records.store import Store

if TYPE_CHECKING:
    from dalib.train.fitted import Fitted

FleetMode = Literal["auto", "on", "off"]
Item: TypeAlias = tuple[Job, ...]
"""One piece of work: a single run, or a fleet of several."""

LARGEST = 64
"""Runs per fleet; every one keeps its weights, gradients and momentum in memory."""
RUN_ONE = "dalib.bench.run:run_one"
SLOW_RULE = "There is a performance drop"


def pack(work: Sequence[Job], mode: FleetMode = "auto", jobs: int = 1) -> list[Item]:
    """Items of work in the order of their first runs.

    Runs train together that have the same algorithm, hyper-parameters and recipe (but for `MAY_DIFFER`) on features of
    the same data set; at most 64, and so that every one of `jobs` workers has its part.

    Args
        mode: `auto` on a GPU only (on a CPU one run at a time is as fast), `on`, `off`
    """
    if not work or not _pays(mode, work[0].context.device):
        return [(job,) for job in work]
    groups: dict[str, list[Job]] = {}
    for job in work:
        groups.setdefault(_group(job), []).append(job)
    items: list[Item] = []
    for group in groups.values():
        size = min(LARGEST, math.ceil(len(group) / jobs)) if len(group) > 1 and _can(group[0].spec) else 1
        items += [tuple(group[i : i + size]) for i in range(0, len(group), size)]
    order = {id(job): i for i, job in enumerate(work)}
    return sorted(items, key=lambda item: order[id(item[0])])


def do_item(jobs: Item) -> list[Result]:
    """A result for every run; a fleet that fails is run one at a time, and so is a member that fails in it alone.

    A loss that diverged is the member's own and its record stands.
    """
    if len(jobs) == 1:
        return [do_job(jobs[0])]
    claimed = {job.key: claim(job) for job in jobs}
    held = [job for job in jobs if claimed[job.key] is None]
    store = Store(jobs[0].store)
    try:
        made: list[tuple[Record, dict[str, np.ndarray]] | None] = [None] * len(held)
        reason = ""
        try:
            made[:] = run_fleet([job.spec for job in held], [job.context for job in held])
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:300]
        for job, outcome in zip(held, made, strict=True):
            failure = outcome[0].error if outcome else None
            if outcome is None or (failure and failure.type != "Diverged"):
                outcome = load_function(job.run)(job.spec, job.context)
                outcome[0].provenance["fleet_failed"] = f"{failure.type}: {failure.message}" if failure else reason
            claimed[job.key] = keep(job, *outcome)
    finally:
        for job in held:
            release(store.lock(job.key))
    return [result for job in jobs if (result := claimed[job.key])]


def run_fleet(specs: Sequence[RunSpec], contexts: Sequence[RunContext]) -> list[tuple[Record, dict[str, np.ndarray]]]:
    """`run_one` for every spec, trained together: the same records, with the fleet's size in their provenance.

    A record's seconds are its own preparation and evaluation and an equal share of the training.

    Raises
        DalibError: the runs do not stack
    """
    from dalib.train.fleet import Member, fit_fleet

    runs = [RecordedRun(spec, context) for spec, context in zip(specs, contexts, strict=True)]
    for run in runs:
        with run.recording():
            run.prepare()
    ready = [run for run in runs if run.record.status == "ok"]
    for run in ready:
        run.trainer.evaluate = _listening(run)
    begun = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        members = [Member(run.trainer, run.algorithm, run.task, run.backbone) for run in ready]
        results = fit_fleet(members) if members else []
    shared = {text for w in caught if not (text := str(w.message)[:300]).startswith(SLOW_RULE)}
    evaluated = sum(run.record.seconds.get("evaluate", 0.0) for run in ready)
    share = (time.monotonic() - begun - evaluated) / max(len(ready), 1)
    for run, fitted in zip(ready, results, strict=True):
        run.heard |= shared
        own = share + run.record.seconds.get("evaluate", 0.0)
        run.record.seconds["fit"] = own
        with run.recording():
            if isinstance(fitted, Exception):
                raise fitted
            run.finish(fitted)
        run.record.seconds["total"] = round(run.record.seconds["total"] + own, 3)
        run.record.provenance["fleet"] = len(ready)
    return [(run.record, run.arrays) for run in runs]


def _listening(run: RecordedRun) -> Callable[[Fitted, int], dict[str, Any]]:
    """The run's `evaluate`, whose warnings are its own."""

    def evaluate(fitted: Fitted, step: int) -> dict[str, Any]:
        with run.listening():
            return run.evaluate(fitted, step)

    return evaluate


def _pays(mode: FleetMode, device: str) -> bool:
    if mode != "auto":
        return mode == "on"
    from dalib.train.device import pick_device

    try:
        return pick_device(device).type == "cuda"
    except DalibError:
        return False


def _group(job: Job) -> str:
    """Equal for runs that may train together; the run's own key where it trains alone."""
    from dalib.train.config import MAY_DIFFER

    spec = job.spec
    features = spec.backbone.frozen or spec.backbone.name == "identity"
    alone = spec.train.precision != "fp32" or spec.train.compile or spec.train.cuda_graph
    if job.run != RUN_ONE or not features or alone:
        return job.key
    content = spec.model_dump(mode="json", exclude={"source": True, "target": True, "seed": True})
    content["train"] = {k: v for k, v in content["train"].items() if k not in MAY_DIFFER}
    content["sources"] = spec.source.count("+")
    return json.dumps(content, sort_keys=True)


def _can(spec: RunSpec) -> bool:
    from dalib.core.registry import ALGORITHMS
    from dalib.train.fleetable import can_fleet

    return not can_fleet(ALGORITHMS.get(spec.algorithm).create(spec.algorithm, dict(spec.hparams)))
