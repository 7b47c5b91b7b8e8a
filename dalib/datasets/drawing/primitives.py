"""Vector primitives: what a drawing is made of, how one instance is sampled from it, how it becomes pixels.

Coordinates: x right, y down, both in about [-1, 1] on the object's front face; depth extends away from the viewer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from .palette import Palette

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A filled polygon (`width` 0) or a stroked polyline; `colour` is a palette slot, or several to draw one from."""

    colour: str
    points: tuple[Point, ...]
    width: float = 0.0
    depth: float = 0.0


@dataclass(frozen=True)
class Tile:
    """`parts`, each in its own [-1, 1] square, repeated on an nx by ny grid inside `box` (x0, y0, x1, y1)."""

    box: tuple[float, float, float, float]
    nx: tuple[int, int]
    ny: tuple[int, int]
    gap: float
    keep: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Choice:
    """One of `options` is drawn, with probabilities `odds`."""

    options: tuple[tuple[Part, ...], ...]
    odds: tuple[float, ...]


Part = Shape | Tile | Choice


@dataclass(frozen=True)
class Drawing:
    """One class of object.

    palette  colour families of its main colour (slot `a`), equally likely
    aspect   range of the horizontal stretch
    spin     in-plane rotation, degrees either way
    turn     how much of the camera's yaw applies, 0 for surfaces of revolution
    lying    seen from above on a desk rather than from the front
    mirror   may be drawn flipped left to right
    """

    parts: tuple[Part, ...]
    palette: tuple[str, ...] = ("dark", "grey", "pale", "vivid")
    aspect: tuple[float, float] = (0.85, 1.18)
    spin: float = 6.0
    turn: float = 1.0
    lying: bool = False
    mirror: bool = True


@dataclass(frozen=True)
class Stroke:
    """A sampled shape: points (n, 2), colour 0..255, width and depth in object units."""

    points: np.ndarray
    colour: tuple[int, int, int]
    width: float
    depth: float


def box(colour: str, x0: float, y0: float, x1: float, y1: float, r: float = 0.0, depth: float = 0.0) -> Shape:
    """Rectangle with corner radius `r`."""
    if not r:
        return Shape(colour, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), depth=depth)
    corners = ((x1 - r, y0 + r, -90), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180))
    points = [_on_circle(cx, cy, r, r, start + step) for cx, cy, start in corners for step in (0, 30, 60, 90)]
    return Shape(colour, tuple(points), depth=depth)


def oval(colour: str, cx: float, cy: float, rx: float, ry: float, depth: float = 0.0) -> Shape:
    """Filled ellipse."""
    return Shape(colour, tuple(_on_circle(cx, cy, rx, ry, 18 * i) for i in range(20)), depth=depth)


def arc(colour: str, cx: float, cy: float, rx: float, ry: float, start: float, stop: float, width: float) -> Shape:
    """Stroked piece of an ellipse; degrees run clockwise from 3 o'clock."""
    n = max(4, round(abs(stop - start) / 18))
    return Shape(colour, tuple(_on_circle(cx, cy, rx, ry, start + (stop - start) * i / n) for i in range(n + 1)), width)


def ring(colour: str, cx: float, cy: float, rx: float, ry: float, width: float) -> Shape:
    """Stroked ellipse."""
    return arc(colour, cx, cy, rx, ry, 0, 360, width)


def poly(colour: str, *points: Point, depth: float = 0.0) -> Shape:
    """Filled polygon."""
    return Shape(colour, points, depth=depth)


def line(colour: str, width: float, *points: Point) -> Shape:
    """Stroked polyline."""
    return Shape(colour, points, width)


def lathe(colour: str, *profile: Point) -> Shape:
    """Filled shape symmetric about x = 0, from (half width, y) pairs, top to bottom."""
    return Shape(colour, tuple((w, y) for w, y in profile) + tuple((-w, y) for w, y in reversed(profile)))


def tile(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    nx: int | tuple[int, int],
    ny: int | tuple[int, int],
    *parts: Part,
    gap: float = 0.15,
    keep: float = 1.0,
) -> Tile:
    """Grid of `parts`; `gap` is the share of a cell left empty, `keep` the probability of each cell."""
    pair = [(n, n) if isinstance(n, int) else n for n in (nx, ny)]
    return Tile((x0, y0, x1, y1), pair[0], pair[1], gap, keep, parts)


def maybe(p: float, *parts: Part) -> Choice:
    """`parts` with probability `p`, else nothing."""
    return Choice((parts, ()), (p, 1 - p))


def one_of(*options: Sequence[Part]) -> Choice:
    """One of several lists of parts, equally likely."""
    return Choice(tuple(tuple(option) for option in options), (1 / len(options),) * len(options))


def _on_circle(cx: float, cy: float, rx: float, ry: float, degrees: float) -> Point:
    angle = math.radians(degrees)
    return cx + rx * math.cos(angle), cy + ry * math.sin(angle)


def sample(drawing: Drawing, rng: np.random.Generator) -> list[Stroke]:
    """One individual of the class: options chosen, parts nudged, proportions warped, colours picked."""
    palette = Palette.draw(drawing.palette, rng)
    stretch = rng.uniform(*drawing.aspect)
    taper, lean, bulge = rng.uniform(-0.1, 0.1, 3)
    strokes = []
    for shape, points in _expand(drawing.parts, rng, nudge=0.025):
        x, y = points.T
        x = stretch * x * (1 + taper * y) + lean * 0.5 * y
        y = y * (1 + bulge * y)
        slot = (
            shape.colour if len(shape.colour.rstrip("+-")) == 1 else shape.colour[int(rng.integers(len(shape.colour)))]
        )
        strokes.append(Stroke(np.stack([x, y], 1), palette[slot], shape.width * rng.uniform(0.85, 1.15), shape.depth))
    return strokes


def _expand(parts: Sequence[Part], rng: np.random.Generator, nudge: float) -> Iterator[tuple[Shape, np.ndarray]]:
    for part in parts:
        if isinstance(part, Choice):
            yield from _expand(part.options[int(rng.choice(len(part.odds), p=part.odds))], rng, nudge)
        elif isinstance(part, Tile):
            yield from _expand_tile(part, rng, nudge)
        else:
            points = np.asarray(part.points, float)
            centre = points.mean(0)
            scale = 1 + rng.uniform(-2 * nudge, 2 * nudge, 2)
            yield part, centre + (points - centre) * scale + rng.uniform(-nudge, nudge, 2)


def _expand_tile(part: Tile, rng: np.random.Generator, nudge: float) -> Iterator[tuple[Shape, np.ndarray]]:
    nx, ny = int(rng.integers(part.nx[0], part.nx[1] + 1)), int(rng.integers(part.ny[0], part.ny[1] + 1))
    x0, y0, x1, y1 = part.box + rng.uniform(-nudge, nudge, 4)
    half = np.array([(x1 - x0) / nx, (y1 - y0) / ny]) / 2
    for j in range(ny):
        for i in range(nx):
            if rng.random() < part.keep:
                centre = np.array([x0, y0]) + half * (2 * i + 1, 2 * j + 1)
                for shape, points in _expand(part.parts, rng, nudge):
                    yield shape, centre + points * half * (1 - part.gap)


@dataclass(frozen=True)
class View:
    """The camera: angles in degrees; `fill`, the object's larger side, and `centre`, its middle, in frame units."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    fill: float = 0.8
    centre: Point = (0.5, 0.5)
    mirror: bool = False
    matrix: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        (cy, cp, cr), (sy, sp, sr) = (f(np.radians([self.yaw, self.pitch, self.roll])) for f in (np.cos, np.sin))
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        tilt = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        spin = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        flip = np.diag([-1.0 if self.mirror else 1.0, 1, 1])
        object.__setattr__(self, "matrix", tilt @ turn @ spin @ flip)


def rasterise(strokes: Sequence[Stroke], view: View, size: int) -> Image.Image:
    """RGBA picture, `size` pixels square, of `strokes` seen from `view`, in painter's order."""
    flat = np.concatenate([s.points for s in strokes])
    depth = np.concatenate([np.full(len(s.points), s.depth) for s in strokes])
    front = _project(np.column_stack([flat, np.zeros(len(flat))]), view)
    back = _project(np.column_stack([flat, depth]), view)
    low, high = np.minimum(front.min(0), back.min(0)), np.maximum(front.max(0), back.max(0))
    scale = view.fill * size / (high - low).max()
    shift = np.multiply(view.centre, size) - scale * (low + high) / 2
    front, back = front * scale + shift, back * scale + shift
    picture = Image.new("RGBA", (size, size))
    draw = ImageDraw.Draw(picture)
    start = 0
    for stroke in strokes:
        stop = start + len(stroke.points)
        _paint(draw, stroke, front[start:stop], back[start:stop], scale)
        start = stop
    return picture


def _project(points: np.ndarray, view: View, distance: float = 5.0) -> np.ndarray:
    turned = points @ view.matrix.T
    return turned[:, :2] * (distance / (distance + turned[:, 2:]))


def _paint(draw: ImageDraw.ImageDraw, stroke: Stroke, front: np.ndarray, back: np.ndarray, scale: float) -> None:
    outline = list(map(tuple, front.tolist()))
    if stroke.width:
        width = max(1, round(stroke.width * scale))
        draw.line(outline, (*stroke.colour, 255), width, joint="curve")
        if width > 3:
            for x, y in (outline[0], outline[-1]):
                draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), (*stroke.colour, 255))
        return
    if stroke.depth:
        far = list(map(tuple, back.tolist()))
        for i in range(len(far)):
            edge = front[i] - front[i - 1]
            light = 0.62 + 0.18 * edge[0] / (math.hypot(*edge) + 1e-9)
            draw.polygon((outline[i - 1], outline[i], far[i], far[i - 1]), _shade(stroke.colour, light))
    draw.polygon(outline, (*stroke.colour, 255), _shade(stroke.colour, 0.72 if sum(stroke.colour) > 240 else 1.7))


def _shade(colour: tuple[int, int, int], factor: float) -> tuple[int, int, int, int]:
    red, green, blue = (min(255, int(c * factor)) for c in colour)
    return red, green, blue, 255
