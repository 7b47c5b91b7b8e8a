"""Rows of any kind: one array, or one array per modality; their shape, and joining and picking rows of them."""

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


class RowView:
    """Rows of one or several arrays, picked by their numbers and not copied: what a split of an image domain holds.

    `np.asarray(view)` copies them into one array, for code of your own; pickled, a view becomes one of that array.

    Args
        bases: arrays (n_k, *S) of one dtype, memory maps for example; those without a row here are let go
        rows: (n,) int64, which row of its base each is
        owner: (n,) int64, which base each is from
    """

    def __init__(self, bases: Sequence[np.ndarray], rows: np.ndarray, owner: np.ndarray) -> None:
        used, self.owner = np.unique(owner, return_inverse=True)
        self.bases = tuple(bases[k] for k in used) or tuple(bases[:1])
        self.rows = rows

    @classmethod
    def of(cls, *arrays: np.ndarray | RowView) -> RowView:
        """All rows of arrays or views, one below the other."""
        views = [a if isinstance(a, RowView) else cls([a], np.arange(len(a)), np.zeros(len(a), int)) for a in arrays]
        starts = np.cumsum([0, *(len(v.bases) for v in views)])
        owner = np.concatenate([v.owner + start for v, start in zip(views, starts, strict=False)])
        return cls([base for v in views for base in v.bases], np.concatenate([v.rows for v in views]), owner)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.bases[0].shape[1:])

    @property
    def ndim(self) -> int:
        return self.bases[0].ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.bases[0].dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """A view of the rows of a slice, a list, numbers (m,) or a mask (n,) bool; of one number, the row itself."""
        rows, owner = self.rows[index], self.owner[index]
        return RowView(self.bases, rows, owner) if rows.ndim else self.bases[owner][rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the rows of a view lie apart; an array of them is a copy")
        out = np.empty(self.shape, dtype or self.dtype)
        for k, base in enumerate(self.bases):
            mine = self.owner == k
            out[mine] = base[self.rows[mine]]
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return RowView, ((np.asarray(self),), np.arange(len(self)), np.zeros(len(self), int))


def take_rows(x: np.ndarray | RowView, index: np.ndarray) -> np.ndarray | RowView:
    """The rows of `index`, in that order: of images a view, of other rows a copy, which is small."""
    return RowView.of(x)[index] if x.ndim == 4 else np.asarray(x[index])


def stack_rows(arrays: Sequence[np.ndarray | RowView]) -> np.ndarray | RowView:
    """The rows of all arrays, one below the other: of images a view, of other rows a copy."""
    alike = all(a.ndim == 4 and a.dtype == arrays[0].dtype for a in arrays)
    return RowView.of(*arrays) if alike else np.concatenate([np.asarray(a) for a in arrays])


def row_shape(*arrays: np.ndarray | RowView) -> RowShape:
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
    if not whole:
        return RowShape(first.shape[1:])
    numbers = [np.asarray(a) for a in arrays]
    if any(a.size and a.min() < 0 for a in numbers):
        low = min(int(a.min()) for a in numbers if a.size)
        raise DalibError(f"rows of whole numbers hold {low}; token ids are >= 0, other numbers are stored as floats")
    return RowShape(first.shape[1:], max(int(a.max(initial=0)) for a in numbers) + 1)


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


def concatenate(parts: Sequence[Any]) -> Any:
    """What a network made of several batches, one below the other: a tensor's rows, or those of what stands for one."""
    first, *others = parts
    return torch.cat(tuple(parts)) if isinstance(first, Tensor) else first.joined(others)
