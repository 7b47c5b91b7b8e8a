"""Masks as files: one channel with a palette, and the picture with the mask laid on it."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from dalib.core.files import write_atomic
from dalib.data.decode import as_rgb
from dalib.data.scenes import IGNORE, warp_mask
from dalib.data.written import write_jpeg

GROUND = "background"
"""The class that pictures with a mask on them leave as it is."""
GOLDEN = 0.618034


def class_colours(classes: Sequence[str]) -> np.ndarray:
    """(256, 3) uint8: black for the background, hues far apart for the others, white for no label (255)."""
    colours = np.zeros((256, 3), np.uint8)
    for i, name in enumerate(classes):
        if name != GROUND:
            rgb = colorsys.hsv_to_rgb(GOLDEN * i % 1, 0.85 if i % 2 else 0.6, 0.95 if i % 3 else 0.7)
            colours[i] = [round(255 * v) for v in rgb]
    colours[IGNORE] = 255
    return colours


def write_mask(folder: Path, name: str, content: bytes, values: np.ndarray, classes: Sequence[str]) -> None:
    """Write folder/<name>.png, the mask at the picture's own size, and folder/<name>.overlay.jpg, the picture with it.

    Args
        name: of the picture, whose ending is left out
        content: the picture's bytes
        values: (H, W) uint8, the class of every pixel at any size
    """
    with Image.open(io.BytesIO(content)) as opened:
        picture = as_rgb(ImageOps.exif_transpose(opened))
    mask = warp_mask(values, picture.height, picture.width)
    colours = class_colours(classes)
    flat = Image.frombytes("P", (picture.width, picture.height), mask.tobytes())
    flat.putpalette(colours.ravel().tolist())
    stem = folder / PurePosixPath(name).with_suffix("")
    stem.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    flat.save(buffer, "PNG")
    write_atomic(stem.with_name(f"{stem.name}.png"), buffer.getvalue())
    pixels = np.asarray(picture)
    ground = np.isin(mask, [i for i, c in enumerate(classes) if c == GROUND])[..., None]
    laid = np.where(ground, pixels, (pixels.astype(np.uint16) + colours[mask]) // 2).astype(np.uint8)
    write_jpeg(Image.fromarray(laid), stem.with_name(f"{stem.name}.overlay.jpg"), 90)
