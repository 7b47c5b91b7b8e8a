"""Small data sets made on the spot: drawn shapes as JPEG files, and separable features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("circle", "cross", "square")
DOMAINS = ("bright", "dark")


def draw_shape(shape: str, domain: str, seed: int) -> Image.Image:
    """A 40 px picture of a circle, cross or square, at a random place, on a background of the domain."""
    rng = np.random.default_rng(seed)
    back, front = ((235, 230, 220), (30, 60, 160)) if domain == "bright" else ((40, 45, 50), (220, 200, 90))
    image = Image.new("RGB", (40, 40), back)
    pen = ImageDraw.Draw(image)
    x, y, r = (int(v) for v in (*rng.integers(14, 26, 2), rng.integers(8, 12)))
    box = (x - r, y - r, x + r, y + r)
    if shape == "circle":
        pen.ellipse(box, fill=front)
    elif shape == "square":
        pen.rectangle(box, fill=front)
    else:
        pen.line(box, fill=front, width=4)
        pen.line((x - r, y + r, x + r, y - r), fill=front, width=4)
    return image


def write_images(root: Path) -> Path:
    """domain/class/NN.jpg: 2 domains x 3 classes x 6 images."""
    for d, domain in enumerate(DOMAINS):
        for c, shape in enumerate(CLASSES):
            folder = root / domain / shape
            folder.mkdir(parents=True)
            for i in range(6):
                draw_shape(shape, domain, 100 * d + 10 * c + i).save(folder / f"{i:02d}.jpg")
    return root


def write_features(path: Path, seed: int = 0) -> Path:
    """Two domains, three separable classes, 30 rows of width 8 each; the second domain is shifted."""
    rng = np.random.default_rng(seed)
    centres = 4 * rng.normal(size=(3, 8))
    arrays = {}
    for shift, domain in ((0.0, "left"), (0.5, "right")):
        y = np.repeat(np.arange(3), 10)
        arrays[f"{domain}_x"] = (centres[y] + shift + rng.normal(size=(30, 8))).astype(np.float32)
        arrays[f"{domain}_y"] = y
    np.savez(path, **arrays)
    return path
