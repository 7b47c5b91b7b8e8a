"""mini_scenes: several of mini_office's objects in one picture, with the exact mask of each pixel and the box of each
object.

Objects are placed from back to front and may hide a little of each other; a pixel belongs to the object that is in
front there. Three domains share objects and classes, not the place, the light and the camera: `catalogue` (white,
sharp), `webcam` (rooms with clutter, low resolution, noise, a cast) and `night` (desks in the dark, blue and noisy).
Every picture has a random stream of its own, named by (seed, domain, index).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from .objects import OBJECTS
from .primitives import View, rasterise, sample
from .publish import publish
from .render import OVERSAMPLE, generator, place, stray_thing
from .styles import STYLES, Style, backdrop, expose

SCENES_VERSION = 1
"""Raised whenever a pixel changes."""
SCENE_CLASSES = ("background", "monitor", "back_pack", "calculator", "bottle", "desk_lamp", "mug")
"""In the order of their values in a mask."""
ODDS = (0.26, 0.22, 0.18, 0.15, 0.11, 0.08)
"""How often an object is each of the classes after the background."""
SCENE_COUNTS = {"catalogue": 240, "webcam": 240, "night": 240}
SIDE = 96
MOST_HIDDEN = 0.25
"""Part of an object that those in front of it may hide."""
TRIES = 12

SCENES: dict[str, Style] = {
    "catalogue": replace(STYLES["amazon"], size=SIDE, fill=(0.3, 0.46), quality=90),
    "webcam": replace(
        STYLES["webcam"], size=SIDE, fill=(0.28, 0.46), clutter=(1, 2), occlude=0.2, resolution=(0.65, 0.85), quality=70
    ),
    "night": replace(
        STYLES["dslr"],
        size=SIDE,
        fill=(0.28, 0.46),
        clutter=(1, 2),
        occlude=0.2,
        exposure=(0.28, 0.5),
        contrast=(0.6, 0.8),
        saturation=(0.4, 0.7),
        cast=(0.8, 0.92, 1.2),
        noise=(5.0, 9.0),
        quality=80,
    ),
}


@dataclass(frozen=True)
class Scene:
    """A picture (SIDE, SIDE, 3) uint8, its mask (SIDE, SIDE) uint8 of positions in SCENE_CLASSES, and what is seen.

    boxes: (class, left, top, right, bottom, pixels) of every object with a visible pixel; right and bottom exclusive
    """

    picture: np.ndarray
    mask: np.ndarray
    boxes: tuple[tuple[int, int, int, int, int, int], ...]


def draw_scene(domain: str, index: int, seed: int = 0) -> Scene:
    """The scene number `index` (from 0) of `domain`; depends on nothing else."""
    style, rng = SCENES[domain], generator(seed, "scene", domain, index)
    size = SIDE * OVERSAMPLE
    canvas = backdrop(style.backdrops[int(rng.integers(len(style.backdrops)))], size, rng)
    for _ in range(int(rng.integers(style.clutter[0], style.clutter[1] + 1))):
        place(canvas, stray_thing(size, rng, near=0.3, fill=(0.2, 0.4)), rng, style)
    owner, kinds = np.zeros((size, size), np.int64), [0]
    for _ in range(int(rng.integers(2, 5))):
        kind = int(rng.choice(len(ODDS), p=ODDS)) + 1
        thing = _find_room(kind, style, owner, rng)
        if thing is not None:
            place(canvas, thing, rng, style)
            kinds.append(kind)
            owner[np.asarray(thing.getchannel("A")) >= 128] = len(kinds) - 1
    if rng.random() < style.occlude:
        front = stray_thing(size, rng, near=0.3, fill=(0.12, 0.2))
        place(canvas, front, rng, style)
        owner[np.asarray(front.getchannel("A")) >= 128] = 0
    seen = _halve(owner, len(kinds))
    return Scene(_photograph(canvas, style, rng), np.array(kinds, np.uint8)[seen], _boxes(seen, kinds))


def _find_room(kind: int, style: Style, owner: np.ndarray, rng: np.random.Generator) -> Image.Image | None:
    """An object of that kind where it hides little of those that are there; None where no place was found."""
    drawing, size = OBJECTS[SCENE_CLASSES[kind]], len(owner)
    strokes = sample(drawing, rng)
    shown = np.bincount(owner.ravel())
    for _ in range(TRIES):
        fill, x, y, yaw, roll = rng.uniform((style.fill[0], 0.2, 0.2, -1, -1), (style.fill[1], 0.8, 0.8, 1, 1))
        pitch = -rng.uniform(*style.lying) if drawing.lying else rng.uniform(*style.pitch)
        view = View(
            yaw=style.yaw * yaw * drawing.turn * (0.4 if drawing.lying else 1),
            pitch=pitch,
            roll=roll * drawing.spin * style.spin,
            fill=fill,
            centre=(x, y),
            mirror=drawing.mirror and rng.random() < 0.5,
        )
        thing = rasterise(strokes, view, size)
        hidden = np.bincount(owner[np.asarray(thing.getchannel("A")) >= 128], minlength=len(shown))
        if (hidden[1:] <= MOST_HIDDEN * shown[1:]).all():
            return thing
    return None


def _photograph(canvas: Image.Image, style: Style, rng: np.random.Generator) -> np.ndarray:
    pixels = round(SIDE * rng.uniform(*style.resolution))
    canvas = canvas.resize((pixels, pixels), Image.Resampling.BOX if pixels == SIDE else Image.Resampling.BILINEAR)
    canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(*style.blur)))
    exposed = Image.fromarray(expose(np.asarray(canvas), style, rng))
    return np.asarray(exposed.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _halve(owner: np.ndarray, count: int) -> np.ndarray:
    """Who has most of each pixel's OVERSAMPLE x OVERSAMPLE parts; the one farther back where several have as many."""
    parts = owner.reshape(SIDE, OVERSAMPLE, SIDE, OVERSAMPLE)
    return np.stack([(parts == i).sum((1, 3)) for i in range(count)]).argmax(0)


def _boxes(seen: np.ndarray, kinds: list[int]) -> tuple[tuple[int, int, int, int, int, int], ...]:
    found = []
    for i, kind in enumerate(kinds[1:], 1):
        rows, columns = np.nonzero(seen == i)
        if len(rows):
            left, top, right, bottom = (int(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            found.append((kind, left, top, right, bottom, len(rows)))
    return tuple(found)


def write_mini_scenes(
    root: Path,
    seed: int = 0,
    counts: Mapping[str, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write root/{domain}/images/scene_0001.jpg, masks/scene_0001.png, boxes.json and root/classes.txt.

    A finished set of this version, seed and counts is left alone.

    Args
        counts: pictures of each domain, default `SCENE_COUNTS`; a domain left out is not drawn
        progress: called with (pictures written, pictures in all)
    Raises
        ValueError: `counts` names an unknown domain
        FileExistsError: `root` holds something that this function did not write
    """
    counts = dict(SCENE_COUNTS if counts is None else counts)
    for domain in counts:
        if domain not in SCENES:
            raise ValueError(f"no domain named {domain!r}; choose from {', '.join(SCENES)}")
    marker = json.dumps({"version": SCENES_VERSION, "seed": seed, "counts": counts})
    report = progress or (lambda done, total: None)
    publish(root, "mini_scenes", marker, lambda folder: _write(folder, seed, counts, report))


def _write(root: Path, seed: int, counts: Mapping[str, int], progress: Callable[[int, int], None]) -> None:
    done, total = 0, sum(counts.values())
    (root / "classes.txt").write_text("\n".join(SCENE_CLASSES) + "\n")
    for domain, count in counts.items():
        for part in ("images", "masks"):
            (root / domain / part).mkdir(parents=True)
        pictures: list[dict[str, Any]] = []
        things: list[dict[str, Any]] = []
        for index in range(count):
            scene, name = draw_scene(domain, index, seed), f"scene_{index + 1:04d}"
            picture = Image.fromarray(scene.picture)
            picture.save(root / domain / "images" / f"{name}.jpg", quality=SCENES[domain].quality)
            Image.fromarray(scene.mask).save(root / domain / "masks" / f"{name}.png")
            pictures.append({"id": index + 1, "file_name": f"{name}.jpg", "width": SIDE, "height": SIDE})
            for kind, left, top, right, bottom, pixels in scene.boxes:
                box = [left, top, right - left, bottom - top]
                thing = {"id": len(things) + 1, "image_id": index + 1, "category_id": kind, "bbox": box}
                things.append({**thing, "area": pixels, "iscrowd": 0})
            done += 1
            progress(done, total)
        kinds = [{"id": i, "name": name} for i, name in enumerate(SCENE_CLASSES) if i]
        told = {"images": pictures, "annotations": things, "categories": kinds}
        (root / domain / "boxes.json").write_text(json.dumps(told))
