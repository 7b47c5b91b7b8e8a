"""Images from one .npz: parts are joined, grey becomes three channels, and mistakes are one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.arrays import load_arrays, resize_domain
from dalib.data.catalog import load_data

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 9, 9), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (3, 7, 5, 3), dtype=np.uint8)
GOOD = {"a_x": GREY, "a_y": np.array([0, 1, 1, 2]), "b_x": COLOUR, "b_y": np.array([2, 0, 1])}


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_parts_of_a_domain_are_joined_in_file_order_and_other_keys_left_out(tmp_path: Path) -> None:
    parts = {"usps_train_x": GREY[:3], "usps_train_y": np.array([0, 1, 1]), "usps_test_x": GREY[3:]}
    path = save(tmp_path / "d.npz", **parts, usps_test_y=np.array([2]), uspsish_x=GREY, note=np.zeros(2))
    found = load_arrays(path, ("mnist", "usps"))
    assert list(found.x) == ["usps"] and found.y["usps"].tolist() == [0, 1, 1, 2]
    assert found.counts() == {"usps": {"0": 1, "1": 2, "2": 1}}
    np.testing.assert_array_equal(resize_domain(found, "usps", 9)[:, 1], GREY)


def test_images_are_warped_by_pillow_and_grey_is_repeated(tmp_path: Path) -> None:
    found = load_arrays(save(tmp_path / "d.npz", **GOOD), ("a", "b"))
    grey, colour = resize_domain(found, "a", 6), resize_domain(found, "b", 6)
    assert grey.shape == (4, 3, 6, 6) and colour.shape == (3, 3, 6, 6) and grey.dtype == np.uint8
    assert (grey == grey[:, :1]).all()
    expected = np.asarray(Image.fromarray(COLOUR[1]).resize((6, 6), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(colour[1], expected.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a_x": GREY.astype(np.float32)}, "a_x is float32 of shape"),
        ({"a_x": GREY.reshape(4, 81)}, r"a_x is uint8 of shape \(4, 81\)"),
        ({"a_y": np.array([0, 1])}, "expected 4 integers >= 0"),
        ({"a_y": np.array([0, 1, 1, -2])}, "expected 4 integers >= 0"),
        ({"a_y": None}, "has a_x but no a_y"),
        ({"a_x": None, "b_x": None}, "has none of a_x, b_x"),
    ],
)
def test_a_file_that_does_not_fit_is_one_clear_line(tmp_path: Path, change: dict[str, object], message: str) -> None:
    arrays = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    with pytest.raises(DalibError, match=message):
        load_arrays(save(tmp_path / "d.npz", **arrays), ("a", "b"))


def test_an_incomplete_copy_of_the_digits_is_refused_or_marked(tmp_path: Path) -> None:
    y = np.arange(10)
    x = RNG.integers(0, 256, (10, 28, 28), dtype=np.uint8)
    save(tmp_path / "digits_few.npz", mnist_x=x, mnist_y=y, usps_x=x[:, :16, :16], usps_y=y)
    with pytest.raises(DalibError, match="mnist 10 of 10000 images"):
        load_data("digits", tmp_path)
    data = load_data("digits", tmp_path, partial=True)
    assert data.kind == "images" and data.partial and data.tasks() == ["mnist->usps", "usps->mnist"]
    assert data.domain("usps", 28).x.shape == (10, 3, 28, 28)


def test_a_folder_without_the_file_says_what_to_fetch(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    with pytest.raises(DalibError, match=r"no data for digits .* lay it out as an .npz with <domain>_x \(n, H, W\)"):
        load_data("digits", tmp_path)


def test_the_real_digits_are_complete(shared_data: Path) -> None:
    data = load_data("digits", shared_data)
    assert data.counts == dict(DATASETS.get("digits").counts) and not data.partial
    usps = data.domain("usps", 16)
    assert np.bincount(usps.labels).tolist() == [1553, 1269, 929, 824, 852, 716, 834, 792, 708, 821]
