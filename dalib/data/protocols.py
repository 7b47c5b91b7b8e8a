"""Protocols: which labels a run may use, and which rows it is tested on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dalib.core.errors import DalibError, unknown
from dalib.core.rows import stack_rows
from dalib.core.types import Domain, Task
from dalib.data.catalog import LoadedData
from dalib.data.settings import keep_classes, pick_classes, split_task

PROTOCOLS = ("uda", "semi_supervised", "supervised")
SPLITS = ("fraction", "shots")


def make_task(
    data: LoadedData,
    source: str,
    target: str,
    *,
    protocol: str = "uda",
    validation: float = 0.1,
    shots: int = 3,
    fraction: float = 0.5,
    split: str = "fraction",
    holdout: float = 0.0,
    source_per_class: int | Mapping[str, int] = 0,
    source_classes: Sequence[str] = (),
    target_classes: Sequence[str] = (),
    seed: int = 0,
    resize: int | None = None,
) -> Task:
    """Split the domains of a task; stratified by class, decided by `seed` alone.

    `uda`: labelled = source, target = test = all target rows (transductive); with `holdout`, test = that part of the
        target rows and target = the others (inductive).
    `semi_supervised`: labelled = source + `shots` target rows per class; target = test = the other target rows.
    `supervised`: labelled = `fraction` of the target, target = the same rows without labels, test = the other target
        rows; the source is not used and there is nothing to adapt to: an upper bound.

    With `split = "shots"` every protocol divides the target as `semi_supervised` does, so that runs with no, few and
    only few target labels are tested on the same rows: `uda` leaves the `shots` rows per class out; in `supervised`
    they are all that is labelled, none of them kept for validation. The rows of few shots are among those of more.
    With `holdout` in `semi_supervised` and `supervised`, test = that part of every target class, whatever is labelled
    of the others, and `fraction` may be 1.

    Partial: `target_classes` are some of the source's. Open-set: the target has classes that the source lacks; they are
    `unknown`, label K in `test`. Open-partial: both.

    Args
        source: a domain, or several as `dslr+webcam`: their rows together, told apart by `origin`
        validation: part of the labelled rows kept out of training: of the source (of the labelled target rows in
            `supervised`); at least one row of every class that has three or more, none of smaller classes; 0 = none
        shots: >= 1
        fraction: in (0, 1); 1 with `holdout`
        split: `fraction` or `shots`
        holdout: in [0, 1); in `uda` drawn without looking at target labels; at least one row on either side
        source_per_class: labelled source rows per class, validation among them; by domain where a mapping; 0 = all
        source_classes, target_classes: class names or ranges of positions (`0:10`); empty = all
        resize: side in pixels; required for images
    Raises
        DalibError: source equals target, unknown domain or protocol, a value out of range, a target class too small,
            or a source class too small, labels asked for in an open-set target
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    sources, target = split_task(f"{source}->{target}", data.domains)
    for name, value, fits in (
        ("validation", validation, 0 <= validation < 1),
        ("fraction", fraction, 0 < fraction < 1 or (fraction == 1 and holdout > 0)),
        ("holdout", holdout, 0 <= holdout < 1),
        ("shots", shots, shots >= 1),
    ):
        if not fits:
            raise DalibError(f"{name} = {value} is out of range; {'>= 1' if name == 'shots' else 'between 0 and 1'}")
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    for name in () if isinstance(source_per_class, int) else source_per_class:
        if name not in data.domains:
            raise unknown("domain", name, data.domains, "source_per_class")
    parts = [_limit(data.domain(name, resize), source_per_class, seed) for name in sources]
    given, wanted = concatenate(parts) if len(parts) > 1 else parts[0], data.domain(target, resize)
    if source_classes or target_classes:
        known, kept = (pick_classes(data.classes, items) for items in (source_classes, target_classes))
        given, wanted = keep_classes(given, known, known), keep_classes(wanted, known, kept)
        if given.classes != wanted.classes and protocol != "uda":
            raise DalibError(f"protocol {protocol} needs labels of target classes that the source lacks; use uda")
    rng = np.random.default_rng(seed)
    note = f"{protocol}:seed={seed}"
    fixed = None
    if holdout and protocol != "uda":
        part, rest = pick_per_class(wanted, lambda n: min(max(1, round(holdout * n)), n - 1), rng)
        note = f"{note}:holdout={holdout}"
        fixed, wanted = wanted.take(part, note), wanted.take(rest, f"{note}:rest")
    labelled, test = given, wanted
    if protocol == "semi_supervised" or split == "shots":
        shot, rest = pick_per_class(wanted, lambda n: _check_shots(wanted, shots, n), rng)
        few, test = wanted.take(shot, f"{note}:shots={shots}"), wanted.take(rest, f"{note}:shots={shots}:rest")
        if protocol == "supervised":
            labelled, validation = few, 0.0
    elif protocol == "supervised":
        part, rest = pick_per_class(wanted, lambda n: min(max(1, round(fraction * n)), n - (fixed is None)), rng)
        note = f"{note}:fraction={fraction}"
        labelled, test = wanted.take(part, note), wanted.take(rest, f"{note}:rest")
    train, held = split_validation(labelled, validation, rng, note)
    if protocol == "semi_supervised":
        train = concatenate([train, few])
    seen = train if protocol == "supervised" else test
    if fixed is not None:
        test = fixed
    elif holdout:
        order = rng.permutation(len(test))
        cut = min(max(1, round(holdout * len(test))), len(test) - 1)
        seen = test.take(np.sort(order[cut:]), f"{note}:holdout={holdout}:seen")
        test = test.take(np.sort(order[:cut]), f"{note}:holdout={holdout}")
    return Task(f"{'+'.join(sources)}->{target}", train, seen.unlabelled(), held, test, protocol)


def split_validation(domain: Domain, validation: float, rng: np.random.Generator, note: str) -> tuple[Domain, Domain]:
    """(training rows, validation rows): see `make_task`; with validation = 0 the domain itself and an empty one."""
    note = f"{note}:validation={validation}"
    if validation == 0:
        return domain, domain.take(np.array([], np.int64), note)

    def size(n: int) -> int:
        return min(max(1, round(validation * n)), n - 1) if n >= 3 else 0

    held, train = pick_per_class(domain, size, rng)
    return domain.take(train, f"{note}:train"), domain.take(held, note)


def pick_per_class(
    domain: Domain, size: Callable[[int], int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(picked, rest) row numbers, ascending; `size(n)` of the n >= 1 rows of each class are picked at random."""
    picked = np.zeros(len(domain), bool)
    for k in range(len(domain.classes)):
        rows = np.flatnonzero(domain.labels == k)
        if len(rows):
            picked[rng.permutation(rows)[: size(len(rows))]] = True
    return np.flatnonzero(picked), np.flatnonzero(~picked)


def concatenate(domains: Sequence[Domain]) -> Domain:
    """Rows of several domains as one, named `a+b`, told apart by `origin`; labels and file names when all have them.

    Raises
        DalibError: different classes or row shapes
    """
    first = domains[0]
    for other in domains[1:]:
        if other.classes != first.classes or other.x.shape[1:] != first.x.shape[1:]:
            raise DalibError(
                f"domains '{first.name}' and '{other.name}' differ in classes or row shape "
                f"({first.x.shape[1:]}, {other.x.shape[1:]}); they cannot be joined"
            )
    labelled = all(d.y is not None for d in domains)
    named = all(d.files for d in domains)
    starts = np.cumsum([0, *(d.origin.max(initial=0) + 1 for d in domains[:-1])])
    return Domain(
        "+".join(d.name for d in domains),
        stack_rows([d.x for d in domains]),
        np.concatenate([d.labels for d in domains]) if labelled else None,
        first.classes,
        "+".join(d.fingerprint for d in domains),
        tuple(f for d in domains for f in d.files) if named else (),
        np.concatenate([d.origin + start for d, start in zip(domains, starts, strict=True)]),
    )


def _check_shots(domain: Domain, shots: int, n: int) -> int:
    if n <= shots:
        raise DalibError(f"shots = {shots} leaves no test rows: a class of '{domain.name}' has {n} rows; lower shots")
    return shots


def _limit(domain: Domain, per_class: int | Mapping[str, int], seed: int) -> Domain:
    """`per_class` rows of every class, by a stream of chance of its own: the target's split is the same without it."""
    count = per_class if isinstance(per_class, int) else per_class.get(domain.name, 0)
    if not count:
        return domain

    def size(n: int) -> int:
        if n < count:
            raise DalibError(f"source_per_class = {count}: a class of '{domain.name}' has {n} rows; lower it")
        return count

    rows, _ = pick_per_class(domain, size, np.random.default_rng([seed, 1]))
    return domain.take(rows, f"seed={seed}:per_class={count}")
