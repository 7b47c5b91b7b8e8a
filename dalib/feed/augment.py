"""Crops, flips and resizes of a whole batch: parameters are drawn on the CPU, pixels move on any device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from dalib.core.errors import unknown
from dalib.feed.buffers import BUFFERS
from dalib.feed.placement import Pieces, send

MODES = ("none", "flip", "standard", "strong")
RATIO = (3 / 4, 4 / 3)
TRIES = 10
LEAST_PART, LEAST_SIDE = 0.25, 2.0
"""What must be left of a box that a crop cuts: this part of its area, and so many pixels of the crop a side."""


@dataclass(frozen=True)
class Views:
    """What is cut out of each image: box (B, 4) int64 top, left, height, width; flip (B,) bool, left to right."""

    box: Tensor
    flip: Tensor


def draw_views(
    mode: str, count: int, side: int, crop: int, scale_min: float, generator: torch.Generator | None
) -> Views:
    """Augmentation parameters for `count` images of side x side pixels, all from `generator` (CPU).

    `none`: the centre crop. `flip`: a crop of crop x crop pixels anywhere, flipped with probability .5.
    `standard`: torchvision's RandomResizedCrop (area in (scale_min, 1), ratio log-uniform in (3/4, 4/3), the whole
    image after ten boxes that do not fit) and flip. `strong`: the same; `distort` adds the rest.
    """
    if mode == "none":
        margin = round((side - crop) / 2.0)
        return Views(
            torch.tensor([[margin, margin, crop, crop]]).repeat(count, 1), torch.zeros(count, dtype=torch.bool)
        )
    if mode not in MODES:
        raise unknown("augmentation", mode, MODES)
    size = torch.full((count, 2), crop)
    if mode in ("standard", "strong"):
        u = torch.rand(2, TRIES, count, generator=generator, dtype=torch.float64)
        area = side * side * (scale_min + (1 - scale_min) * u[0])
        ratio = torch.exp(math.log(RATIO[0]) + (math.log(RATIO[1]) - math.log(RATIO[0])) * u[1])
        boxes = torch.stack([torch.sqrt(area / ratio), torch.sqrt(area * ratio)], 2).round().long()
        fits = ((boxes > 0) & (boxes <= side)).all(2)
        first = fits.int().argmax(0)
        size = torch.where(fits.any(0)[:, None], boxes[first, torch.arange(count)], side)
    u = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    start = (u[:, :2] * (side - size + 1)).long()
    return Views(torch.cat([start, size], 1), u[:, 2] < 0.5)


def cut_views(x: Tensor | Pieces, index: Tensor, views: Views, crop: int, rotate180: bool) -> Tensor:
    """Images x (n, 3, R, R) uint8, rows index (B,) -> (B, 3, crop, crop) with values 0..255.

    A box of crop x crop pixels is copied exactly. Any other is resized, bilinear with antialiasing: on the CPU by
    torchvision v2's uint8 kernel; elsewhere by matrix products, rounded to whole levels, about 4 % of them one level
    apart from the CPU's (3 in 100 000 two).
    """
    if isinstance(x, Pieces) or x.device.type == "cpu":
        return _cut_each(x, index, views, crop, rotate180)
    return _cut_all(x, index, views, crop, rotate180)


def cut_masks(y: Tensor, index: Tensor, views: Views, crop: int, rotate180: bool) -> Tensor:
    """Masks y (n, R, R) of the images that `cut_views` cuts, rows index (B,) -> (B, crop, crop) int64.

    Every pixel is that of the mask under the middle of the image's pixel: nothing is mixed, on every device alike.
    """
    box, flip = send(views.box, y.device), send(views.flip, y.device)
    top, left, height, width = box.unbind(1)
    rows = _under_middles(top, height, torch.full_like(flip, rotate180), crop)
    columns = _under_middles(left, width, flip ^ rotate180, crop)
    return y[send(index, y.device)[:, None, None], rows[:, :, None], columns[:, None, :]].long()


def cut_boxes(y: Tensor, index: Tensor, views: Views, crop: int, rotate180: bool) -> Tensor:
    """Boxes y (n, M, 5) of the images that `cut_views` cuts, rows index (B,) -> (B, M, 5), in pixels of the crop.

    A box is moved, scaled, flipped and cut like its picture. One of which less than LEAST_PART of its area is left, or
    a side of less than LEAST_SIDE pixels, is no longer there: class -1, zeros.
    """
    chosen = y[send(index, y.device)]
    top, left, height, width = send(views.box, y.device).to(y.dtype)[:, :, None].unbind(1)
    scale = torch.stack([crop / width, crop / height], 2)
    corners = torch.stack([chosen[..., 1:3], chosen[..., 3:5]], 2) - torch.stack([left, top], 2)[:, None]
    corners = corners * scale[:, None]
    whole = (corners[:, :, 1] - corners[:, :, 0]).prod(2)
    flip = send(views.flip, y.device) ^ rotate180
    turns = torch.stack([flip, torch.full_like(flip, rotate180)], 1)[:, None, None]
    corners = torch.where(turns, crop - corners.flip(2), corners).clamp(0, crop)
    left_over = corners[:, :, 1] - corners[:, :, 0]
    there = (chosen[..., 0] >= 0) & (left_over.prod(2) >= LEAST_PART * whole) & (left_over >= LEAST_SIDE).all(2)
    boxes = torch.cat([chosen[..., :1], corners.flatten(2)], 2)
    return torch.where(there[..., None], boxes, boxes.new_tensor([-1.0, 0, 0, 0, 0]))


def _under_middles(start: Tensor, size: Tensor, reverse: Tensor, crop: int) -> Tensor:
    """Where (B, crop) each of `crop` pixels comes from that cover `size` from `start`; the last first if reverse."""
    out = torch.arange(crop, device=start.device).expand(len(size), crop)
    out = torch.where(reverse[:, None], crop - 1 - out, out)
    return start[:, None] + (2 * out + 1) * size[:, None] // (2 * crop)


def _cut_each(x: Tensor | Pieces, index: Tensor, views: Views, crop: int, rotate180: bool) -> Tensor:
    """Image by image: on a CPU each stays in the cache, which beats one operation over the batch."""
    out = torch.empty(len(index), x.shape[1], crop, crop, dtype=x.dtype)
    for row, view in zip(out, _each_view(x, index, views, crop, rotate180), strict=True):
        row.copy_(view)
    return out


def _each_view(x: Tensor | Pieces, index: Tensor, views: Views, crop: int, rotate180: bool) -> Iterator[Tensor]:
    parameters = zip(index.tolist(), views.box.tolist(), views.flip.tolist(), strict=True)
    for i, (top, left, height, width), flip in parameters:
        view = x[i, :, top : top + height, left : left + width]
        if (height, width) != (crop, crop):
            view = F.interpolate(view[None], (crop, crop), mode="bilinear", antialias=True)[0]
        dims = [d for d, turn in ((1, rotate180), (2, flip != rotate180)) if turn]
        yield view.flip(dims) if dims else view


def _cut_all(x: Tensor, index: Tensor, views: Views, crop: int, rotate180: bool) -> Tensor:
    """The whole batch in two matrix products, each rounded like the passes of the CPU kernel; float32."""
    top, left, height, width = send(views.box, x.device).unbind(1)
    flip = send(views.flip, x.device)
    with torch.autocast(x.device.type, enabled=False):
        rows = resize_matrix(top, height, torch.full_like(flip, rotate180), x.shape[2], crop)
        columns = resize_matrix(left, width, flip ^ rotate180, x.shape[3], crop)
        picked = x[send(index, x.device)].float()
        wide = torch.matmul(picked, columns[:, None].transpose(2, 3)).round_()
        return torch.matmul(rows[:, None], wide).round_()


def resize_matrix(start: Tensor, size: Tensor, reverse: Tensor, side: int, crop: int) -> Tensor:
    """Weights (B, crop, side) that resize `size` pixels from `start` to `crop`, the last first where `reverse`.

    PyTorch's antialiased bilinear filter: a triangle of half width max(1, size / crop), cut at the box, sum 1.
    """
    scale = (size.float() / crop)[:, None, None]
    out = torch.arange(crop, device=start.device).expand(len(size), crop)
    out = torch.where(reverse[:, None], crop - 1 - out, out)
    centre = scale * (out[:, :, None] + 0.5)
    pixel = torch.arange(side, device=start.device)[None, None, :] - start[:, None, None]
    weight = (1 - ((pixel + 0.5 - centre) / scale.clamp(min=1)).abs()).clamp(min=0)
    weight = weight * ((pixel >= 0) & (pixel < size[:, None, None]))
    return weight / weight.sum(2, keepdim=True)


def distort(pixels: Tensor, generator: torch.Generator | None) -> Tensor:
    """Colours and a hole, for the strong view of FixMatch: (B, 3, H, W) with values 0..255 -> the same, float32.

    Brightness, contrast and saturation each by a factor in (0.6, 1.4), grey with probability 0.2 (torchvision's
    formulas), then a square of half the side set to the image's mean, its centre anywhere (Cutout, arXiv:1708.04552).
    """
    x, side = pixels.float(), pixels.shape[2]
    u = send(torch.rand(len(x), 6, generator=generator), x.device)
    bright, contrast, colour = (0.6 + 0.8 * u[:, :3]).T[:, :, None, None, None]
    x = (x * bright).clamp(0, 255)
    x = (contrast * x + (1 - contrast) * _grey(x).mean((2, 3), keepdim=True)).clamp(0, 255)
    colour = torch.where(u[:, 3, None, None, None] < 0.2, 0.0, colour)
    x = (colour * x + (1 - colour) * _grey(x)).clamp(0, 255)
    at = torch.arange(side, device=x.device)
    row, column = ((at - (u[:, i, None] * side)).abs() < side / 4 for i in (4, 5))
    return torch.where((row[:, :, None] & column[:, None, :])[:, None], x.mean((1, 2, 3), keepdim=True), x)


def _grey(x: Tensor) -> Tensor:
    return (x * _per_channel((0.2989, 0.587, 0.114), x.device)).sum(1, keepdim=True)


def drop_features(x: Tensor, generator: torch.Generator | None, rate: float = 0.5) -> Tensor:
    """Dropout, the strong view of rows (B, *S): each number is 0 with probability `rate`, else / (1 - rate).

    Token ids that are not dropped (0 is padding) stay what they are.
    """
    keep = send(torch.rand(x.shape, generator=generator) >= rate, x.device)
    return x * keep / (1 - rate) if x.is_floating_point() else x * keep


def normalise(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(pixels / 255 - mean) / std per channel, float32, the same operations as torchvision's."""
    if pixels.device.type == "cpu":
        return _normalise_each(pixels, pixels.shape, mean, std)
    m, s = _per_channel(mean, pixels.device), _per_channel(std, pixels.device)
    return pixels.to(torch.float32, copy=True).div_(255).sub_(m).div_(s)


def cut_and_normalise(
    x: Tensor | Pieces,
    index: Tensor,
    views: Views,
    crop: int,
    rotate180: bool,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Tensor:
    """`cut_views`, then `normalise`: the same numbers, in one pass over the images on a CPU."""
    if isinstance(x, Pieces) or x.device.type == "cpu":
        shape = (len(index), x.shape[1], crop, crop)
        return _normalise_each(_each_view(x, index, views, crop, rotate180), shape, mean, std)
    return normalise(cut_views(x, index, views, crop, rotate180), mean, std)


def _normalise_each(
    images: Iterable[Tensor], shape: Sequence[int], mean: tuple[float, ...], std: tuple[float, ...]
) -> Tensor:
    """An image goes through all operations while it is in the processor's cache."""
    m, s = (_per_channel(v, torch.device("cpu")) for v in (mean, std))
    out = BUFFERS.take(shape)
    for row, image in zip(out, images, strict=True):
        row.copy_(image).div_(255).sub_(m).div_(s)
    return out


@lru_cache
def _per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(C, 1, 1); made once per device, because a copy there in every step would wait for the device."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device).view(-1, 1, 1)
