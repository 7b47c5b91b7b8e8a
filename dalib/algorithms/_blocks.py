"""Which blocks of the backbone a method changes: all, the first, or the last k."""

from __future__ import annotations

from torch import nn

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError


def pick_blocks(algorithm: Algorithm, groups: list[nn.Module]) -> list[nn.Module]:
    """The blocks that the hyper-parameter `blocks` names, input to output; no groups, no blocks.

    Raises
        DalibError: the backbone has fewer than k blocks
    """
    value = algorithm.hparams["blocks"]
    if value == "all":
        return list(groups)
    if value == "first":
        return list(groups[:1])
    if value > len(groups):
        remedy = f"give at most {len(groups)}, 'first' or 'all'" if groups else "give 'all'"
        name = f"{algorithm.name_for_people()}.blocks"
        raise DalibError(f"{name} = {value}, but the backbone has {len(groups)} blocks; {remedy}")
    return list(groups[-value:])
