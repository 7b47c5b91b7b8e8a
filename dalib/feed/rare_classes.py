"""Labelled batches of pictures with masks in which classes of few pixels come often."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.core.errors import DalibError
from dalib.feed.streams import IndexStream

TEMPERATURE = 0.01
LEAST = 0.005
"""Part of a picture that a class must have there for the picture to be drawn for it, where any picture has so much."""


class RareClassStream(IndexStream):
    """Endless batches: a class with probability P(c), then a picture that shows it, all alike.

    P(c) = softmax over the classes that occur of (1 - f_c) / T,  f_c = its part of all labelled pixels, T = 0.01

    Args
        masks: (n, H, W) whole numbers; those of `classes` and above (255) count nothing
        classes: K
        seed: of the stream's own generator

    Reference
        Hoyer et al. DAFormer. CVPR 2022. arXiv:2111.14887 and the authors' code.
        Departure: `LEAST` in place of 3000 of 512 x 1024 pixels; a class that has so much nowhere is drawn from
        wherever it is.
    """

    def __init__(self, masks: Tensor, classes: int, batch_size: int, seed: int) -> None:
        super().__init__(len(masks), batch_size, seed)
        counts = torch.stack([torch.bincount(m.flatten().long(), minlength=256)[:classes] for m in masks])
        self.present = counts.sum(0).nonzero().flatten()
        if not len(self.present):
            raise DalibError("no pixel of the labelled pictures has a label, so no class can be drawn; check the masks")
        self.chances = rare_class_chances(counts.sum(0)[self.present])
        size = masks.shape[1] * masks.shape[2]
        self.pictures = [_showing(counts[:, c] / size) for c in self.present]

    def next(self) -> Tensor:
        self.drawn += self.batch_size
        kinds = torch.multinomial(self.chances, self.batch_size, replacement=True, generator=self.generator)
        spots = torch.rand(self.batch_size, generator=self.generator, dtype=torch.float64)
        rows = [self.pictures[k] for k in kinds.tolist()]
        return torch.stack([r[int(u * len(r))] for r, u in zip(rows, spots.tolist(), strict=True)])


def rare_class_chances(pixels: Tensor) -> Tensor:
    """P (K,) of classes with these numbers of pixels (K,) > 0, float64."""
    frequency = pixels.double() / pixels.sum()
    return ((1 - frequency) / TEMPERATURE).softmax(0)


def _showing(part: Tensor) -> Tensor:
    """Row numbers of the pictures of which a class has more than `LEAST`, else of those that show it at all."""
    enough = (part > LEAST).nonzero().flatten()
    return enough if len(enough) else part.nonzero().flatten()
