"""The three domains as cameras in places: what stands around the object, how it is seen, what the camera does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .primitives import Drawing, box, line, maybe, oval, poly, tile

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Ranges are uniform; every value is drawn once per image.

    size        side of the picture, pixels
    individuals distinct objects per class photographed again and again; 0: every picture shows another one
    fill        larger side of the object, share of the frame;   shift  offset of its centre, share of the frame
    yaw, pitch  camera angles for upright things, degrees;       lying  tilt away from straight above for the others
    spin        multiple of the class's in-plane rotation
    backdrops   kinds of background, equally likely;             clutter  number of things around the object
    occlude     probability of one thing in front of it
    exposure    gain; contrast about mid-grey; saturation        gains, 1 leaves the picture alone
    cast        mean red, green, blue gain;                      tint  its spread between pictures
    blur        Gaussian sigma, pixels;  resolution  share of the pixels the sensor has;  noise  sigma, levels
    quality     JPEG
    """

    size: int
    individuals: int
    fill: Range
    shift: float
    yaw: float
    pitch: Range
    lying: Range
    spin: float
    backdrops: tuple[str, ...]
    clutter: tuple[int, int]
    occlude: float
    shadow: Range
    exposure: Range
    contrast: Range
    saturation: Range
    cast: tuple[float, float, float]
    tint: float
    blur: Range
    resolution: Range
    noise: Range
    quality: int


STYLES: dict[str, Style] = {
    "amazon": Style(
        size=112,
        individuals=0,
        fill=(0.78, 0.96),
        shift=0.02,
        yaw=28.0,
        pitch=(-2.0, 18.0),
        lying=(0.0, 35.0),
        spin=1.0,
        backdrops=("white",),
        clutter=(0, 0),
        occlude=0.0,
        shadow=(0.0, 0.3),
        exposure=(0.97, 1.06),
        contrast=(0.98, 1.1),
        saturation=(0.95, 1.15),
        cast=(1.0, 1.0, 1.0),
        tint=0.0,
        blur=(0.0, 0.4),
        resolution=(1.0, 1.0),
        noise=(0.0, 1.0),
        quality=90,
    ),
    "webcam": Style(
        size=96,
        individuals=5,
        fill=(0.55, 0.85),
        shift=0.07,
        yaw=32.0,
        pitch=(4.0, 26.0),
        lying=(20.0, 50.0),
        spin=1.2,
        backdrops=("room", "plain"),
        clutter=(1, 3),
        occlude=0.15,
        shadow=(0.15, 0.45),
        exposure=(0.75, 1.05),
        contrast=(0.72, 0.92),
        saturation=(0.55, 0.85),
        cast=(0.93, 0.99, 1.08),
        tint=0.04,
        blur=(0.4, 0.9),
        resolution=(0.6, 0.8),
        noise=(4.0, 8.0),
        quality=60,
    ),
    "dslr": Style(
        size=128,
        individuals=5,
        fill=(0.6, 0.88),
        shift=0.07,
        yaw=32.0,
        pitch=(4.0, 26.0),
        lying=(20.0, 50.0),
        spin=1.2,
        backdrops=("desk", "room"),
        clutter=(2, 4),
        occlude=0.15,
        shadow=(0.25, 0.55),
        exposure=(0.8, 1.1),
        contrast=(0.95, 1.15),
        saturation=(0.9, 1.15),
        cast=(1.04, 1.0, 0.93),
        tint=0.03,
        blur=(0.0, 0.3),
        resolution=(1.0, 1.0),
        noise=(0.0, 2.0),
        quality=92,
    ),
}

CLUTTER: tuple[Drawing, ...] = (
    Drawing((box("a", -0.9, -0.5, 0.9, 0.5, depth=0.3), maybe(0.6, box("b", -0.7, -0.2, 0.7, 0.2))), ("vivid", "wood")),
    Drawing(
        (
            poly("w", (-0.8, -0.6), (0.7, -0.7), (0.9, 0.6), (-0.7, 0.7)),
            tile(-0.5, -0.4, 0.5, 0.4, 1, (4, 6), line("m", 0.03, (-1, 0), (1, 0))),
        )
    ),
    Drawing((line("a", 0.06, (-1, 0.3), (-0.5, -0.3), (0, 0.2), (0.5, -0.2), (1, 0.1)),), ("dark", "pale", "vivid")),
    Drawing((oval("a", 0, 0, 0.8, 0.7), oval("a-", 0, 0, 0.5, 0.44)), ("vivid", "grey", "pale")),
    Drawing((poly("a", (-0.7, 0.9), (-0.5, -0.6), (0.6, -0.9), (0.8, 0.8), depth=0.2),), ("vivid", "dark", "wood")),
    Drawing((poly("a", (-0.8, 0.8), (0, -0.8), (0.9, 0.7)), line("b", 0.08, (-0.4, 0.5), (0.5, 0.5))), ("vivid",)),
    Drawing((tile(-0.9, -0.6, 0.9, 0.6, (2, 4), (1, 2), box("abc", -1, -1, 1, 1), gap=0.1),)),
    Drawing((box("a", -0.3, -1, 0.3, 1, depth=0.5), line("b", 0.1, (-0.3, 0.3), (0.3, 0.3))), ("wood", "pale", "dark")),
)

WALLS = ((206, 202, 190), (186, 192, 198), (222, 216, 202), (168, 176, 170), (150, 146, 150), (196, 182, 162))
DESKS = ((168, 126, 84), (122, 88, 60), (198, 166, 122), (148, 148, 150), (92, 90, 92), (214, 208, 196))


def backdrop(kind: str, size: int, rng: np.random.Generator) -> Image.Image:
    """An empty scene, RGB, `size` pixels square; `kind` is white, plain, room, desk or texture."""
    if kind == "white":
        return Image.new("RGB", (size, size), (int(rng.integers(250, 256)),) * 3)
    wall, desk = _colour(WALLS, rng), _colour(DESKS, rng)
    scene = np.empty((size, size, 3), np.float32)
    if kind == "plain":
        scene[:] = wall + _noise(size, (3, 3), 14, rng)
    elif kind == "texture":
        scene[:] = rng.uniform(40, 230, 3)
        scene += _noise(size, tuple(rng.integers(3, 40, 2)), rng.uniform(5, 45), rng)
    else:
        scene[:] = wall + _noise(size, (4, 4), 9, rng)
        horizon = int(size * (rng.uniform(0.3, 0.75) if kind == "room" else rng.uniform(-0.2, 0.3)))
        grain = _noise(size, (int(rng.integers(24, 60)), 4), rng.uniform(2, 12), rng)
        scene[max(0, horizon) :] = (desk + grain)[max(0, horizon) :]
    scene *= _noise(size, (2, 2), 0.08, rng) + 1
    return Image.fromarray(scene.clip(0, 255).astype(np.uint8))


def expose(picture: np.ndarray, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Light, colour and sensor noise: uint8 (H, W, 3) to uint8 of the same shape."""
    x = picture.astype(np.float32)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * rng.uniform(*style.saturation)
    x = 128 + (x - 128) * rng.uniform(*style.contrast)
    x *= rng.uniform(*style.exposure) * np.array(style.cast) * rng.normal(1, style.tint, 3)
    x += rng.normal(0, rng.uniform(*style.noise), x.shape)
    return x.clip(0, 255).round().astype(np.uint8)


def _colour(choices: tuple[tuple[int, int, int], ...], rng: np.random.Generator) -> np.ndarray:
    return np.array(choices[int(rng.integers(len(choices)))]) + rng.normal(0, 8, 3)


def _noise(size: int, cells: tuple[int, int], amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth random field (size, size, 1) with standard deviation about `amplitude`; `cells` are (down, across)."""
    field = Image.fromarray(rng.normal(0, amplitude, cells).astype(np.float32))
    return np.asarray(field.resize((size, size), Image.Resampling.BILINEAR))[..., None]
