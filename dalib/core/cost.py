"""What a method that solves would take for so many rows and columns, said without any data."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.needs import Cost, Size, cost_of
from dalib.core.registry import ALGORITHMS


def estimate_cost(
    algorithm: Algorithm | str, n_s: int, n_t: int, columns: int, classes: int = 2, **hparams: Any
) -> Cost:
    """Memory and time of one fit of a closed form, from what it declares and what this machine needs for a product.

    Args
        algorithm: one that solves (`KMM(block_rows=1000)`), or its name
        n_s, n_t: rows of the source and of the target
        classes: or numbers that are asked for
        hparams: of an algorithm given by its name
    Raises
        DalibError: it descends, so that its time is that of its steps; a number below 1

    Memory is what the solution holds beside the rows, with a part for their copies; time may be off by a factor of 4,
    for iterations depend on the data. `Trainer` and the estimators refuse by the same numbers.

    Example
        print(dalib.estimate_cost("kmm", 30_000, 30_000, 50))
    """
    if isinstance(algorithm, Algorithm) and hparams:
        name = algorithm.name_for_people()
        raise DalibError(f"{name} is given with its settings; set {', '.join(hparams)} there")
    made = algorithm
    if not isinstance(made, Algorithm | str):
        raise DalibError(f"algorithm = {made!r} is neither a name nor an algorithm; give 'kmm' or KMM()")
    if isinstance(made, str):
        made = ALGORITHMS.get(made).create(made, hparams)
    name = made.name_for_people()
    made.check()
    if not isinstance(made, FeatureAlgorithm):
        raise DalibError(
            f"{name} trains a network: its time is that of train.steps, its memory that of a batch; estimate_cost is "
            "for methods that solve (coral, tca, kmm)"
        )
    for what, value in (("n_s", n_s), ("n_t", n_t), ("columns", columns), ("classes", classes)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise DalibError(f"{what} = {value!r} is out of range; give a whole number >= 1")
    size = Size(n_s, n_t, columns, classes)
    return cost_of(name, size, made.needs(size), f"take {made.instead}")
