"""Which blocks of the backbone a method changes: all, the first, or the last k."""

from __future__ import annotations

from torch import nn

from dalib.algorithms._ranges import _of
from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError


def check_blocks(algorithm: Algorithm) -> None:
    """`blocks` is `all`, `first` or a whole number >= 1; DalibError otherwise."""
    value = vars(algorithm)["blocks"]
    count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not count and value not in ("all", "first"):
        raise DalibError(f"{_of(algorithm, 'blocks')} = {value!r}; give 'all', 'first' or a whole number >= 1")


def pick_blocks(algorithm: Algorithm, groups: list[nn.Module]) -> list[nn.Module]:
    """The blocks that `blocks` names, input to output; no groups, no blocks.

    Raises
        DalibError: the backbone has fewer than k blocks
    """
    value = vars(algorithm)["blocks"]
    if value == "all":
        return list(groups)
    if value == "first":
        return list(groups[:1])
    if int(value) > len(groups):
        remedy = f"give at most {len(groups)}, 'first' or 'all'" if groups else "give 'all'"
        raise DalibError(f"{_of(algorithm, 'blocks')} = {value}, but the backbone has {len(groups)} blocks; {remedy}")
    return list(groups[-int(value) :])
