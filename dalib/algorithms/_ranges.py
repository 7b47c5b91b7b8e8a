"""Range checks of hyper-parameters, with one wording."""

from __future__ import annotations

import math

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError, unknown
from dalib.core.registry import snake_case


def require_positive(algorithm: Algorithm, *names: str, zero: bool = False) -> None:
    """Finite numbers > 0 (>= 0 with `zero`); DalibError names the hyper-parameter, its value and the range."""
    for name in names:
        value = getattr(algorithm, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0 or (value == 0 and not zero):
            raise DalibError(
                f"{_of(algorithm, name)} = {value!r} is out of range; give a number {'>=' if zero else '>'} 0"
            )


def require_whole(algorithm: Algorithm, *names: str) -> None:
    """Whole numbers >= 1."""
    for name in names:
        value = getattr(algorithm, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1 or value % 1:
            raise DalibError(f"{_of(algorithm, name)} = {value!r} is out of range; give a whole number >= 1")


def require_choice(algorithm: Algorithm, name: str, known: tuple[str, ...]) -> None:
    """One of `known`; DalibError suggests the nearest."""
    value = getattr(algorithm, name)
    if value not in known:
        raise unknown(_of(algorithm, name), str(value), known)


def _of(algorithm: Algorithm, name: str) -> str:
    package, _, module = type(algorithm).__module__.rpartition(".")
    own = module if package == "dalib.algorithms" else snake_case(type(algorithm).__name__)
    return f"{own}.{name}"
