"""What a solution takes: every algorithm says it once, in formulas; memory and time are said from them beforehand."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch

from dalib.core.memory import GB, available_memory

ROUGHLY = 4
"""A stated time is mostly wrong by no more than this factor: iterations depend on the data, and the machine has other
work. How often it was: docs/sizes.md."""
LONG = 60.0
"""Seconds from which a solution says how long it will take."""
_STEPS = 200
"""Iterations that a penalised classifier is taken to need."""
_BLOCK = float(1 << 24)
"""Distances that a classifier by neighbours has in memory at once."""
_POWERS = {"²": 2, "³": 3}
_PROBED_ROWS, _PLAN_GROWTH = 200, 1.3
_OBVIOUS, _LEAST = 1e8, 0.1
"""Operations that no machine needs long for, so that nothing is probed; seconds that reading rows takes in any case."""


@dataclass(frozen=True)
class Size:
    """Rows of the source and the target, columns, and classes (or numbers asked for)."""

    n_s: int
    n_t: int
    d: int
    K: int = 2

    def __str__(self) -> str:
        return f"{self.n_s} + {self.n_t} rows of {self.d} columns"


@dataclass(frozen=True)
class Needs:
    """What is in memory at once and what is computed; `need` makes it of formulas, + joins two parts of a solution.

    Attributes
        numbers: float64 in memory at once, and the formula that says so
        products: multiplications of matrix products and factorisations
        passes: numbers that are computed one by one, such as an exponential
        plans: exact transport plans, in units of one between 200 and 200 rows
    """

    numbers: float = 0.0
    formula: str = ""
    products: float = 0.0
    passes: float = 0.0
    plans: float = 0.0

    def __add__(self, other: Needs) -> Needs:
        formula = " + ".join(part for part in (self.formula, other.formula) if part)
        products, passes = self.products + other.products, self.passes + other.passes
        return Needs(self.numbers + other.numbers, formula, products, passes, self.plans + other.plans)

    @property
    def bytes(self) -> float:
        """Memory at once."""
        return 8 * self.numbers

    @property
    def seconds(self) -> float:
        """About how long here, mostly within a factor of `ROUGHLY`: what is computed times what it takes here."""
        if self.products + self.passes + 1e6 * self.plans < _OBVIOUS:
            return _LEAST
        per_product, per_pass = _probe()
        plans = self.plans * _probe_plan() if self.plans else 0.0
        return max(_LEAST, self.products * per_product + self.passes * per_pass + plans)


def need(
    size: Size, numbers: str = "", products: str = "", passes: str = "", plan: str = "", plans: str = "1", **more: float
) -> Needs:
    """Needs by formulas, sums of products such as `10 m² + m n_t`.

    Args
        numbers, products, passes: of `Needs`
        plan, plans: entries of an exact transport plan, and how many of them are solved; its time grows with the
            entries to the power of 1.3
        more: further symbols beside n_s, n_t, n = n_s + n_t, d and K
    """
    known = {"n_s": size.n_s, "n_t": size.n_t, "n": size.n_s + size.n_t, "d": size.d, "K": size.K, **more}
    solved = (evaluate(plan, known) / _PROBED_ROWS**2) ** _PLAN_GROWTH * evaluate(plans, known) if plan else 0.0
    told = " + ".join(term for term in numbers.split(" + ") if term and evaluate(term, known))
    return Needs(evaluate(numbers, known), told, evaluate(products, known), evaluate(passes, known), solved)


def evaluate(formula: str, values: dict[str, float]) -> float:
    """A sum of products, such as `10 m² + m n_t`, at values of its symbols; an empty one is 0."""
    return sum((math.prod(_read(f, values) for f in term.split()) for term in formula.split(" + ") if term), 0.0)


def _read(factor: str, values: dict[str, float]) -> float:
    name, power = factor.rstrip("²³"), _POWERS.get(factor[-1], 1)
    return float(values[name] if name in values else float(name)) ** power


def need_classifier(size: Size, kind: str, width: int | None = None, more: float = 1) -> Needs:
    """What fitting a classifier on source rows of `width` columns takes, and labelling the target's once.

    more: times that it is done, one after another
    """
    w = size.d if width is None else width
    if kind in ("nearest", "k_nn"):
        return need(
            size,
            "n d + 2 block + 2 n_s w",
            "i n_s n_t w",
            "3 i n_s n_t",
            i=more,
            w=w,
            block=min(_BLOCK, size.n_s * size.n_t),
        )
    if kind == "lda":
        return need(size, "n d + 2 n_s w + 4 w²", "i n_s w² + i w³", i=more, w=w)
    one_by_one = "i steps n_s w K" if kind == "svm" else "4 i steps n_s K"
    products = "" if kind == "svm" else "2 i steps n_s w K"
    return need(size, "n d + 2 n_s w + 3 n_s K", products, one_by_one, i=more, w=w, steps=_STEPS)


@dataclass(frozen=True)
class Cost:
    """What a method is estimated to take; as a text one line.

    Attributes
        name, size: whose, for which rows
        bytes, seconds: memory at once; about how long on this machine, mostly within a factor of 4
        formula: the numbers of 8 bytes that are in memory at once
        left: bytes that this process may still take
        remedy: what to take instead
    """

    name: str
    size: Size
    bytes: float
    seconds: float
    formula: str
    left: float
    remedy: str = ""

    @property
    def fits(self) -> bool:
        """There is memory for it."""
        return self.bytes <= self.left

    def __str__(self) -> str:
        told = (
            f"{self.name} with {self.size}: about {spell_seconds(self.seconds)} (mostly within a factor of {ROUGHLY})"
        )
        told += f", {self.bytes / GB:.2g} GB at once ({self.formula} numbers of 8 bytes)"
        return told if self.fits else f"{told}; only {self.left / GB:.2g} GB are left: {self.remedy}"


def cost_of(name: str, size: Size, needs: Needs, remedy: str) -> Cost:
    """The estimate of `needs` on this machine, now."""
    return Cost(name, size, needs.bytes, needs.seconds, needs.formula, available_memory(), remedy)


def spell_seconds(seconds: float) -> str:
    """`less than a second`, `40 s`, `12 minutes`, `3.5 hours`."""
    if seconds < 1:
        return "less than a second"
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} minutes" if seconds < 6000 else f"{seconds / 3600:.2g} hours"


@cache
def _probe() -> tuple[float, float]:
    """Seconds of a multiplication in a product of matrices and of an exponential, here and now, in some 20 ms."""
    A, x = torch.ones(384, 384, dtype=torch.float64), torch.full((200_000,), -0.5, dtype=torch.float64)
    return _least(lambda: A @ A) / 384**3, _least(lambda: x.exp()) / 200_000


@cache
def _probe_plan() -> float:
    """Seconds of an exact plan between 200 and 200 rows."""
    from dalib.nn.transport import emd

    at = torch.arange(_PROBED_ROWS, dtype=torch.float64)
    z = torch.stack([(at * k * math.sqrt(5)).sin() for k in range(1, 11)], 1)
    cost = torch.cdist(z, z.flip(1) + 0.3).square()
    return _least(lambda: emd(cost))


def _least(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
