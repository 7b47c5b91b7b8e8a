"""mini_office: the 31 classes of Office-31 drawn as real JPEG files, so that everything runs without a download.

Each class is a row in a table of vector primitives with optional parts, jittered proportions and colours shared by all
classes (`objects`, `palette`); an individual is drawn from it, seen from a random view, set in a scene and photographed
(`render`, `styles`). Three domains keep Office-31's character and, scaled down, its imbalance: `amazon` (936 pictures,
every one another product, filling a white frame), `webcam` (400; five individuals per class in clutter, low resolution,
blur, noise, a colour cast) and `dslr` (282; the same five individuals, sharp, on cluttered desks). Every picture has a
random stream of its own, named by (seed, class, domain, index): any one can be drawn again alone, pixel for pixel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from .objects import OBJECTS
from .publish import publish
from .render import draw
from .scenes import write_mini_scenes
from .styles import STYLES

__all__ = ["CLASSES", "COUNTS", "DRAWING_VERSION", "draw", "write_mini_office", "write_mini_scenes"]

DRAWING_VERSION = 1
"""Raised whenever a pixel changes."""

CLASSES: tuple[str, ...] = tuple(OBJECTS)

_OFFICE31 = {
    "amazon": "92 82 72 82 36 94 91 97 97 81 99 100 100 98 100 99 100 94 96 95 93 100 98 98 90 75 100 99 99 96 64",
    "webcam": "29 21 28 12 16 31 40 18 21 19 27 27 30 19 30 43 30 27 28 32 16 20 30 27 40 11 25 30 24 23 21",
    "dslr": "12 21 24 12 16 12 13 14 15 15 13 10 24 16 31 22 12 8 10 10 13 15 23 18 10 7 18 26 21 22 15",
}
_SHARE = {"amazon": 1 / 3, "webcam": 1 / 2, "dslr": 0.56}

COUNTS: dict[str, tuple[int, ...]] = {
    domain: tuple(max(6, round(int(n) * _SHARE[domain])) for n in line.split()) for domain, line in _OFFICE31.items()
}
"""Pictures per class, in the order of `CLASSES`."""


def write_mini_office(
    root: Path,
    seed: int = 0,
    counts: Mapping[str, Sequence[int]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write root/{domain}/{class}/frame_0001.jpg ...; a finished set of this version, seed and counts is left alone.

    Args
        counts: pictures per class for each domain, default `COUNTS`; a domain left out is not drawn
        progress: called with (pictures written, pictures in all)
    Raises
        ValueError: `counts` names an unknown domain or has not 31 entries
        FileExistsError: `root` holds something that this function did not write
    """
    counts = dict(COUNTS if counts is None else counts)
    for domain, row in counts.items():
        if domain not in STYLES:
            raise ValueError(f"no domain named {domain!r}; choose from {', '.join(STYLES)}")
        if len(row) != len(CLASSES):
            raise ValueError(f"{domain} has {len(row)} counts; give one for each of the {len(CLASSES)} classes")
    marker = json.dumps({"version": DRAWING_VERSION, "seed": seed, "counts": {d: list(counts[d]) for d in counts}})
    report = progress or (lambda done, total: None)
    publish(root, "mini_office", marker, lambda folder: _write(folder, seed, counts, report))


def _write(root: Path, seed: int, counts: Mapping[str, Sequence[int]], progress: Callable[[int, int], None]) -> None:
    done, total = 0, sum(map(sum, counts.values()))
    for domain, row in counts.items():
        for cls, count in zip(CLASSES, row, strict=True):
            folder = root / domain / cls
            folder.mkdir(parents=True)
            for index in range(count):
                picture = Image.fromarray(draw(cls, domain, index, seed))
                picture.save(folder / f"frame_{index + 1:04d}.jpg", quality=STYLES[domain].quality)
                done += 1
                progress(done, total)
