"""`make_task`: the domains of a data set, divided by a protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
from pydantic import ValidationError

from dalib.core.errors import DalibError, unknown
from dalib.core.objective import find_objective, says_nothing
from dalib.core.protocol import Protocol, ProtocolSpec
from dalib.core.registry import DEFAULT_PROTOCOL, PROTOCOLS
from dalib.core.splits import concatenate, pick_per_class
from dalib.core.types import Domain, Task
from dalib.data.loaded import LoadedData
from dalib.data.settings import keep_classes, pick_classes

_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def make_task(
    data: LoadedData,
    source: str,
    target: str,
    protocol: ProtocolSpec | str = DEFAULT_PROTOCOL,
    *,
    seed: int = 0,
    resize: int | None = None,
    **settings: Any,
) -> Task:
    """Split the domains of a task; stratified by class, decided by `seed` alone.

    Partial: `target_classes` are some of the source's. Open-set: the target has classes that the source lacks; they are
    `unknown`, label K in `test`. Open-partial: both.

    Args
        source: a domain, or several as `dslr+webcam`: their rows together, told apart by `origin`
        protocol: its name (`dalib list protocols`), or a whole `ProtocolSpec`
        resize: side in pixels; required for images
        settings: fields of `ProtocolSpec`, `shots = 5`; over those of a whole one
    Raises
        DalibError: source equals target, unknown domain or protocol, a value out of range, a target class too small,
            or a source class too small, labels asked for in an open-set target
    """
    spec = read_protocol(protocol, settings)
    divide: type[Protocol] = PROTOCOLS.get(spec.name)
    _check_threshold(spec, data.objective)
    sources, target = data.split(f"{source}->{target}", alone=divide.labels == "target")
    for name in () if isinstance(spec.source_per_class, int) else spec.source_per_class:
        if name not in data.domains:
            raise unknown("domain", name, data.domains, "source_per_class")
    parts = [_limit(data.domain(name, resize), spec, seed) for name in sources]
    given, wanted = concatenate(parts) if len(parts) > 1 else parts[0], data.domain(target, resize)
    bare = wanted.y is None or says_nothing(wanted.objective, wanted.labels)
    if bare and divide.uses_target_labels():
        raise DalibError(f"protocol {spec.name} needs labels of the target, and '{target}' has none; use uda")
    if (spec.source_classes or spec.target_classes) and find_objective(data.objective).dense:
        what = "masks" if data.objective == "segmentation" else "boxes"
        raise DalibError(f"source_classes and target_classes choose pictures by their class; of {what} leave them out")
    if spec.source_classes or spec.target_classes:
        known, kept = (pick_classes(data.classes, items) for items in (spec.source_classes, spec.target_classes))
        given = keep_classes(given, known, known)
        wanted = replace(wanted, classes=given.classes) if bare else keep_classes(wanted, known, kept)
        if given.classes != wanted.classes and divide.uses_target_labels():
            others = [name for name in PROTOCOLS.names() if not PROTOCOLS.get(name).uses_target_labels()]
            raise DalibError(
                f"protocol {spec.name} needs labels of target classes that the source lacks; use {' or '.join(others)}"
            )
    if bare:
        wanted = replace(wanted, y=_blank(wanted, data.objective))
    labelled, seen, held, test = divide(spec, seed).split(given, wanted)
    if bare:
        test = test.take(np.arange(0), "unlabelled")
    name = target if sources == (target,) else f"{'+'.join(sources)}->{target}"
    _refuse_poor(name, labelled, wanted, spec)
    return Task(name, labelled, seen.unlabelled(), held, test, spec.name)


def _blank(domain: Domain, objective: str) -> np.ndarray:
    """Labels for rows that have none, of the shape that theirs would have."""
    if objective == "segmentation":
        return np.zeros((len(domain), *domain.x.shape[2:]), np.uint8)
    if objective == "detection":
        return np.zeros((len(domain), 1, 5), np.float32)
    return np.zeros(len(domain), np.int64)


def _check_threshold(spec: ProtocolSpec, objective: str) -> None:
    """DalibError for thresholds of what is no yes/no answer, or without rows to choose them on."""
    if spec.threshold == "half":
        return
    if objective != "multilabel":
        raise DalibError(
            f"protocol.threshold = {spec.threshold!r} is for several yes/no answers, but the labels are for "
            f"{objective}; leave it out"
        )
    if not spec.validation:
        raise DalibError(
            f"protocol.threshold = {spec.threshold!r} needs held-out rows of the source, and protocol.validation is 0; "
            "raise it"
        )


def _refuse_poor(task: str, labelled: Domain, wanted: Domain, spec: ProtocolSpec) -> None:
    """DalibError where the labelled rows leave nothing to learn."""
    if labelled.objective != "classification":
        _refuse_unsaid(task, labelled)
        return
    if not len(labelled):
        most = int(np.bincount(wanted.labels).max(initial=0))
        raise DalibError(
            f"{task}: {spec.name} needs at least 2 rows of a class in '{wanted.name}'; the largest has {most}"
        )
    there = np.unique(labelled.labels)
    if len(there) < 2:
        cls = labelled.classes[there[0]]
        raise DalibError(
            f"{task}: all labelled rows are '{cls}'; with one class nothing can be told apart: give 2 or more"
        )


def _refuse_unsaid(task: str, labelled: Domain) -> None:
    """DalibError where an answer is given in no labelled row, so that a head would be left as it began."""
    if says_nothing(labelled.objective, labelled.labels):
        if labelled.objective == "detection":
            raise DalibError(f"{task}: no labelled picture has a box, so nothing can be learnt; give some boxes")
        unsaid = find_objective(labelled.objective).unsaid
        raise DalibError(f"{task}: every answer of the labelled rows is {unsaid}, where nobody said; give some")
    if labelled.objective == "segmentation" and len(labelled.classes) < 2:
        raise DalibError(
            f"{task}: '{labelled.classes[0]}' is the only class; with one class nothing can be told apart: name more"
        )
    if labelled.objective != "multilabel" or not len(labelled):
        return
    lost = [name for k, name in enumerate(labelled.classes) if not (labelled.labels[:, k] >= 0).any()]
    if lost:
        raise DalibError(
            f"{task}: '{lost[0]}' is -1 in all {len(labelled)} labelled rows ({len(lost)} of {len(labelled.classes)} "
            "answers are), so nothing can be learnt of it; leave the column out, or answer it in some rows"
        )


def read_protocol(protocol: ProtocolSpec | str, more: dict[str, Any]) -> ProtocolSpec:
    """A protocol by name or whole, with further settings; numbers of NumPy count as Python's.

    Raises
        DalibError: an unknown name or setting, or a value out of range
    """
    content = protocol.model_dump() if isinstance(protocol, ProtocolSpec) else {"name": protocol}
    content |= {k: v.item() if isinstance(v, np.generic) else v for k, v in more.items()}
    try:
        return ProtocolSpec.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
    name, value, text = str(first["loc"][0]), first["input"], first["msg"].removeprefix("Input ")
    if first["type"] == "extra_forbidden":
        raise unknown("setting of a protocol", name, ProtocolSpec.model_fields)
    if first["type"] == "literal_error":
        raise unknown(name, value, get_args(ProtocolSpec.model_fields[name].annotation))
    if first["type"] == "value_error":
        raise DalibError(f"protocol {text.removeprefix('Value error, ')}")
    bounds = [f"{sign} {first['ctx'][kind]:g}" for kind, sign in _SIGNS.items() if kind in first.get("ctx", {})]
    raise DalibError(f"{name} = {value!r} is out of range; {bounds[0]}" if bounds else f"{name} = {value!r} {text}")


def _limit(domain: Domain, spec: ProtocolSpec, seed: int) -> Domain:
    """The source's rows per class, by a stream of chance of its own: the target's split is the same without it."""
    asked = spec.source_per_class
    count = asked if isinstance(asked, int) else asked.get(domain.name, 0)
    if not count:
        return domain

    def size(n: int) -> int:
        if n < count:
            raise DalibError(f"source_per_class = {count}: a class of '{domain.name}' has {n} rows; lower it")
        return count

    rows, _ = pick_per_class(domain, size, np.random.default_rng([seed, 1]))
    return domain.take(rows, f"seed={seed}:per_class={count}")
