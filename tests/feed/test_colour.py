"""Colour jitter: torchvision's numbers given the parameters, its distribution of parameters, nothing at strength 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, ks_2samp
from torchvision.transforms import ColorJitter
from torchvision.transforms.v2 import functional as V2

from dalib.core.backbone import Preprocess
from dalib.core.types import Domain
from dalib.feed.batches import DomainStore
from dalib.feed.colour import Jitter, draw_jitter, jitter_colours
from dalib.records.spec import DataSpec, RunSpec
from dalib.train.config import TrainConfig

THEIRS = (V2.adjust_brightness, V2.adjust_contrast, V2.adjust_saturation, V2.adjust_hue)


def photos(n: int) -> torch.Tensor:
    """Noise with grey, black, white and pure colours in it, where hue is undefined or at a corner."""
    x = np.random.default_rng(0).integers(0, 256, (n, 3, 12, 16), dtype=np.uint8)
    x[:, :, 0], x[:, :, 1], x[:, :, 2] = 0, 255, 77
    for c in range(3):
        x[:, :, 3 + c], x[:, c, 3 + c] = 0, 255
    return torch.from_numpy(x)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("operation", range(4), ids=["brightness", "contrast", "saturation", "hue"])
def test_each_operation_is_torchvisions(operation: int) -> None:
    x, drawn = photos(8), draw_jitter(0.8, 8, seeded())
    rest = [1.0, 1.0, 1.0, 0.0]
    amount = torch.tensor(rest).repeat(8, 1)
    amount[:, operation] = drawn.amount[:, operation]
    ours = jitter_colours(x, Jitter(drawn.order, amount))
    for image, changed, by in zip(x, ours, amount[:, operation].tolist(), strict=True):
        torch.testing.assert_close(changed / 255, THEIRS[operation](image.float() / 255, by), rtol=0, atol=1e-5)


def test_all_operations_in_the_order_of_each_image_are_torchvisions() -> None:
    x, drawn = photos(32), draw_jitter(0.4, 32, seeded(1))
    assert len({tuple(order) for order in drawn.order.tolist()}) > 10
    ours = jitter_colours(x, drawn)
    assert ours.dtype == torch.float32 and ours.min() >= 0 and ours.max() <= 255
    for image, changed, order, amount in zip(x, ours, drawn.order.tolist(), drawn.amount.tolist(), strict=True):
        expected = image.float() / 255
        for operation in order:
            expected = THEIRS[operation](expected, amount[operation])
        torch.testing.assert_close(changed / 255, expected, rtol=0, atol=2e-5)


def test_parameters_are_distributed_as_torchvisions() -> None:
    torch.manual_seed(0)
    jitter = ColorJitter(0.4, 0.4, 0.4, 0.1)
    ranges = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    theirs = np.array([ColorJitter.get_params(*ranges)[1:] for _ in range(2000)])
    ours = draw_jitter(0.4, 2000, seeded(2))
    for k in range(4):
        assert ks_2samp(ours.amount[:, k].numpy(), theirs[:, k]).pvalue > 0.01
    counts = np.unique(ours.order.numpy(), axis=0, return_counts=True)[1]
    assert len(counts) == 24 and chisquare(counts).pvalue > 0.01


def test_strength_zero_is_the_image() -> None:
    x = photos(5)
    torch.testing.assert_close(jitter_colours(x, draw_jitter(0.0, 5, seeded())), x.float(), rtol=0, atol=1e-3)


def test_only_a_batch_that_asks_for_it_is_jittered_and_the_views_stay_the_same() -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 3, 24, 24), dtype=np.uint8)
    store = DomainStore(Domain("a", x, None, ("c",), "0"), Preprocess(24, 24), torch.device("cpu"))
    index = torch.arange(6)
    for mode in ("none", "flip", "standard"):
        plain, same, zero = (store.batch(index, augment=mode, generator=seeded(3), jitter=j) for j in (0.0, 0.4, 0.0))
        assert torch.equal(plain, zero) and not torch.equal(plain, same)
        assert torch.equal(same, store.batch(index, augment=mode, generator=seeded(3), jitter=0.4))
    p = store.preprocess
    assert p is not None
    drawn = seeded(3)
    unchanged = store.batch(index, generator=drawn)
    jittered = store.batch(index, generator=seeded(3), jitter=0.4)
    expected = jitter_colours(torch.from_numpy(x), draw_jitter(0.4, 6, seeded(3))) / 255
    expected = (expected - torch.tensor(p.mean).view(3, 1, 1)) / torch.tensor(p.std).view(3, 1, 1)
    torch.testing.assert_close(jittered, expected, rtol=0, atol=1e-5)
    assert not torch.equal(unchanged, jittered)


def test_a_record_without_jitter_keeps_its_key() -> None:
    spec = RunSpec(data=DataSpec(dataset="features:x.npz"), source="a", target="b", algorithm="dann")
    assert '"colour_jitter"' in spec.model_dump_json()
    keys = {spec.model_copy(update={"train": TrainConfig(colour_jitter=s)}).key for s in (0.0, 0.4)}
    assert spec.key in keys and len(keys) == 2


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="colour_jitter"):
        TrainConfig(colour_jitter=strength)
