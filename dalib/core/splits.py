"""Rows of a domain divided by class and by chance, and domains joined: what protocols are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dalib.core.errors import DalibError

if TYPE_CHECKING:
    from dalib.core.types import Domain


def strata(domain: Domain) -> np.ndarray:
    """Which rows are alike to a split, codes (n,) int64: the classes; all alike where labels are no classes."""
    if domain.objective == "classification":
        return domain.labels
    return np.zeros(len(domain), np.int64)


def pick_per_class(
    domain: Domain, size: Callable[[int], int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(picked, rest) row numbers, ascending; `size(n)` of the n >= 1 rows of each stratum are picked at random."""
    picked, codes = np.zeros(len(domain), bool), strata(domain)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        picked[rng.permutation(rows)[: size(len(rows))]] = True
    return np.flatnonzero(picked), np.flatnonzero(~picked)


def split_validation(domain: Domain, validation: float, rng: np.random.Generator, note: str) -> tuple[Domain, Domain]:
    """(training rows, validation rows); with validation = 0 the domain itself and an empty one.

    At least one row of every class that has three or more is held out, none of smaller classes.
    """
    note = f"{note}:validation={validation}"
    if validation == 0:
        return domain, domain.take(np.array([], np.int64), note)

    def size(n: int) -> int:
        return min(max(1, round(validation * n)), n - 1) if n >= 3 else 0

    held, train = pick_per_class(domain, size, rng)
    return domain.take(train, f"{note}:train"), domain.take(held, note)


def hold_out(domain: Domain, part: float, rng: np.random.Generator, note: str) -> tuple[Domain, Domain]:
    """(`part` of every class, the others); at least one row of each on either side."""
    held, rest = pick_per_class(domain, lambda n: min(max(1, round(part * n)), n - 1), rng)
    return domain.take(held, note), domain.take(rest, f"{note}:rest")


def draw_shots(domain: Domain, shots: int, rng: np.random.Generator, note: str) -> tuple[Domain, Domain]:
    """(`shots` rows of every class, the others); the rows of few shots are among those of more.

    Raises
        DalibError: a class has no more rows than that
    """

    def size(n: int) -> int:
        if n <= shots:
            raise DalibError(
                f"shots = {shots} leaves no test rows: a class of '{domain.name}' has {n} rows; lower shots"
            )
        return shots

    drawn, rest = pick_per_class(domain, size, rng)
    note = f"{note}:shots={shots}"
    return domain.take(drawn, note), domain.take(rest, f"{note}:rest")


def concatenate(domains: Sequence[Domain]) -> Domain:
    """Rows of several domains as one, named `a+b`, told apart by `origin`; labels and file names when all have them.

    Raises
        DalibError: different classes or row shapes
    """
    from dalib.core.rows import stack_rows  # torch, which a protocol's facts do without

    first = domains[0]
    for other in domains[1:]:
        if other.classes != first.classes or other.x.shape[1:] != first.x.shape[1:]:
            raise DalibError(
                f"domains '{first.name}' and '{other.name}' differ in classes or row shape "
                f"({first.x.shape[1:]}, {other.x.shape[1:]}); they cannot be joined"
            )
    labelled = all(d.y is not None for d in domains)
    named = all(d.files for d in domains)
    weighed = any(d.weight is not None for d in domains)
    starts = np.cumsum([0, *(d.origin.max(initial=0) + 1 for d in domains[:-1])])
    return replace(
        first,
        name="+".join(d.name for d in domains),
        x=stack_rows([d.x for d in domains]),
        y=_stack_labels([d.labels for d in domains]) if labelled else None,
        fingerprint="+".join(d.fingerprint for d in domains),
        files=tuple(f for d in domains for f in d.files) if named else (),
        origin=np.concatenate([d.origin + start for d, start in zip(domains, starts, strict=True)]),
        weight=np.concatenate([np.ones(len(d)) if d.weight is None else d.weight for d in domains])
        if weighed
        else None,
    )


def _stack_labels(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Labels one below the other; pictures with fewer boxes than others get rows of padding."""
    if parts[0].ndim == 3 and parts[0].shape[2] == 5 and parts[0].dtype.kind == "f":
        most = max(part.shape[1] for part in parts)
        nobody = np.array([-1, 0, 0, 0, 0], parts[0].dtype)
        parts = [np.concatenate([p, np.broadcast_to(nobody, (len(p), most - p.shape[1], 5))], axis=1) for p in parts]
    return np.concatenate(parts)
