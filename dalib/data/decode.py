"""Image files -> uint8 arrays, decoded once and memory-mapped afterwards."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageOps

from dalib.core.errors import DalibError
from dalib.data.cache import cached_rows
from dalib.data.folders import ImageTree

_VERSION = 1
_AHEAD = 256
"""Images that are in memory at once while a domain is decoded."""


def decode_image(content: bytes, resize: int) -> np.ndarray:
    """Encoded image -> (3, R, R) uint8 RGB.

    EXIF orientation is applied, transparency is laid on white, 16-bit grey is scaled to 8 bits; the image is warped to
    R x R (aspect ignored) by Pillow's bilinear filter, whose support grows when it shrinks an image (antialiased).

    Raises
        Whatever Pillow raises for a damaged file (OSError, SyntaxError, ValueError, DecompressionBombError)
    """
    with Image.open(io.BytesIO(content)) as opened:
        image = as_rgb(ImageOps.exif_transpose(opened))
    return np.asarray(image.resize((resize, resize), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def as_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode -> RGB."""
    if image.mode.startswith(("I", "F")):
        grey = np.asarray(image).astype(np.float64)
        sixteen_bits = image.mode.startswith("I;16") or grey.max() > 255
        image = Image.fromarray((grey / (257.0 if sixteen_bits else 1.0)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def decode_domain(tree: ImageTree, domain: str, resize: int) -> np.ndarray:
    """Every image of a domain folder, in the order of `tree.of_domain`: (n, 3, R, R) uint8, read-only memory map.

    Raises
        DalibError: an image cannot be read; names it
    """
    files = tree.of_domain(domain)

    def decode(member: str) -> np.ndarray:
        try:
            return decode_image(tree.read_sound(member), resize)
        except DalibError:
            raise
        except Exception as error:
            reason = str(error).partition("<")[0].strip() or type(error).__name__
            raise DalibError(
                f"cannot read image {member} in {tree.root} ({reason}); `dalib data verify {tree.root}` lists all such"
            ) from error

    def make() -> Iterator[np.ndarray]:
        workers = min(4, os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            for first in range(0, len(files), _AHEAD):
                yield from pool.map(decode, [f.member for f in files[first : first + _AHEAD]])

    key = f"{_VERSION}:{tree.fingerprint(domain)}:{domain}:{resize}"
    return cached_rows(f"images-{domain}-{resize}", key, (len(files), 3, resize, resize), np.uint8, make)
