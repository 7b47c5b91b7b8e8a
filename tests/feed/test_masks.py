"""Masks follow every augmentation of their pictures, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.core.backbone import Preprocess
from dalib.core.types import Domain
from dalib.feed.augment import Views, cut_masks, cut_views, draw_views
from dalib.feed.batches import DomainStore

SIDE = 20


@pytest.fixture
def masks() -> torch.Tensor:
    """Each pixel's number modulo 251: two neighbours never share a value."""
    numbers = torch.arange(6 * SIDE * SIDE).view(6, SIDE, SIDE) % 251
    return numbers.to(torch.uint8)


def as_pictures(masks: torch.Tensor) -> torch.Tensor:
    return masks[:, None].repeat(1, 3, 1, 1)


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("mode", ["none", "flip"])
def test_what_is_cut_out_and_flipped_is_the_same_in_both(masks, mode, rotate):
    index = torch.tensor([3, 0, 5, 5, 1, 2, 4, 0])
    views = draw_views(mode, len(index), SIDE, 12, 0.08, torch.Generator().manual_seed(0))
    assert mode == "none" or (views.flip.any() and not views.flip.all())
    pictures = cut_views(as_pictures(masks), index, views, 12, rotate)
    assert torch.equal(cut_masks(masks, index, views, 12, rotate), pictures[:, 0].long())


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("crop", [7, 12, 20, 33])
def test_a_resized_mask_has_the_value_under_the_middle_of_each_pixel(masks, crop, rotate):
    index = torch.tensor([3, 0, 5, 1, 2])
    views = draw_views("standard", len(index), SIDE, crop, 0.2, torch.Generator().manual_seed(1))
    found = cut_masks(masks, index, views, crop, rotate)
    for row, (i, (top, left, height, width), flip) in enumerate(
        zip(index.tolist(), views.box.tolist(), views.flip.tolist(), strict=True)
    ):
        for out_y in range(crop):
            for out_x in range(crop):
                y = crop - 1 - out_y if rotate else out_y
                x = crop - 1 - out_x if flip != rotate else out_x
                at = top + int((y + 0.5) * height / crop), left + int((x + 0.5) * width / crop)
                assert found[row, out_y, out_x] == masks[i][at]


def test_where_a_resized_picture_is_of_one_colour_its_mask_says_so():
    """Black and white halves: whatever pixel of the picture is pure black or white has the mask of that half."""
    mask = torch.zeros(1, 40, 40, dtype=torch.uint8)
    mask[:, 11:27, 5:30] = 1
    index = torch.zeros(64, dtype=torch.int64)
    views = draw_views("standard", 64, 40, 24, 0.1, torch.Generator().manual_seed(2))
    picture, cut = (
        cut_views(255 * as_pictures(mask), index, views, 24, False)[:, 0],
        cut_masks(mask, index, views, 24, False),
    )
    pure = (picture == 0) | (picture == 255)
    assert pure.float().mean() > 0.6
    assert torch.equal(cut[pure], (picture[pure] == 255).long())


@pytest.mark.parametrize("how", [{"augment": "standard"}, {"augment": "strong"}, {"augment": "flip", "jitter": 0.5}])
def test_the_store_cuts_picture_and_mask_alike_whatever_is_done_to_the_colours(masks, how):
    """The views are drawn first, from the same stream as without a mask, and given to both."""
    domain = Domain("d", as_pictures(masks).numpy(), masks.numpy(), ("a",), "m", objective="segmentation")
    store = DomainStore(domain, Preprocess(SIDE, 16), torch.device("cpu"))
    index = torch.tensor([0, 4, 2])
    first, second = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    views = store.draw(how["augment"], 3, 0.3, first)
    x = store.batch(index, scale_min=0.3, generator=first, views=views, **how)
    assert torch.equal(x, store.batch(index, scale_min=0.3, generator=second, **how))
    assert torch.equal(store.labels(index, views), cut_masks(masks, index, views, 16, False))
    assert store.y is not None and store.y.dtype == torch.uint8


def test_a_split_of_pictures_keeps_its_own_masks(masks):
    domain = Domain("d", as_pictures(masks).numpy(), masks.numpy(), ("a",), "m", objective="segmentation")
    part = domain.take(np.array([4, 1]), "part")
    store = DomainStore(part, Preprocess(SIDE, SIDE, (0, 0, 0), (1, 1, 1)), torch.device("cpu"))
    whole = Views(torch.tensor([[0, 0, SIDE, SIDE]]).repeat(2, 1), torch.zeros(2, dtype=torch.bool))
    x = (255 * store.batch(torch.tensor([1, 0]), views=whole)).round().long()
    assert torch.equal(store.labels(torch.tensor([1, 0]), whole), x[:, 0])
    assert torch.equal(x[0, 0], masks[1].long())
