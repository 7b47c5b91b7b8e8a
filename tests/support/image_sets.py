"""Tiny image data sets for the tests of the data layer."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def png(seed: int, side: int = 12) -> bytes:
    """A random image, the same for the same seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return encode(Image.fromarray(pixels), "PNG")


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def members(counts: Mapping[str, Mapping[str, int]], inner: str = "") -> dict[str, bytes]:
    """{path: bytes} for domain -> class -> images; `inner` is put between domain and class (`images/`)."""
    found = {}
    for domain, classes in counts.items():
        for cls, n in classes.items():
            for i in range(n):
                found[f"{domain}/{inner}{cls}/{i:03d}.png"] = png(len(found))
    return found


def write_folder(root: Path, content: Mapping[str, bytes]) -> Path:
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def write_zip(path: Path, content: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


TWO_DOMAINS = {"photo": {"cat": 6, "dog": 5}, "sketch": {"cat": 4, "dog": 7}}
