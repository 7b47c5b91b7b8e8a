"""Which domains and classes a task is made of: several sources, partial and open-set targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dalib.core.errors import DalibError, unknown
from dalib.core.types import Domain, name_unknown


def split_task(
    task: str, domains: Sequence[str], absent: Mapping[str, str] | None = None, *, alone: bool = False
) -> tuple[tuple[str, ...], str]:
    """`dslr+webcam->amazon` -> (("dslr", "webcam"), "amazon"), sources in the data set's order.

    Args
        absent: domain that is none -> why
        alone: source and target may be the same domain, for protocols that label target rows only
    Raises
        DalibError: not of that form, an unknown domain, one that occurs twice
    """
    source, arrow, target = task.partition("->")
    if not arrow:
        raise DalibError(f"task '{task}' has no '->'; write for example {domains[0]}->{domains[-1]}")
    sources = (source,) if source in domains else tuple(part.strip() for part in source.split("+"))
    for name in (*sources, target):
        if name not in domains and name in (absent or {}):
            raise DalibError(f"task {task}: {(absent or {})[name]}")
        if name not in domains:
            raise unknown("domain", name, domains, f"task {task}")
    if alone and sources == (target,):
        return sources, target
    if len({*sources, target}) < len(sources) + 1:
        twice = f"task '{task}' holds a domain twice; sources and target differ"
        raise DalibError(
            f"source and target are both '{target}'; choose two of: {', '.join(domains)}; or --protocol supervised "
            "(protocol='supervised'), which labels a part of one domain and tests on the rest"
            if sources == (target,)
            else twice
        )
    return tuple(sorted(sources, key=list(domains).index)), target


def pick_classes(classes: Sequence[str], items: Sequence[str]) -> list[int]:
    """Labels of the named classes; `0:10` stands for the first ten; no item for all.

    Raises
        DalibError: an unknown class, or a range outside the classes
    """
    labels: set[int] = set()
    for item in items:
        first, colon, last = str(item).partition(":")
        if item in classes:
            labels.add(list(classes).index(item))
        elif colon and first.isdigit() and last.isdigit() and 0 <= int(first) < int(last) <= len(classes):
            labels.update(range(int(first), int(last)))
        elif colon:
            raise DalibError(f"classes '{item}' is no range within 0:{len(classes)}; write for example 0:10")
        else:
            raise unknown("class", str(item), classes, "names, or positions as 0:10")
    return sorted(labels) if items else list(range(len(classes)))


def keep_classes(domain: Domain, known: Sequence[int], kept: Sequence[int]) -> Domain:
    """The rows of the classes `kept`; the `known` ones are relabelled 0 … K - 1, any other is K, `name_unknown`."""
    names = tuple(domain.classes[k] for k in known)
    opened = any(k not in known for k in kept)
    label = np.full(len(domain.classes), len(known))
    label[list(known)] = np.arange(len(known))
    rows = np.flatnonzero(np.isin(domain.labels, list(kept)))
    note = f"classes={','.join(map(str, kept))};known={','.join(map(str, known))}"
    part = domain.take(rows, note)
    return replace(part, y=label[part.labels], classes=(*names, name_unknown(names)) if opened else names)
