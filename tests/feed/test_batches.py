"""Batches against torchvision, image by image; index streams against counting."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare, ks_2samp
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as TF
from torchvision.transforms.v2 import functional as V2

from dalib.core.backbone import Preprocess
from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.feed.augment import MODES, Views, _cut_all, cut_views, draw_views
from dalib.feed.batches import DomainStore

CPU = torch.device("cpu")
SIDE, CROP, N = 60, 44, 12


def photos(n: int = N, side: int = SIDE) -> np.ndarray:
    """Noise smoothed a little, so that neighbouring pixels are related as in photographs."""
    noise = np.random.default_rng(0).random((n, 3, side + 2, side + 2))
    smooth = sum(noise[:, :, i : i + side, j : j + side] for i in range(3) for j in range(3)) / 9
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def domain(x: np.ndarray, name: str = "amazon") -> Domain:
    return Domain(name, x, np.arange(len(x)) % 4, ("a", "b", "c", "d"), "0" * 64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_torchvision(image: np.ndarray, box: list[int], flip: bool, p: Preprocess) -> torch.Tensor:
    """One image through torchvision's own functions, from PIL to the normalised tensor."""
    picture = TF.crop(Image.fromarray(image.transpose(1, 2, 0)), *box)
    if flip:
        picture = TF.hflip(picture)
    x = TF.normalize(TF.to_tensor(picture), p.mean, p.std)
    return TF.rotate(x, 180) if p.rotate180 else x


@pytest.mark.parametrize("rotate180", [False, True])
@pytest.mark.parametrize("augment", ["none", "flip"])
def test_crop_flip_and_normalisation_equal_torchvision_exactly(augment: str, rotate180: bool) -> None:
    x, p = photos(), Preprocess(SIDE, CROP, rotate180=rotate180)
    index = torch.tensor([3, 0, 11, 3, 7])
    batch = DomainStore(domain(x), p, CPU).batch(index, augment=augment, generator=seeded())
    views = draw_views(augment, len(index), SIDE, CROP, 0.08, seeded())
    expected = [
        by_torchvision(x[i], box, flip, p)
        for i, box, flip in zip(index.tolist(), views.box.tolist(), views.flip.tolist(), strict=True)
    ]
    assert batch.dtype == torch.float32
    assert torch.equal(batch, torch.stack(expected))


def test_without_augmentation_the_crop_is_torchvisions_centre_crop() -> None:
    x, p = photos(side=63), Preprocess(63, 44)
    batch = DomainStore(domain(x), p, CPU).batch(torch.arange(N))
    expected = TF.normalize(TF.center_crop(torch.from_numpy(x), [44, 44]).float().div(255), p.mean, p.std)
    assert torch.equal(batch, expected)


def test_standard_equals_torchvisions_resized_crop_of_uint8_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    # torchvision resizes in floats on processors it does not know (0.19 knows AVX2 only), one level apart
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    x = torch.from_numpy(photos())
    views = draw_views("standard", N, SIDE, CROP, 0.08, seeded(1))
    cut = cut_views(x, torch.arange(N), views, CROP, rotate180=False)
    for i, (box, flip) in enumerate(zip(views.box.tolist(), views.flip.tolist(), strict=True)):
        expected = V2.resized_crop(x[i], *box, [CROP, CROP], antialias=True)
        assert torch.equal(cut[i], V2.hflip(expected) if flip else expected)


def test_standard_stays_within_one_level_of_pillow() -> None:
    x = photos()
    views = draw_views("standard", N, SIDE, CROP, 0.08, seeded(1))
    cut = cut_views(
        torch.from_numpy(x), torch.arange(N), Views(views.box, torch.zeros(N, dtype=torch.bool)), CROP, False
    )
    for i, box in enumerate(views.box.tolist()):
        expected = TF.resized_crop(Image.fromarray(x[i].transpose(1, 2, 0)), *box, [CROP, CROP])
        assert (cut[i].int() - TF.pil_to_tensor(expected).int()).abs().max() <= 1


@pytest.mark.parametrize("augment", MODES)
@pytest.mark.parametrize("rotate180", [False, True])
def test_matrix_products_of_other_devices_cut_the_same_pixels(augment: str, rotate180: bool) -> None:
    x, views = torch.from_numpy(photos()), draw_views(augment, N, SIDE, CROP, 0.08, seeded(2))
    each = cut_views(x, torch.arange(N), views, CROP, rotate180).float()
    together = _cut_all(x, torch.arange(N), views, CROP, rotate180)
    difference = (each - together).abs()
    if augment in ("standard", "strong"):
        assert difference.max() <= 2
        assert (difference > 0).float().mean() < 0.06
        assert (difference > 1).float().mean() < 2e-4
    else:
        assert torch.equal(each, together)


def test_standard_draws_boxes_as_torchvision_does() -> None:
    count, scale_min = 3000, 0.3
    torch.manual_seed(0)
    image = torch.empty(3, 256, 256)
    theirs = np.array([RandomResizedCrop.get_params(image, [scale_min, 1.0], [3 / 4, 4 / 3]) for _ in range(count)])
    ours = draw_views("standard", count, 256, 224, scale_min, seeded(3)).box.numpy()
    for quantity in (lambda b: b[:, 2] * b[:, 3], lambda b: b[:, 2] / b[:, 3], lambda b: b[:, 0], lambda b: b[:, 1]):
        assert ks_2samp(quantity(ours), quantity(theirs)).pvalue > 0.01


def test_standard_takes_the_whole_image_after_ten_boxes_that_do_not_fit() -> None:
    torch.manual_seed(0)
    image = torch.empty(3, 32, 32)
    theirs = [RandomResizedCrop.get_params(image, [1.0, 1.0], [3 / 4, 4 / 3]) for _ in range(50)]
    ours = draw_views("standard", 50, 32, 16, 1.0, seeded()).box.tolist()
    assert set(map(tuple, ours)) == set(theirs) == {(0, 0, 32, 32)}


def test_flip_reaches_every_position_equally_often() -> None:
    views = draw_views("flip", 9000, 6, 4, 0.08, seeded())
    seen = Counter(zip(*views.box[:, :2].T.tolist(), views.flip.tolist(), strict=True))
    assert len(seen) == 18
    assert chisquare(list(seen.values())).pvalue > 0.01


@pytest.mark.parametrize("augment", MODES)
def test_only_the_generator_decides_the_views(augment: str) -> None:
    store, index = DomainStore(domain(photos()), Preprocess(SIDE, CROP), CPU), torch.arange(N)
    before = torch.get_rng_state()
    a, b, c = (store.batch(index, augment=augment, generator=seeded(s)) for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert torch.equal(a, c) == (augment == "none")
    assert torch.equal(before, torch.get_rng_state())


def test_a_memory_map_is_read_in_place(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", photos())
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    store = DomainStore(domain(x), Preprocess(SIDE, CROP), CPU)
    assert store.x.data_ptr() == x.ctypes.data
    assert torch.equal(
        store.batch(torch.arange(4)),
        DomainStore(domain(np.array(x)), Preprocess(SIDE, CROP), CPU).batch(torch.arange(4)),
    )


def test_features_pass_as_they_are() -> None:
    x = np.random.default_rng(0).normal(size=(N, 5))
    store = DomainStore(domain(x), None, CPU)
    assert len(store) == N
    assert torch.equal(store.batch(torch.tensor([4, 2])), torch.from_numpy(x[[4, 2]].astype(np.float32)))
    assert store.y is not None and store.y.dtype == torch.int64 and store.y.tolist() == [i % 4 for i in range(N)]
    assert DomainStore(domain(x).unlabelled(), None, CPU).y is None


@pytest.mark.parametrize(
    ("x", "preprocess", "message"),
    [
        (photos(), None, "'amazon' holds images, which backbone 'identity' cannot take"),
        (np.zeros((3, 5)), Preprocess(8, 8), "'amazon' holds features, not images; use backbone = 'identity'"),
        (
            photos(),
            Preprocess(64, 56),
            "60 x 60 pixels, but the network crops 56 out of 64; load the images at resize = 64",
        ),
        (photos(), Preprocess(60, 61), "the network crops 61 out of 60"),
    ],
)
def test_a_store_refuses_what_the_network_cannot_take(
    x: np.ndarray, preprocess: Preprocess | None, message: str
) -> None:
    with pytest.raises(DalibError) as error:
        DomainStore(domain(x), preprocess, CPU)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_augmentation_is_named() -> None:
    with pytest.raises(DalibError, match="no augmentation named 'flop'; did you mean 'flip'"):
        DomainStore(domain(photos()), Preprocess(SIDE, CROP), CPU).batch(torch.arange(2), augment="flop")
