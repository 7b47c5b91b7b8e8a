"""Memory of batches is used again, and never while something still refers to it."""

from __future__ import annotations

import numpy as np
import torch

from dalib.core.backbone import Preprocess
from dalib.core.types import Domain
from dalib.feed.augment import cut_and_normalise, cut_views, draw_views, normalise
from dalib.feed.batches import DomainStore
from dalib.feed.buffers import Buffers

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_memory_that_nobody_uses_is_handed_out_again() -> None:
    buffers = Buffers()
    first = buffers.take((4, 6))
    at = first.data_ptr()
    assert first.shape == (4, 6) and first.dtype == torch.float32 and first.is_contiguous()
    assert all(buffers.take((n,)).data_ptr() % 64 == 0 for n in (1, 7, 99, 100_000))
    del first
    assert buffers.take((3, 5)).data_ptr() == at, "a smaller batch fits as well"


def test_memory_in_use_is_not_handed_out() -> None:
    buffers = Buffers()
    first = buffers.take((8,)).fill_(1)
    second = buffers.take((8,)).fill_(2)
    row = first[3:4]
    del first
    third = buffers.take((8,)).fill_(3)
    assert row.item() == 1 and (second == 2).all() and (third == 3).all()


def test_a_graph_keeps_the_batch_that_it_saved() -> None:
    buffers = Buffers()
    weight = torch.ones(5, requires_grad=True)
    product = (weight * buffers.take((5,)).fill_(2)).sum()
    buffers.take((5,)).fill_(9)
    product.backward()
    assert weight.grad is not None and weight.grad.tolist() == [2.0] * 5


def test_free_memory_does_not_pile_up() -> None:
    buffers = Buffers()
    for size in range(1, 50):
        buffers.take((size,))
    assert len(buffers._made) == 1


def test_one_pass_gives_the_numbers_of_two() -> None:
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (9, 3, 40, 40), dtype=np.uint8))
    index = torch.tensor([8, 0, 3, 3])
    for mode in ("none", "flip", "standard"):
        for turned in (False, True):
            views = draw_views(mode, 4, 40, 32, 0.08, torch.Generator().manual_seed(1))
            whole = cut_and_normalise(x, index, views, 32, turned, MEAN, STD)
            assert torch.equal(whole, normalise(cut_views(x, index, views, 32, turned), MEAN, STD))


def test_a_batch_stays_as_it_is_while_later_ones_are_made() -> None:
    x = np.random.default_rng(0).integers(0, 256, (9, 3, 40, 40), dtype=np.uint8)
    store = DomainStore(Domain("a", x, None, ("c",), "0"), Preprocess(40, 32), torch.device("cpu"))
    batches = [store.batch(torch.arange(i, i + 2)) for i in range(7)]
    for i, batch in enumerate(batches):
        assert torch.equal(batch, store.batch(torch.arange(i, i + 2)))
