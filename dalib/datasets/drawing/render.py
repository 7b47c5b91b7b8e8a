"""One picture from (class, domain, index, seed): an individual, a view, a scene, a camera."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from .objects import OBJECTS
from .primitives import Drawing, Stroke, View, rasterise, sample
from .styles import CLUTTER, STYLES, Style, backdrop, expose

OVERSAMPLE = 2


def draw(cls: str, domain: str, index: int, seed: int = 0, style: Style | None = None) -> np.ndarray:
    """The picture number `index` (from 0) of class `cls` in `domain`, uint8 (H, W, 3); depends on nothing else.

    webcam and dslr photograph the same few individuals of a class; every amazon picture shows another one. `style` is
    that of a domain which `STYLES` does not have.
    """
    style = style or STYLES[domain]
    who = ("desk", index % style.individuals) if style.individuals else (domain, index)
    strokes = sample(OBJECTS[cls], generator(seed, cls, *who))
    return photograph(OBJECTS[cls], strokes, style, generator(seed, cls, domain, index, "view"))


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A stream of random numbers of its own for every sequence of names."""
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, names)).encode())])


def photograph(drawing: Drawing, strokes: Sequence[Stroke], style: Style, rng: np.random.Generator) -> np.ndarray:
    """`strokes`, an individual of `drawing`, in a random scene of `style`: uint8 (size, size, 3)."""
    size = style.size * OVERSAMPLE
    scene = backdrop(style.backdrops[int(rng.integers(len(style.backdrops)))], size, rng)
    view = _view(drawing, style, rng)
    for _ in range(int(rng.integers(style.clutter[0], style.clutter[1] + 1))):
        place(scene, stray_thing(size, rng, near=0.38), rng, style)
    place(scene, rasterise(strokes, view, size), rng, style)
    if rng.random() < style.occlude:
        place(scene, stray_thing(size, rng, near=0.36, fill=(0.2, 0.35)), rng, style)
    pixels = round(style.size * rng.uniform(*style.resolution))
    scene = scene.resize((pixels, pixels), Image.Resampling.BOX if pixels == style.size else Image.Resampling.BILINEAR)
    scene = scene.filter(ImageFilter.GaussianBlur(rng.uniform(*style.blur)))
    exposed = Image.fromarray(expose(np.asarray(scene), style, rng))
    return np.asarray(exposed.resize((style.size, style.size), Image.Resampling.BILINEAR))


def _view(drawing: Drawing, style: Style, rng: np.random.Generator) -> View:
    yaw, roll, shift_x, shift_y = rng.uniform(-1, 1, 4)
    pitch = -rng.uniform(*style.lying) if drawing.lying else rng.uniform(*style.pitch)
    return View(
        yaw=style.yaw * yaw * drawing.turn * (0.4 if drawing.lying else 1),
        pitch=pitch,
        roll=roll * drawing.spin * style.spin,
        fill=rng.uniform(*style.fill),
        centre=(0.5 + style.shift * shift_x, 0.5 + style.shift * shift_y),
        mirror=drawing.mirror and rng.random() < 0.5,
    )


def stray_thing(
    size: int, rng: np.random.Generator, near: float, fill: tuple[float, float] = (0.25, 0.6)
) -> Image.Image:
    """A nameless thing whose middle lies on a ring of radius `near` or more around the middle of the frame."""
    drawing = CLUTTER[int(rng.integers(len(CLUTTER)))]
    angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(near, near + 0.2)
    yaw, pitch, roll = rng.uniform(-35, 35), rng.uniform(-40, 20), rng.uniform(-180, 180)
    centre = (0.5 + radius * float(np.cos(angle)), 0.5 + radius * float(np.sin(angle)))
    return rasterise(sample(drawing, rng), View(yaw, pitch, roll, rng.uniform(*fill), centre), size)


def place(scene: Image.Image, thing: Image.Image, rng: np.random.Generator, style: Style) -> None:
    """Light `thing`, drop its shadow on `scene` and paste it there, in place."""
    size = thing.width
    alpha = thing.getchannel("A")
    small = alpha.resize((size // 8, size // 8), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(size / 110))
    strength = rng.uniform(*style.shadow)
    shadow = small.point([int(level * strength) for level in range(256)])
    dx, dy = int(size * rng.uniform(-0.03, 0.03)), int(size * rng.uniform(0.0, 0.035))
    scene.paste((20, 20, 24), (dx, dy), shadow.resize((size, size), Image.Resampling.BILINEAR))
    ramp = rng.uniform(0.72, 1.0, (2, 2)) if style.individuals else rng.uniform(0.88, 1.0, (2, 2))
    light = Image.fromarray((255 * ramp).astype(np.uint8)).resize((size, size), Image.Resampling.BILINEAR)
    scene.paste(ImageChops.multiply(thing.convert("RGB"), Image.merge("RGB", (light,) * 3)), (0, 0), alpha)
