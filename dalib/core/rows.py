"""Rows of any kind: one array, or one array per modality; their shape, and joining and picking batches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from dalib.core.errors import DalibError

Input: TypeAlias = Any
"""A batch as a network takes it: a tensor (B, *S), or {modality: tensor (B, *S)}."""


@dataclass(frozen=True)
class RowShape:
    """What one row looks like, for a backbone that is built to fit.

    Args
        shape: (d,) numbers, (C, T) a time series, (3, R, R) an image, (L,) token ids; () where there are fields
        ids: 0 for numbers; for whole numbers (token ids) the largest one + 1
        fields: modality -> its shape; empty for a single array
    """

    shape: tuple[int, ...] = ()
    ids: int = 0
    fields: Mapping[str, RowShape] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.fields:
            return ", ".join(f"{name} {part}" for name, part in self.fields.items())
        return f"{self.shape}{f' of whole numbers below {self.ids}' if self.ids else ''}"

    def to_facts(self) -> dict[str, Any]:
        """As plain data, for a model file; `from_facts` is the way back."""
        return {"shape": self.shape, "ids": self.ids, "fields": {k: v.to_facts() for k, v in self.fields.items()}}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> RowShape:
        return cls(
            tuple(facts["shape"]), facts["ids"], {name: cls.from_facts(part) for name, part in facts["fields"].items()}
        )

    def accepts(self, other: RowShape) -> bool:
        """The other's rows fit a network built for this: same shapes and modalities, ids where it takes ids."""
        if self.fields or other.fields:
            alike = list(self.fields) == list(other.fields)
            return alike and all(part.accepts(other.fields[name]) for name, part in self.fields.items())
        return self.shape == other.shape and (not self.ids or 0 < other.ids <= self.ids)

    def numbers(self) -> RowShape:
        """The same for a network that takes whole numbers as numbers, not as ids."""
        return replace(self, ids=0)

    def zeros(self, n: int, device: str = "cpu") -> Input:
        """n rows of zeros, as a network takes them."""
        if self.fields:
            return {name: part.zeros(n, device) for name, part in self.fields.items()}
        return torch.zeros(n, *self.shape, dtype=torch.int64 if self.ids else torch.float32, device=device)


def row_shape(*arrays: np.ndarray) -> RowShape:
    """What the rows of all these arrays (n, *S), or structured arrays (n,), have in common.

    Raises
        DalibError: they differ in shape or modalities, or a whole number is negative
    """
    first = arrays[0]
    if first.dtype.names:
        for other in arrays[1:]:
            if other.dtype.names != first.dtype.names:
                raise DalibError(f"rows differ in their modalities: {first.dtype.names} and {other.dtype.names}")
        return RowShape(fields={name: row_shape(*(a[name] for a in arrays)) for name in first.dtype.names})
    for other in arrays[1:]:
        if other.shape[1:] != first.shape[1:] or other.dtype.names:
            raise DalibError(
                f"rows differ in shape: {first.shape[1:]} and {other.shape[1:]}; give all domains the same"
            )
    whole = all(a.dtype.kind in "iu" for a in arrays) and first.ndim != 4
    if whole and any(a.size and a.min() < 0 for a in arrays):
        low = min(int(a.min()) for a in arrays if a.size)
        raise DalibError(f"rows of whole numbers hold {low}; token ids are >= 0, other numbers are stored as floats")
    return RowShape(first.shape[1:], max((int(a.max(initial=0)) for a in arrays), default=0) + 1 if whole else 0)


def combine(fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """{modality: array (n, *S)} -> one structured array (n,): it is indexed, split and stored like any other.

    Raises
        DalibError: no modality, or different numbers of rows
    """
    arrays = {name: np.asarray(a) for name, a in fields.items()}
    sizes = {name: len(a) for name, a in arrays.items()}
    if len(set(sizes.values())) != 1:
        listed = ", ".join(f"{name} {n}" for name, n in sizes.items()) or "none"
        raise DalibError(f"modalities differ in rows ({listed}); row i of each belongs to the same sample")
    out = np.empty(next(iter(sizes.values())), [(name, a.dtype, a.shape[1:]) for name, a in arrays.items()])
    for name, a in arrays.items():
        out[name] = a
    return out


def count(x: Input) -> int:
    """Rows of a batch."""
    return len(next(iter(x.values()))) if isinstance(x, dict) else len(x)


def pick(x: Input, index: slice | Tensor) -> Input:
    """The rows of `index`."""
    return {name: part[index] for name, part in x.items()} if isinstance(x, dict) else x[index]


def join(batches: Sequence[Input]) -> Input:
    """Batches of one kind, one below the other."""
    first = batches[0]
    if isinstance(first, dict):
        return {name: torch.cat([x[name] for x in batches]) for name in first}
    return torch.cat(tuple(batches))
