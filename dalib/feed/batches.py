"""A domain on the device: batches of its rows, prepared as the network takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dalib.core.backbone import Preprocess
from dalib.core.errors import DalibError
from dalib.core.rows import RowShape, RowView
from dalib.core.types import Domain
from dalib.feed.augment import (
    Views,
    cut_and_normalise,
    cut_boxes,
    cut_masks,
    cut_views,
    distort,
    draw_views,
    drop_features,
    normalise,
)
from dalib.feed.colour import draw_jitter, jitter_colours
from dalib.feed.placement import RESIDENTS, Pieces, as_tensor, device_budget, send, send_rows


class DomainStore:
    """All rows of a domain where the network is: no loader processes, no copies per epoch.

    On the CPU a memory map stays one, and a batch reads its own rows only; those of a split of images
    (`core.rows.RowView`) come out of the array that they were picked from. Any other device gets that array once, if it
    fits the budget there (see `placement.device_budget`), shared by all stores of the process; else a batch's rows are
    copied from the host, without waiting.

    Args
        domain: images uint8 (n, 3, R, R), R = preprocess.resize, features (n, d), or other rows (n, *S), images of any
            number of channels among them, which a network built for them takes as float32 numbers
        preprocess: None for anything but images
        device: where batches are made
        rows: what the network was built for, or None for images and features; whole numbers stay such if rows.ids
        budget: bytes of the device's memory for all domains; None = `DALIB_DEVICE_BUDGET`, or a quarter of it

    Attributes
        x: what rows are read from; for a split of images the whole array that it was picked from
        rows: (n,) int64, on the CPU: the split's rows in x; None where x holds the domain's rows and no other
        y: labels on the device, (n,) int64 or as the objective says, or None; masks (n, R, R) as they are

    Raises
        DalibError: images without a preprocess, features with one, or images of another size than preprocess.resize
    """

    def __init__(
        self,
        domain: Domain,
        preprocess: Preprocess | None,
        device: torch.device,
        rows: RowShape | None = None,
        budget: int | None = None,
    ) -> None:
        self.preprocess = preprocess
        self.device = device
        _check(domain, preprocess, rows)
        x = domain.x
        if not preprocess:
            x = np.ascontiguousarray(domain.x, np.int64) if rows and rows.ids else np.asarray(domain.x, np.float32)
        self.x: Tensor | Pieces
        self.rows: Tensor | None = None
        if isinstance(x, RowView):
            parts = [self._place(base, budget) for base in x.bases]
            if len(parts) > 1:
                self.x = Pieces(parts, x.rows, x.owner)
            else:
                self.x, self.rows = parts[0], as_tensor(x.rows)
        else:
            self.x = self._place(x, budget)
        self.y = None if domain.y is None else label_tensor(domain.y).to(device)

    def _place(self, x: np.ndarray, budget: int | None) -> Tensor:
        """The array on the device, or as it is."""
        if self.device.type == "cpu":
            return as_tensor(x)
        placed = RESIDENTS.place(x, self.device, device_budget(self.device) if budget is None else budget)
        return as_tensor(x) if placed is None else placed

    def __len__(self) -> int:
        return len(self.x if self.rows is None else self.rows)

    def batch(
        self,
        index: Tensor,
        *,
        augment: str = "none",
        scale_min: float = 0.08,
        generator: torch.Generator | None = None,
        jitter: float = 0.0,
        views: Views | None = None,
    ) -> Tensor:
        """Rows of `index` (B,) as the network's input: float32 (B, 3, crop, crop) normalised, or (B, *S) as they are.

        Args
            augment: as in `draw_views`; features are changed by `strong` only (see `augment.drop_features`)
            scale_min: smallest part of the area that `standard` keeps, in (0, 1]
            generator: of the CPU, the only source of chance, so that every device sees the same views
            jitter: strength of the colour jitter of images, in [0, 1]; `strong` has its own
            views: what is cut out of each image, from `draw`; drawn here unless given
        """
        p = self.preprocess
        x = self.x
        if self.rows is not None:
            index = self.rows[index.cpu()]
        if self.device.type != "cpu" and (isinstance(x, Pieces) or x.device.type == "cpu"):
            x, index = send_rows(x, index.cpu(), self.device), torch.arange(len(index))
        if p is None:
            assert isinstance(x, Tensor)
            x = x.index_select(0, send(index, x.device))
            return drop_features(x, generator) if augment == "strong" else x
        views = views or self.draw(augment, len(index), scale_min, generator)
        if augment == "strong":
            pixels = distort(cut_views(x, index, views, p.crop, p.rotate180), generator)
            return normalise(pixels, p.mean, p.std)
        if jitter:
            pixels = cut_views(x, index, views, p.crop, p.rotate180)
            return normalise(jitter_colours(pixels, draw_jitter(jitter, len(index), generator)), p.mean, p.std)
        return cut_and_normalise(x, index, views, p.crop, p.rotate180, p.mean, p.std)

    def draw(self, augment: str, count: int, scale_min: float, generator: torch.Generator | None) -> Views:
        """What is cut out of each of `count` images; see `batch`."""
        assert self.preprocess is not None
        return draw_views(augment, count, self.x.shape[2], self.preprocess.crop, scale_min, generator)

    def labels(self, index: Tensor, views: Views | None = None) -> Tensor:
        """Labels of the rows `index` (B,); with `views` of masks and boxes, what they cut out."""
        assert self.y is not None
        if views is None or self.preprocess is None:
            return self.y.index_select(0, send(index, self.device))
        cut = cut_boxes if self.y.is_floating_point() else cut_masks  # masks are whole numbers, boxes are not
        return cut(self.y, index, views, self.preprocess.crop, self.preprocess.rotate180)


def label_tensor(y: np.ndarray) -> Tensor:
    """Labels as an objective takes them: whole numbers as int64, others as float32; masks stay a byte per pixel."""
    if y.ndim == 3:
        return as_tensor(np.ascontiguousarray(y))
    return torch.as_tensor(y, dtype=torch.float32 if y.dtype.kind == "f" else torch.int64)


def _check(domain: Domain, preprocess: Preprocess | None, rows: RowShape | None) -> None:
    if domain.is_images and preprocess is None and rows is None:
        raise DalibError(
            f"domain '{domain.name}' holds images, which backbone 'identity' cannot take; choose a network"
        )
    if preprocess is None:
        return
    if not domain.is_images:
        raise DalibError(f"domain '{domain.name}' holds features, not images; use backbone = 'identity'")
    if domain.x.dtype != np.uint8 or domain.x.shape[1] != 3:
        raise DalibError(f"domain '{domain.name}' {explain_images(domain.x.shape, domain.x.dtype)}")
    side = domain.x.shape[2:]
    if side != (preprocess.resize, preprocess.resize) or preprocess.crop > preprocess.resize:
        raise DalibError(
            f"domain '{domain.name}' holds {side[0]} x {side[1]} pixels, but the network crops {preprocess.crop} "
            f"out of {preprocess.resize}; load the images at resize = {preprocess.resize}"
        )


def explain_images(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Why an array is none of RGB images as a network with a preparation takes them, and what to do."""
    told = f"holds {dtype} {shape}; this network takes RGB images of uint8, 0 to 255, (n, 3, R, R)"
    own = "or give a network of your own, dalib.Backbone.of(module, x)"
    if len(shape) == 4 and shape[1] != 3 and shape[3] == 3:
        return f"{told}: put the channels first, x.transpose(0, 3, 1, 2)"
    if len(shape) == 4 and shape[1] == 1:
        return f"{told}: repeat the grey channel, x.repeat(3, axis=1), {own}"
    if len(shape) == 4 and shape[1] == 3 and dtype != np.uint8:
        return f"{told}: give the pixels unscaled, for [0, 1] (255 * x).round().astype(np.uint8), {own}"
    if len(shape) == 4 and shape[1] == 3 and shape[2] != shape[3]:
        return f"{told}: cut or warp them to squares"
    return (
        f"{told}, {own}"
        if len(shape) == 4
        else f"{told}; of grey images x[:, None].repeat(3, axis=1); for rows {shape[1:]} use mlp, cnn1d or none"
    )
