"""Boxes follow the crops and flips of their pictures, compared with masks that are drawn from them, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.core.backbone import Preprocess
from dalib.core.types import Domain
from dalib.feed.augment import LEAST_PART, LEAST_SIDE, Views, cut_boxes, cut_views, draw_views
from dalib.feed.batches import DomainStore

SIDE = 40


def draw(n: int, seed: int = 0) -> torch.Tensor:
    """One box in each of n pictures, and a row of padding."""
    rng = np.random.default_rng(seed)
    y = np.zeros((n, 2, 5), np.float32)
    y[:, 1, 0] = -1
    y[:, 0, 0] = rng.integers(0, 3, n)
    y[:, 0, 1:3] = rng.integers(0, SIDE - 14, (n, 2))
    y[:, 0, 3:] = y[:, 0, 1:3] + rng.integers(8, 15, (n, 2))
    return torch.as_tensor(y)


def as_pictures(y: torch.Tensor) -> torch.Tensor:
    """White where the box of each picture is, else black."""
    x = torch.zeros(len(y), 3, SIDE, SIDE, dtype=torch.uint8)
    for picture, ((_, left, top, right, bottom), _) in zip(x, y.long().tolist(), strict=True):
        picture[:, top:bottom, left:right] = 255
    return x


def bounds(white: torch.Tensor) -> list[int]:
    rows, columns = torch.nonzero(white.any(1)).flatten(), torch.nonzero(white.any(0)).flatten()
    return [int(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("mode", ["none", "flip"])
def test_a_crop_without_scale_cuts_the_box_to_the_pixel(mode, rotate):
    y = draw(60)
    index = torch.arange(60).flip(0)
    views = draw_views(mode, 60, SIDE, 30, 1.0, torch.Generator().manual_seed(0))
    pictures = cut_views(as_pictures(y), index, views, 30, rotate)
    found = cut_boxes(y, index, views, 30, rotate)
    gone = 0
    for picture, (box, padding), was in zip(pictures, found, y[index], strict=True):
        white, whole = picture[0] > 0, float((was[0, 3:] - was[0, 1:3]).prod())
        assert padding.tolist() == [-1, 0, 0, 0, 0]
        kept = white.any() and white.sum() >= LEAST_PART * whole
        if kept:
            left, top, right, bottom = bounds(white)
            kept = min(right - left, bottom - top) >= LEAST_SIDE
        if not kept:
            gone += 1
            assert box.tolist() == [-1, 0, 0, 0, 0]
            continue
        assert box.tolist() == [float(was[0, 0]), left, top, right, bottom]
    assert gone < 20


@pytest.mark.parametrize("rotate", [False, True])
def test_a_scaled_crop_moves_the_box_with_its_picture_to_a_pixel(rotate):
    """White with antialiasing reaches less than a pixel's width beyond the box, whose inside is pure."""
    y, crop = draw(80, seed=1), 32
    views = draw_views("standard", 80, SIDE, crop, 0.3, torch.Generator().manual_seed(1))
    pictures = cut_views(as_pictures(y), torch.arange(80), views, crop, rotate)
    found = cut_boxes(y, torch.arange(80), views, crop, rotate)
    seen = 0
    for picture, (box, _) in zip(pictures, found, strict=True):
        if box[0] < 0:
            continue
        seen += 1
        left, top, right, bottom = bounds(picture[0] > 127)
        assert np.abs(np.array([left, top, right, bottom]) - box[1:].numpy()).max() <= 1
    assert seen > 50


def test_what_is_left_of_a_cut_box_decides_whether_it_stays():
    y = torch.tensor([[[2.0, 0, 0, 8, 8]]])
    for width, there in ((1, False), (2, True), (4, True)):  # 1/8 and 1/4 of the area
        views = Views(torch.tensor([[0, 8 - width, 20, 20]]), torch.tensor([False]))
        found = cut_boxes(y, torch.tensor([0]), views, 20, False)[0, 0].tolist()
        assert found == ([2, 0, 0, width, 8] if there else [-1, 0, 0, 0, 0])
    for left, there in ((7, False), (6, True)):  # the same parts, where the crop is enlarged
        views = Views(torch.tensor([[0, left, 10, 10]]), torch.tensor([False]))
        found = cut_boxes(y, torch.tensor([0]), views, 20, False)[0, 0].tolist()
        assert found == ([2, 0, 0, 4, 16] if there else [-1, 0, 0, 0, 0])
    narrow = Views(torch.tensor([[0, 0, 40, 40]]), torch.tensor([False]))
    assert cut_boxes(torch.tensor([[[1.0, 0, 0, 3, 30]]]), torch.tensor([0]), narrow, 20, False)[0, 0, 0] == -1


@pytest.mark.parametrize("how", [{}, {"augment": "strong"}, {"jitter": 0.5}])
def test_the_store_cuts_picture_and_boxes_alike_whatever_is_done_to_the_colours(how):
    y = draw(8)
    domain = Domain("d", as_pictures(y).numpy(), y.numpy(), ("a", "b", "c"), "b", objective="detection")
    store = DomainStore(domain, Preprocess(SIDE, 24), torch.device("cpu"))
    index = torch.arange(8)
    views = store.draw("standard", 8, 0.3, torch.Generator().manual_seed(2))
    store.batch(index, views=views, **{"augment": "standard", **how})
    assert store.labels(index).dtype == torch.float32
    assert torch.equal(store.labels(index, views), cut_boxes(y, index, views, 24, False))
