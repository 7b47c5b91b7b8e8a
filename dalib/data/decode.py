"""Image files -> uint8 arrays, decoded once and memory-mapped afterwards."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageOps

from dalib.core.limits import amount_of
from dalib.data.cache import cached_rows
from dalib.data.folders import ImageTree
from dalib.data.listing import naming

# of what is refused below anyway; filters are the process's and images are decoded in threads, so none is set there
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_VERSION = 3
_AHEAD = 256
"""Most images that are in memory at once while a domain is decoded; of large ones half a gigabyte."""

ORIENTATION, SIDEWAYS = 274, 5
"""EXIF's tag; from 5 on an image is shown with its sides exchanged."""


def decode_image(content: bytes, resize: int) -> np.ndarray:
    """Encoded image -> (3, R, R) uint8 RGB: `open_image`, warped to R x R (aspect ignored).

    By Pillow's bilinear filter, whose support grows when it shrinks an image (antialiased).

    Raises
        Whatever Pillow raises for a damaged file (OSError, SyntaxError, ValueError)
    """
    image = open_image(content)
    return np.asarray(image.resize((resize, resize), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def open_image(content: bytes) -> Image.Image:
    """Encoded image -> RGB in its own size.

    EXIF orientation is applied, transparency is laid on white, grey of more than 8 bits is scaled to 8. One of more
    than `DALIB_MAX_PIXELS` (90M) pixels is refused before it is decoded.

    Raises
        Whatever Pillow raises for a damaged file (OSError, SyntaxError, ValueError)
    """
    most = amount_of("DALIB_MAX_PIXELS", "90M")
    Image.MAX_IMAGE_PIXELS = 2 * most  # beyond which it warns
    try:
        opened = Image.open(io.BytesIO(content))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        size = re.search(r"\d+", str(error))
        told = f"{size[0]} pixels" if size else "too many pixels"
        raise ValueError(f"{told}; an image may have {most} (DALIB_MAX_PIXELS)") from None
    with opened:
        if opened.width * opened.height > most:
            raise ValueError(f"{opened.width} x {opened.height} pixels; an image may have {most} (DALIB_MAX_PIXELS)")
        return as_rgb(ImageOps.exif_transpose(opened))


def picture_row(image: Image.Image, resize: int = 0) -> np.ndarray:
    """A PIL image -> (3, H, W) uint8, turned and brought to RGB as `open_image` does, and warped to resize x resize."""
    image = as_rgb(ImageOps.exif_transpose(image))
    if resize and image.size != (resize, resize):
        image = image.resize((resize, resize), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def read_picture(tree: ImageTree, member: str) -> Image.Image:
    """One file of a tree, as `open_image` gives it.

    Raises
        DalibError: it cannot be read; names it
    """
    with naming(tree.root, member):
        return open_image(tree.read_sound(member))


def unread(n: int) -> np.ndarray:
    """What stands for n images that nobody looks at: (n, 3, 1, 1), of no size in memory."""
    return np.broadcast_to(np.uint8(0), (n, 3, 1, 1))


def measure_picture(content: bytes) -> tuple[int, int, int]:
    """(width, height, EXIF's orientation or 1) of an encoded image as it is shown: from 5 on sides are exchanged."""
    with Image.open(io.BytesIO(content)) as opened:
        turn = opened.getexif().get(ORIENTATION, 1)
        turn = turn if isinstance(turn, int) and 1 <= turn <= 8 else 1
        return (*(opened.size[::-1] if turn >= SIDEWAYS else opened.size), turn)


def find_depth(image: Image.Image) -> int:
    """Bits of a grey image of more than 8: 8, 12, 16, 24 or 31, the fewest that hold its largest value; 64 for more.

    Scanners and medical devices keep 8 or 12 bits in files of 16.
    """
    largest = float(np.asarray(image).max())
    return next((bits for bits in (8, 12, 16, 24, 31) if largest <= (1 << bits) - 1), 64)


def as_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode -> RGB; grey with a decimal point counts as 0 to 1 where none is larger, else by its depth.

    Raises
        ValueError: numbers below 0, or none at all (NaN)
    """
    if image.mode.startswith(("I", "F")):
        grey = np.asarray(image).astype(np.float64)
        if not np.isfinite(grey).all() or grey.min() < 0:
            raise ValueError(f"values from {grey.min():g} to {grey.max():g} are no grey levels; convert it to 8 bits")
        if image.mode.startswith("I"):
            full = float((1 << find_depth(image)) - 1)
        else:
            depth = 0 if grey.max() <= 1 else find_depth(image)
            full = min(float((1 << depth) - 1), grey.max()) if depth > 31 else float((1 << depth) - 1) or 1.0
        image = Image.fromarray((grey / (full / 255.0)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def decode_domain(tree: ImageTree, domain: str, resize: int) -> np.ndarray:
    """Every image of a domain folder, in the order of `tree.of_domain`: (n, 3, R, R) uint8, read-only memory map.

    Args
        resize: R; 0 = none is read (`unread`)
    Raises
        DalibError: an image cannot be read; names it
    """
    files = tree.of_domain(domain)
    if not resize:
        return unread(len(files))

    def decode(member: str) -> np.ndarray:
        with naming(tree.root, member):
            return decode_image(tree.read_sound(member), resize)

    def make() -> Iterator[np.ndarray]:
        workers, ahead = min(4, os.cpu_count() or 1), max(8, min(_AHEAD, (1 << 29) // (3 * resize * resize + 1)))
        with ThreadPoolExecutor(workers) as pool:
            for first in range(0, len(files), ahead):
                yield from pool.map(decode, [f.member for f in files[first : first + ahead]])

    key = f"{_VERSION}:{tree.fingerprint(domain)}:{domain}:{resize}"
    return cached_rows(f"images-{domain}-{resize}", key, (len(files), 3, resize, resize), np.uint8, make)
