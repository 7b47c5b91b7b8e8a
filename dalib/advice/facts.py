"""What can be measured before anything is trained: classes, sizes, distances, and what a linear probe reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from dalib.advice.distances import (
    cross_validated_probe,
    label_shift,
    median_mmd2,
    probe,
    proxy_a_distance,
    within,
)
from dalib.advice.material import Material, Part
from dalib.core.errors import DalibError

SETTINGS = {
    (False, False): "closed-set",
    (True, False): "partial",
    (False, True): "open-set",
    (True, True): "open-partial",
}
"""(the source has classes that the target lacks, the target has classes that the source lacks) -> setting."""


@dataclass(frozen=True)
class DomainFacts:
    """One domain.

    rows_per_class: smallest, median, largest
    balance: largest / smallest; nan without labels
    side: median width and height in pixels, (0, 0) for features
    """

    name: str
    rows: int
    classes: int
    rows_per_class: tuple[int, float, int]
    balance: float
    side: tuple[int, int]
    labelled: bool
    unlabelled: int


@dataclass(frozen=True)
class TaskFacts:
    """One task; nan where labels are missing or rows too few. Distances and accuracies are those of the shared classes'
    rows; the probe behind `source_only` knows all of the source's classes, since nobody says which the target lacks.

    setting: `closed-set`, `partial`, `open-set`, `open-partial`, or `unlabelled` for a target without labels
    rows_per_class: median over classes, of the domain that has fewer
    target_smallest, target_median: rows of the smallest and of the median shared class in the target, 0 without labels
    target_measured: rows that distances and accuracies were computed on
    shift, shift_chance: total variation of the class proportions, and what two samples of these sizes show by chance
    a_distance, mmd2: on frozen features; *_within: between random halves of one domain
    source_only: accuracy on the target of a linear probe of the source; source_held_out: on source rows left out
    ceiling: of a probe that also has target labels, on target rows left out; the larger of with and without the source
    """

    sources: tuple[str, ...]
    target: str
    setting: str
    shared: tuple[str, ...]
    source_extra: tuple[str, ...]
    target_extra: tuple[str, ...]
    rows: tuple[int, int]
    rows_per_class: float
    target_smallest: int
    target_median: float
    target_measured: int
    shift: float
    shift_chance: float
    a_distance: float
    a_within: float
    mmd2: float
    mmd2_within: float
    source_only: float
    source_held_out: float
    ceiling: float

    @property
    def name(self) -> str:
        return f"{'+'.join(self.sources)}->{self.target}"

    @property
    def gain(self) -> float:
        """About the most that adaptation can gain, in accuracy; nan without labels."""
        return self.ceiling - self.source_only


@dataclass(frozen=True)
class Facts:
    """Of a material and of the tasks that were asked for."""

    material: Material
    domains: tuple[DomainFacts, ...]
    tasks: tuple[TaskFacts, ...]


def choose_tasks(material: Material, source: str = "", target: str = "") -> list[tuple[tuple[str, ...], str]]:
    """(sources, target) of the tasks meant: both given, that one; a target alone, all other labelled domains together.

    A source alone goes to every other domain. With neither, the unlabelled domains are targets where there are some;
    else every domain is one, and all the others together its source.

    Raises
        DalibError: an unknown domain, one domain only, an unlabelled source
    """
    from dalib.data.settings import split_task

    names = list(material.parts)
    if len(names) < 2:
        raise DalibError(
            f"{material.dataset} has one domain ({names[0]}); adaptation needs two: put each in its folder"
        )
    labelled = [n for n in names if material.parts[n].labelled]
    if not labelled:
        raise DalibError(f"no domain of {material.dataset} has labels; sort the images of one into class folders")
    bare = [n for n in names if n not in labelled]

    def others(t: str) -> tuple[str, ...]:
        return tuple(n for n in labelled if n != t)

    if source and target:
        tasks = [split_task(f"{source}->{target}", names)]
    elif source:
        sources = split_task(f"{source}->{_other(names, source)}", names)[0]
        tasks = [(sources, t) for t in names if t not in sources]
    elif target:
        split_task(f"{_other(names, target)}->{target}", names)
        tasks = [(others(target), target)]
    else:
        tasks = [(others(t), t) for t in (bare or names)]
    for sources, t in tasks:
        unusable = [s for s in sources if s not in labelled]
        if unusable or not sources:
            name = unusable[0] if unusable else t
            raise DalibError(f"domain '{name}' {'has no' if unusable else 'alone has'} labels; a source needs labels")
    return tasks


def _other(names: Sequence[str], given: str) -> str:
    """Any domain that `given`, a name or several joined by +, does not hold."""
    taken = {given} if given in names else {part.strip() for part in given.split("+")}
    return next((n for n in names if n not in taken), names[0])


def measure(
    material: Material,
    tasks: Sequence[tuple[tuple[str, ...], str]],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Facts:
    """Facts of every domain and of the tasks."""
    measured = []
    for done, (sources, target) in enumerate(tasks):
        report(done, len(tasks))
        measured.append(measure_task([material.parts[s] for s in sources], material.parts[target], material.classes))
    return Facts(material, tuple(measure_domain(p) for p in material.parts.values()), tuple(measured))


def measure_domain(part: Part) -> DomainFacts:
    n = list(part.counts.values()) or [0]
    per_class = (min(n), float(median(n)), max(n))
    balance = max(n) / min(n) if part.labelled else math.nan
    args = (part.name, part.rows, len(part.counts), per_class, balance, part.side, part.labelled, part.unlabelled)
    return DomainFacts(*args)


def measure_task(sources: Sequence[Part], target: Part, classes: Sequence[str]) -> TaskFacts:
    counts = {c: sum(s.counts.get(c, 0) for s in sources) for c in classes}
    counts = {c: n for c, n in counts.items() if n}
    shared = tuple(c for c in counts if c in target.counts) if target.labelled else tuple(counts)
    lost = tuple(c for c in counts if c not in shared)
    new = tuple(c for c in target.counts if c not in counts)
    if target.labelled and not shared:
        joined = "+".join(s.name for s in sources)
        raise DalibError(
            f"'{joined}' and '{target.name}' have no class in common ({_some(counts)}; {_some(target.counts)}); "
            "give the same classes the same folder names"
        )
    keep = [list(classes).index(c) for c in shared]
    y_s, y_t = np.concatenate([s.y for s in sources]), target.y
    rows_s = np.isin(y_s, keep)
    rows_t = np.isin(y_t, keep) if target.labelled else np.ones(len(target.z), bool)
    all_s, y_all = np.concatenate([s.z for s in sources]), y_s
    z_s, z_t = all_s[rows_s], target.z[rows_t]
    seen_s, seen_t = np.concatenate([s.seen for s in sources])[rows_s], target.seen[rows_t]
    y_s, y_t = y_s[rows_s], y_t[rows_t] if target.labelled else y_t
    shift, chance = label_shift(counts, target.counts)
    per_class = [median(counts[c] for c in shared)]
    per_class += [median(target.counts[c] for c in shared)] if target.labelled else [target.rows / len(shared)]
    alone = cross_validated_probe(z_t, y_t) if target.labelled else math.nan
    pooled = cross_validated_probe(z_t, y_t, (z_s, y_s)) if target.labelled else math.nan
    return TaskFacts(
        sources=tuple(s.name for s in sources),
        target=target.name,
        setting=SETTINGS[bool(lost), bool(new)] if target.labelled else "unlabelled",
        shared=shared,
        source_extra=lost,
        target_extra=new,
        rows=(sum(s.rows for s in sources), target.rows),
        rows_per_class=float(min(per_class)),
        target_smallest=min(target.counts[c] for c in shared) if target.labelled else 0,
        target_median=float(median(target.counts[c] for c in shared)) if target.labelled else 0.0,
        target_measured=len(z_t),
        shift=shift,
        shift_chance=chance,
        a_distance=proxy_a_distance(seen_s, seen_t),
        a_within=within(proxy_a_distance, seen_s, seen_t),
        mmd2=median_mmd2(seen_s, seen_t),
        mmd2_within=within(median_mmd2, seen_s, seen_t),
        source_only=probe(all_s, y_all, z_t, y_t) if target.labelled else math.nan,
        source_held_out=cross_validated_probe(z_s, y_s),
        ceiling=float(np.nanmax([alone, pooled])) if not math.isnan(alone + pooled) else math.nan,
    )


def _some(names: Sequence[str] | dict[str, int], most: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
