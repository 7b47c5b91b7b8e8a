"""What stands where other networks have a prediction: what a detector sees of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dalib.nn.detector import Detector


@dataclass(frozen=True)
class Seen:
    """What a detector answers with, while it is trained: feature maps, of which losses, regions and boxes are made.

    It stands where other networks have a prediction (B, …): rows are picked, split and joined like a tensor's.

    Args
        detector: of the network that saw it
        maps: (B, width, h_i, w_i), fine to coarse: what the detector looks at
        levels: (B, C_i, h_i, w_i): the backbone's own, from which they were made
        side: height and width of the pictures
    """

    detector: Detector
    maps: tuple[Tensor, ...]
    levels: tuple[Tensor, ...]
    side: tuple[int, int]

    def losses(self, y: Tensor) -> dict[str, Tensor]:
        """`Detector.losses`; y (B, M, 5)."""
        return self.detector.losses(self.maps, self.side, y)

    def propose(self) -> list[Tensor]:
        return self.detector.propose(self.maps, self.side)

    def describe(self, regions: Sequence[Tensor]) -> Tensor:
        return self.detector.describe(self.maps, self.side, regions)

    def boxes(self) -> Tensor:
        """Answers (B, D, 6)."""
        return self.detector.detect(self.maps, self.side)

    def __len__(self) -> int:
        return len(self.maps[0])

    def __getitem__(self, rows: slice | Tensor) -> Seen:
        return self._with([m[rows] for m in self.maps], [m[rows] for m in self.levels])

    def float(self) -> Seen:
        return self._with([m.float() for m in self.maps], [m.float() for m in self.levels])

    def detach(self) -> Seen:
        return self._with([m.detach() for m in self.maps], [m.detach() for m in self.levels])

    def split_with_sizes(self, sizes: Sequence[int]) -> list[Seen]:
        """Consecutive rows, so many each."""
        ends = torch.tensor(list(sizes)).cumsum(0).tolist()
        return [self[slice(end - n, end)] for n, end in zip(sizes, ends, strict=True)]

    def joined(self, others: Sequence[Seen]) -> Seen:
        """These rows, and those of the others below them."""
        every = (self, *others)
        maps = [torch.cat(level) for level in zip(*(s.maps for s in every), strict=True)]
        return self._with(maps, [torch.cat(level) for level in zip(*(s.levels for s in every), strict=True)])

    def _with(self, maps: Sequence[Tensor], levels: Sequence[Tensor]) -> Seen:
        return replace(self, maps=tuple(maps), levels=tuple(levels))


def as_seen(prediction: Any) -> Seen:
    """A batch's prediction, of which this says that it is a detector's."""
    assert isinstance(prediction, Seen)
    return prediction
