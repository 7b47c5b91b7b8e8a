"""A detector of calls that make the host wait for a GPU, and the algorithms whose steps cannot do without one."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.registry import ALGORITHMS

DEEP = [n for n in ALGORITHMS.names() if not issubclass(ALGORITHMS.get(n), FeatureAlgorithm)]
READS = {
    Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.cpu, Tensor.__bool__, Tensor.__float__, Tensor.__int__,
    Tensor.__index__, Tensor.__array__, Tensor.__contains__, Tensor.nonzero, torch.nonzero, torch.argwhere,
    Tensor.unique, torch.unique, Tensor.masked_select, torch.masked_select, torch.equal, Tensor.equal, torch.allclose,
    torch.tensor, torch.from_numpy, Tensor.new_tensor,
    torch.linalg.svd, torch.linalg.svdvals, torch.linalg.eigh, torch.linalg.eigvalsh, torch.linalg.cholesky,
    torch.linalg.solve, torch.linalg.inv, torch.linalg.matrix_norm,
}  # fmt: skip
SOLVER = "cuSOLVER's answer is checked on the host"
PIXELS = "pixels are kept by their class, so their number is known after the values only"
REGIONS = "regions are kept by score and overlap, so their number is known after the values only"
MASKS = "support and query rows are taken by masks, so their number is known after the labels only"
EXCEPTIONS = {
    "bnm": SOLVER,
    "bsp": SOLVER,
    "bss": SOLVER,
    "cbst": PIXELS,
    "da_faster": REGIONS,
    "daformer": PIXELS,
    "dare_gram": SOLVER,
    "deep_jdot": "the exact transport problem is solved by a network simplex on the host",
    "detection_teacher": REGIONS,
    "maml": MASKS,
    "prototypical": MASKS,
    "reptile": MASKS,
    "rsd": SOLVER,
    "strong_weak": REGIONS,
}


def is_mask(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in parts)


class HostReads(TorchFunctionMode):
    """Notes calls that make the host wait for a GPU, or that copy a list to it, with the line they come from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in READS or (func in (Tensor.__getitem__, Tensor.__setitem__) and is_mask(args[1])):
            line = next(f for f in reversed(traceback.extract_stack()[:-1]) if "/torch/" not in f.filename)
            self.found.append(f"{func.__name__} at {line.filename.rpartition('dalib/')[2]}:{line.lineno}: {line.line}")
        return func(*args, **(kwargs or {}))
