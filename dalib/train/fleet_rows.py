"""The rows of a fleet: those of all its runs on the device, equal domains once, and batches of all runs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dalib.core.errors import DalibError
from dalib.train.descent import Descent


class Bank:
    """All runs' rows of one side (0 source, 1 target) on the device, equal domains once; batches of all runs."""

    def __init__(self, descents: Sequence[Descent], side: int) -> None:
        self.streams = [d.streams[side] for d in descents]
        self.size = self.streams[0].batch_size
        self.at_once = side == 1 or descents[0].config.sampler == "shuffle"
        stores = [d.stores[side] for d in descents]
        self.device = descents[0].fitted.device
        kept: list[Tensor] = []
        places = [_find_or_add(kept, feature_rows(d, side).to(self.device)) for d in descents]
        self.place = torch.tensor(places, device=self.device)[:, None]
        self.x = torch.cat(kept)
        starts = torch.tensor([0, *(len(store) for store in stores[:-1])]).cumsum(0)
        self.start = starts.to(self.device)[:, None]
        facts = [(store.y, d.origin) for store, d in zip(stores, descents, strict=True)] if side == 0 else []
        self.facts = [torch.cat(list(column)) for column in zip(*facts, strict=True)]

    def draw(self, steps: int) -> None:
        """The row numbers of the next steps, as every run's own stream gives them."""
        drawn = []
        for stream in self.streams:
            stream.batch_size = self.size * (steps if self.at_once else 1)
            drawn.append(torch.cat([stream.next() for _ in range(1 if self.at_once else steps)]))
        self.index = torch.stack(drawn).view(-1, steps, self.size).transpose(0, 1).contiguous().to(self.device)

    def batch(self, i: int) -> list[Tensor]:
        """x (R, B, d), index (R, B) and, on the source's side, y and origin (R, B) of the i-th step drawn."""
        index = self.index[i]
        return [self.x[index + self.place], index, *(fact[index + self.start] for fact in self.facts)]


def _find_or_add(kept: list[Tensor], x: Tensor) -> int:
    """Where the rows x begin in the concatenation of `kept`, to which they are added unless they are there."""
    start = 0
    for other in kept:
        if other.shape == x.shape and torch.equal(other, x):
            return start
        start += len(other)
    kept.append(x)
    return start


def feature_rows(descent: Descent, side: int) -> Tensor:
    """A side's rows (n, d); DalibError where they are none, or whole numbers."""
    x = getattr(descent.stores[side], "x", None)
    if not isinstance(x, Tensor) or x.ndim != 2 or not x.is_floating_point():
        raise DalibError("a fleet trains on features (n, d) only; freeze the backbone or use --fleet off (fleet='off')")
    return x
