"""A small folder of pictures with masks, made without drawing anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("background", "red", "blue")


def write_scenes(root: Path, domains: tuple[str, ...] = ("day", "dusk"), n: int = 4, side: int = 32) -> Path:
    """root/<domain>/images/p<i>.png and masks: a red and a blue square on grey; dusk is darker; classes.txt."""
    for light, domain in zip((1.0, 0.6, 0.4), domains, strict=False):
        rng = np.random.default_rng(len(domain))
        for i in range(n):
            mask = np.zeros((side, side), np.uint8)
            for kind in (1, 2):
                top, left = rng.integers(0, side - 10, 2)
                mask[top : top + 10, left : left + 10] = kind
            colours = np.array([[130, 130, 130], [230, 40, 40], [40, 40, 230]])
            pixels = light * colours[mask] + rng.normal(0, 4, (side, side, 3))
            save(root / domain / "images" / f"p{i}.png", pixels.clip(0, 255).astype(np.uint8))
            save(root / domain / "masks" / f"p{i}.png", mask)
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return root


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
