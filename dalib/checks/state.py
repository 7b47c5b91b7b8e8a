"""Find what an algorithm remembers outside its parameters and buffers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

_MODULE = {*vars(nn.Module())}


def plain_state(algorithm: nn.Module) -> dict[str, Any]:
    """`module.attribute` -> a copy of its value, for every attribute that no checkpoint holds, outside the network."""
    copies = {}
    for path, module in algorithm.named_modules():
        if path == "network" or path.startswith("network."):
            continue
        for name, value in vars(module).items():
            if name not in _MODULE:
                copies[f"{path}.{name}".lstrip(".")] = _copied(value)
    return copies


def changed_attributes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names that appeared, vanished or changed."""
    return sorted(k for k in {**before, **after} if k not in before or k not in after or not _same(before[k], after[k]))


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, torch.Generator) and isinstance(b, torch.Generator):
        return torch.equal(a.get_state(), b.get_state())
    if isinstance(a, np.random.Generator) and isinstance(b, np.random.Generator):
        return bool(a.bit_generator.state == b.bit_generator.state)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if type(a).__eq__ is object.__eq__:
        return type(a) is type(b)
    return bool(a == b)
