"""mini_sprites: one shape per picture whose place, size and angle are known, after dSprites and its three shifts.

A heart, an arrow, a key or a flag of one colour stands anywhere in the picture, in any size, turned by at most 40
degrees. Four numbers say how: `x` and `y`, the middle of its bounding box as a share of the side; `scale`, the larger
side of that box as a share of the side; `angle` in degrees, clockwise. All are uniform and independent; proportions
vary from picture to picture, so that an angle can be seen to a few degrees only. Domains differ in what is painted,
not in where: `colour` (any colour on black), `noise` (white on random pixels), `scream` (inverted colours of a swirling
sky), the variants of dSprites drawn anew. Every picture has a random stream of its own, named by (seed, domain, index).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from .primitives import Drawing, View, box, oval, poly, rasterise, sample
from .publish import publish
from .render import generator

SPRITE_VERSION = 1
"""Raised whenever a pixel changes."""
OUTPUTS = ("x", "y", "scale", "angle")
COUNTS = {"colour": 500, "noise": 500, "scream": 500}
SIDE, OVERSAMPLE = 72, 2
TURN = 40.0
PLACE, SCALE = (0.25, 0.75), (0.2, 0.5)
SHAPES: dict[str, Drawing] = {
    "heart": Drawing((oval("k", -0.42, -0.35, 0.5, 0.45), oval("k", 0.42, -0.35, 0.5, 0.45),
                      poly("k", (-0.88, -0.15), (0.88, -0.15), (0, 1)))),
    "arrow": Drawing((poly("k", (0, -1), (0.6, -0.2), (0.2, -0.2), (0.2, 1), (-0.2, 1), (-0.2, -0.2), (-0.6, -0.2)),)),
    "key": Drawing((oval("k", 0, -0.65, 0.4, 0.35), box("k", -0.12, -0.4, 0.12, 1), box("k", 0.1, 0.55, 0.5, 0.8))),
    "flag": Drawing((box("k", -0.58, -1, -0.42, 1), poly("k", (-0.5, -1), (0.7, -0.65), (-0.5, -0.2)))),
}  # fmt: skip


def draw_sprite(domain: str, index: int, seed: int = 0) -> tuple[np.ndarray, tuple[float, ...]]:
    """(picture uint8 (SIDE, SIDE, 3), its answers in the order of `OUTPUTS`); depends on nothing else.

    Raises
        ValueError: another domain
    """
    if domain not in COUNTS:
        raise ValueError(f"no domain named {domain!r}; choose from {', '.join(COUNTS)}")
    rng = generator(seed, "sprite", domain, index)
    drawing = SHAPES[list(SHAPES)[int(rng.integers(len(SHAPES)))]]
    x, y = rng.uniform(*PLACE, 2)
    scale, angle = rng.uniform(*SCALE), rng.uniform(-TURN, TURN)
    view = View(roll=angle, fill=scale, centre=(x, y))
    shape = rasterise(sample(drawing, rng), view, SIDE * OVERSAMPLE)
    alpha = np.asarray(shape.getchannel("A"), np.float32)[:, :, None] / 255
    ground, paint = _paint(domain, SIDE * OVERSAMPLE, rng)
    pixels = ground * (1 - alpha) + paint * alpha
    picture = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(picture), (float(x), float(y), float(scale), float(angle))


def _paint(domain: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What is behind the shape and what the shape is painted with, (size, size, 3) float32 or a colour (3,)."""
    if domain == "colour":
        return np.zeros((size, size, 3), np.float32), rng.uniform(127, 255, 3).astype(np.float32)
    if domain == "noise":
        small = rng.uniform(0, 255, (size // OVERSAMPLE, size // OVERSAMPLE, 3)).astype(np.float32)
        return small.repeat(OVERSAMPLE, 0).repeat(OVERSAMPLE, 1), np.full(3, 255, np.float32)
    sky = _sky(size, rng)
    return sky, 255 - sky


def _sky(size: int, rng: np.random.Generator) -> np.ndarray:
    """Bands of orange, blue and brown that swirl: a sine of a warped height looks a colour up."""
    row, column = np.mgrid[0:size, 0:size].astype(np.float32) / size
    phase, slope, waves = rng.uniform(0, 2 * np.pi, 3), rng.uniform(-1, 1), rng.uniform(2, 5)
    warp = 0.12 * np.sin(waves * 2 * column + phase[0]) + 0.08 * np.sin(waves * 3 * (column + row) + phase[1])
    height = 0.5 + 0.5 * np.sin(2 * np.pi * (2.5 * row + slope * column + 2 * warp) + phase[2])
    colours = np.array([(196, 84, 32), (224, 160, 72), (56, 72, 120), (96, 60, 40)], np.float32)
    at = height * (len(colours) - 1)
    low = np.clip(at.astype(int), 0, len(colours) - 2)
    part = (at - low)[:, :, None]
    sky: np.ndarray = colours[low] * (1 - part) + colours[low + 1] * part + rng.normal(0, 6, (size, size, 1))
    return sky.astype(np.float32)


def write_mini_sprites(
    root: Path,
    seed: int = 0,
    counts: Mapping[str, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write root/{domain}/images/0001.png … and root/{domain}/regression.csv; a finished set is left alone.

    Args
        counts: pictures per domain, default `COUNTS`
        progress: called with (pictures written, pictures in all)
    Raises
        ValueError: `counts` names an unknown domain
        FileExistsError: `root` holds something that this function did not write
    """
    wanted = dict(COUNTS if counts is None else counts)
    if strange := set(wanted) - set(COUNTS):
        raise ValueError(f"no domain named {min(strange)!r}; choose from {', '.join(COUNTS)}")
    total = sum(wanted.values())

    def write(folder: Path) -> None:
        done = 0
        for domain, count in wanted.items():
            (folder / domain / "images").mkdir(parents=True)
            with (folder / domain / "regression.csv").open("w", newline="", encoding="utf-8") as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerow(("file", *OUTPUTS))
                for index in range(count):
                    picture, answers = draw_sprite(domain, index, seed)
                    name = f"images/{index + 1:04d}.png"
                    Image.fromarray(picture).save(folder / domain / name)
                    table.writerow((name, *(f"{value:.6g}" for value in answers)))
                    done += 1
                    if progress:
                        progress(done, total)

    publish(Path(root), "mini_sprites", json.dumps({"version": SPRITE_VERSION, "seed": seed, "counts": wanted}), write)
