"""The endless shuffled row numbers that training draws."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dalib.core.errors import DalibError


class _Shuffle:
    """Numbers 0..n-1 in a new random order at every pass, without end."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n = n
        self.generator = generator
        self.order = torch.empty(0, dtype=torch.int64)
        self.position = 0

    def take(self, count: int) -> Tensor:
        parts = []
        while count:
            if self.position == len(self.order):
                self.order, self.position = torch.randperm(self.n, generator=self.generator), 0
            part = self.order[self.position : self.position + count]
            self.position += len(part)
            count -= len(part)
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


class IndexStream:
    """Endless batches of shuffled row numbers; a batch may straddle two passes, so n may be below the batch size.

    Args
        n: rows of the domain, >= 1
        batch_size: rows per batch
        seed: of the stream's own generator
        labels: (n,) int64; given, every K draws deal each class once, in shuffled order, and rows are shuffled within
            their class
    """

    def __init__(self, n: int, batch_size: int, seed: int, labels: Tensor | None = None) -> None:
        if n < 1:
            raise DalibError("a domain without images cannot be trained on; check the data root and the protocol")
        self.n = n
        self.batch_size = batch_size
        self.drawn = 0
        self.generator = torch.Generator().manual_seed(seed)
        self._members = [torch.arange(n)]
        if labels is not None:
            labels = labels.cpu()
            self._members = [torch.nonzero(labels == c).flatten() for c in labels.unique()]
        self._classes = _Shuffle(len(self._members), self.generator)
        self._rows = [_Shuffle(len(members), self.generator) for members in self._members]

    @property
    def passes(self) -> int:
        """Completed passes: how often n rows have been drawn."""
        return self.drawn // self.n

    def next(self) -> Tensor:
        """Row numbers (batch_size,) int64, on the CPU."""
        self.drawn += self.batch_size
        if len(self._members) == 1:
            return self._rows[0].take(self.batch_size)
        classes = self._classes.take(self.batch_size).tolist()
        return torch.cat([self._members[c][self._rows[c].take(1)] for c in classes])

    def skip(self) -> None:
        """Count a batch that nobody looks at; it is not drawn."""
        self.drawn += self.batch_size

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the numbers still to come."""
        shuffles = [self._classes, *self._rows]
        return {
            "drawn": self.drawn,
            "generator": self.generator.get_state(),
            "orders": [s.order for s in shuffles],
            "positions": [s.position for s in shuffles],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where a stream of the same n, batch size and labels was saved."""
        self.drawn = state["drawn"]
        self.generator.set_state(state["generator"])
        for shuffle, order, position in zip(
            [self._classes, *self._rows], state["orders"], state["positions"], strict=True
        ):
            shuffle.order, shuffle.position = order, position


class WeightedStream(IndexStream):
    """Endless batches of row numbers, each drawn by itself: row i with probability weight_i / sum of weights.

    weight: (n,) >= 0, not all 0
    """

    def __init__(self, batch_size: int, seed: int, weight: Tensor) -> None:
        super().__init__(len(weight), batch_size, seed)
        self.weight = weight.double().cpu()

    def next(self) -> Tensor:
        self.drawn += self.batch_size
        total = self.weight.cumsum(0)
        spots = torch.rand(self.batch_size, generator=self.generator, dtype=torch.float64) * total[-1]
        return torch.searchsorted(total, spots, right=True).clamp(max=int(self.weight.nonzero()[-1]))


class EpisodeStream(IndexStream):
    """Endless batches that are small tasks: some classes of one origin, equally many rows of each.

    Every origin comes once in as many batches, in shuffled order; `ways` of its classes are drawn (all, if it has
    fewer), and `rows` of each, shuffled within the class; a class with fewer rows gives some of them again.

    Args
        labels, origin: (n,) int64
        ways, rows: classes and rows of each, >= 1
        seed: of the stream's own generator
    """

    def __init__(self, labels: Tensor, origin: Tensor, ways: int, rows: int, seed: int) -> None:
        super().__init__(len(labels), ways * rows, seed)
        labels, origin = labels.cpu(), origin.cpu()
        groups = torch.stack([origin, labels], 1).unique(dim=0).tolist()
        self._members = [torch.nonzero((origin == o) & (labels == c)).flatten() for o, c in groups]
        self._rows = [_Shuffle(len(members), self.generator) for members in self._members]
        self._tasks = [[i for i, (o, _) in enumerate(groups) if o == task] for task in sorted({o for o, _ in groups})]
        self._classes = _Shuffle(len(self._tasks), self.generator)
        self.ways, self.per_class = ways, rows

    def next(self) -> Tensor:
        """Row numbers (at most ways * rows,) int64, class after class, on the CPU."""
        task = self._tasks[int(self._classes.take(1))]
        chosen = torch.randperm(len(task), generator=self.generator)[: self.ways].tolist()
        batch = torch.cat([self._members[task[i]][self._rows[task[i]].take(self.per_class)] for i in chosen])
        self.drawn += len(batch)
        return batch
