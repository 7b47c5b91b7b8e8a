"""Every kind of image file becomes the right RGB pixels, once."""

from __future__ import annotations

import multiprocessing
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dalib.core.errors import DalibError
from dalib.data import decode
from dalib.data.decode import decode_domain, decode_image
from dalib.data.folders import ImageTree
from tests.support.image_sets import TWO_DOMAINS, encode, members, write_folder, write_zip

RED, WHITE, GREY = (255, 0, 0), (255, 255, 255), (128, 128, 128)


def palette_image(transparent: bool) -> bytes:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    return encode(image, "PNG", **({"transparency": 0} if transparent else {}))


KINDS = {
    "rgb png": (encode(Image.new("RGB", (8, 8), RED), "PNG"), RED, 0),
    "rgb bmp": (encode(Image.new("RGB", (8, 8), RED), "BMP"), RED, 0),
    "webp": (encode(Image.new("RGB", (8, 8), RED), "WEBP", lossless=True), RED, 0),
    "jpeg": (encode(Image.new("RGB", (8, 8), RED), "JPEG", quality=95), RED, 4),
    "cmyk jpeg": (encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95), RED, 6),
    "grey": (encode(Image.new("L", (8, 8), 128), "PNG"), GREY, 0),
    "black and white": (encode(Image.new("1", (8, 8), 1), "PNG"), WHITE, 0),
    "grey of 16 bits": (encode(Image.fromarray(np.full((8, 8), 128 * 257, np.uint16)), "PNG"), GREY, 0),
    "8 bits in a file of 16": (encode(Image.fromarray(np.full((8, 8), 128, np.uint16)), "PNG"), GREY, 0),
    "12 bits in a file of 16": (encode(Image.fromarray(np.full((8, 8), 2056, np.uint16)), "PNG"), GREY, 0),
    "grey from 0 to 1": (encode(Image.fromarray(np.full((8, 8), 128.2 / 255, np.float32)), "TIFF"), GREY, 0),
    "grey from 0 to 255 with a point": (encode(Image.fromarray(np.full((8, 8), 128.2, np.float32)), "TIFF"), GREY, 0),
    "grey of 32 bits": (encode(Image.fromarray(np.full((8, 8), 128 * 257, np.int32)), "TIFF"), GREY, 0),
    "opaque alpha": (encode(Image.new("RGBA", (8, 8), (*RED, 255)), "PNG"), RED, 0),
    "transparent": (encode(Image.new("RGBA", (8, 8), (*RED, 0)), "PNG"), WHITE, 0),
    "half transparent": (encode(Image.new("RGBA", (8, 8), (*RED, 128)), "PNG"), (255, 127, 127), 0),
    "transparent grey": (encode(Image.new("LA", (8, 8), (0, 0)), "PNG"), WHITE, 0),
    "palette": (palette_image(False), RED, 0),
    "transparent palette": (palette_image(True), WHITE, 0),
}


@pytest.mark.parametrize(("content", "colour", "tolerance"), KINDS.values(), ids=KINDS.keys())
def test_every_mode_becomes_rgb(content: bytes, colour: tuple[int, int, int], tolerance: int) -> None:
    x = decode_image(content, 4)
    assert x.shape == (3, 4, 4) and x.dtype == np.uint8
    assert np.abs(x.astype(int) - np.array(colour).reshape(3, 1, 1)).max() <= tolerance


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (16, 16), WHITE)
    image.paste(RED, (0, 0, 16, 8))  # red above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: red comes to the right
    x = decode_image(encode(image, "PNG", exif=exif), 16)
    assert (x[1, :, 12:] == 0).all() and (x[1, :, :4] == 255).all()


def test_images_are_warped_with_antialiasing() -> None:
    stripes = np.zeros((64, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    x = decode_image(encode(Image.fromarray(stripes), "PNG"), 16)
    assert x.shape == (3, 16, 16)
    assert np.abs(x.astype(int) - 127).max() <= 8, "columns of one pixel must blend to grey, not alias"


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_a_domain_is_decoded_in_file_order_and_cached(write: object, tmp_path: Path) -> None:
    content = members(TWO_DOMAINS)
    tree = ImageTree(write(tmp_path / "root.zip", content))  # type: ignore[operator]
    x = decode_domain(tree, "sketch", 6)
    assert x.shape == (11, 3, 6, 6)
    for row, name in zip(x, sorted(k for k in content if k.startswith("sketch")), strict=True):
        np.testing.assert_array_equal(row, decode_image(content[name], 6))


def test_decoding_happens_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folder(tmp_path, members({"a": {"c": 3}}))
    first = np.array(decode_domain(ImageTree(root), "a", 7))
    monkeypatch.setattr(decode, "decode_image", lambda content, resize: pytest.fail("decoded again"))
    np.testing.assert_array_equal(decode_domain(ImageTree(root), "a", 7), first)


def _decode_and_note(root: Path, log: Path) -> None:
    def note(content: bytes, resize: int) -> np.ndarray:
        with log.open("a") as file:
            file.write("decoded\n")
        return decode_image(content, resize)

    decode.decode_image = note
    assert decode_domain(ImageTree(root), "a", 9).shape == (300, 3, 9, 9)


def test_two_processes_that_start_at_once_decode_each_image_once(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "root", members({"a": {"c": 300}}))
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_decode_and_note, args=(root, tmp_path / "log")) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert (tmp_path / "log").read_text().split() == ["decoded"] * 300


def test_a_changed_image_is_decoded_again(tmp_path: Path) -> None:
    root = write_folder(tmp_path, members({"a": {"c": 3}}))
    decode_domain(ImageTree(root), "a", 7)
    (root / "a/c/001.png").write_bytes(encode(Image.new("RGB", (9, 9), RED), "PNG"))
    assert (decode_domain(ImageTree(root), "a", 7)[1, 0] == 255).all()


whole = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), "JPEG")


@pytest.mark.parametrize("content", [b"", b"no image", whole[: len(whole) // 2]], ids=["empty", "text", "truncated"])
def test_an_unreadable_image_is_named_with_the_remedy(content: bytes, tmp_path: Path) -> None:
    root = write_folder(tmp_path, {**members({"a": {"c": 3}}), "a/c/bad.jpg": content})
    with pytest.raises(DalibError, match=r"a/c/bad\.jpg .*dalib data verify") as caught:
        decode_domain(ImageTree(root), "a", 8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [-3.0, float("nan")], ids=["below zero", "nan"])
def test_numbers_that_are_no_grey_levels_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no grey levels"):
        decode_image(encode(Image.fromarray(np.full((8, 8), value, np.float32)), "TIFF"), 4)


@pytest.mark.parametrize(("top", "full"), [(1.0, 1), (255.0, 255), (1020.0, 4095), (4095.0, 4095), (65535.0, 65535)])
def test_numbers_with_a_point_are_read_by_the_depth_that_holds_them(top: float, full: float) -> None:
    levels = np.linspace(0, top, 64, dtype=np.float32).reshape(8, 8)
    got = decode_image(encode(Image.fromarray(levels), "TIFF"), 8)[0]
    assert np.array_equal(got, (levels.astype(np.float64) / (full / 255)).astype(np.uint8))


def test_numbers_beyond_every_depth_are_read_by_the_largest() -> None:
    levels = np.linspace(0, 1e20, 64, dtype=np.float32).reshape(8, 8)
    assert decode_image(encode(Image.fromarray(levels), "TIFF"), 8).max() == 255


def test_pillows_own_limit_is_told_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # dalib sets it, for tests after this too
    monkeypatch.setenv("DALIB_MAX_PIXELS", "100K")  # Pillow refuses twice its limit by itself
    with pytest.raises(ValueError, match=r"1200000 pixels; an image may have 100000 \(DALIB_MAX_PIXELS\)"):
        decode_image(encode(Image.new("1", (2000, 600), 1), "PNG"), 4)


def test_a_giant_picture_is_refused_unless_the_limit_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(Image.new("1", (2000, 600), 1), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("DALIB_MAX_PIXELS", "1M")
    with pytest.raises(ValueError, match=r"2000 x 600 pixels.*DALIB_MAX_PIXELS"):
        decode_image(content, 4)
    monkeypatch.setenv("DALIB_MAX_PIXELS", "2M")
    assert (decode_image(content, 4) == 255).all()


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_filters_of_warnings_stay_as_they_are_while_threads_decode(
    action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the process's: threads that set and restore them end with each other's."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("DALIB_MAX_PIXELS", "1K")
    seen, small = set(), encode(Image.new("RGB", (8, 8)), "PNG")
    opened = Image.open

    def watch(*given: object) -> Image.Image:
        seen.add((id(warnings.filters), len(warnings.filters)))
        return opened(*given)  # type: ignore[arg-type]

    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        warnings.simplefilter(action, Image.DecompressionBombWarning)  # type: ignore[arg-type]
        monkeypatch.setattr(Image, "open", watch)
        assert len(list(pool.map(lambda content: decode_image(content, 4), [small] * 16))) == 16
        assert seen == {(id(warnings.filters), len(warnings.filters))}
        for side in (33, 50, 70):  # once, more than twice and more than four times as many as may be
            with pytest.raises(ValueError, match="DALIB_MAX_PIXELS"), warnings.catch_warnings():
                decode_image(encode(Image.new("RGB", (side, side)), "PNG"), 4)
