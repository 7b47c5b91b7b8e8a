"""Boxes that a model found, as files: COCO's results, and pictures with the boxes drawn on them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from dalib.core.files import write_text
from dalib.core.text import show_control
from dalib.data.decode import as_rgb
from dalib.data.written import write_jpeg, written_name

COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe and Ito's, which people who see few colours tell apart; every box has its class in words too."""
DRAWN = 0.5
"""Score from which a box is drawn."""
RESULTS, DRAWN_ENDING = "boxes.json", ".boxes.jpg"
ENLARGED, LARGEST = 400, 4000
"""Pixels of the shorter side to which small pictures are enlarged, and of the longer one that it gives at most."""
LONGEST = 40
Colour: TypeAlias = tuple[int, int, int]


class FoundBox(NamedTuple):
    """One thing that a model for boxes found in a picture, in pixels of the picture; right and bottom exclusive.

    file: name of the image, or its number
    score: that it is of this class, in (0, 1]
    """

    file: str
    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


def list_boxes(
    classes: Sequence[str], name: str, answer: np.ndarray, width: int, height: int, side: int
) -> list[FoundBox]:
    """The boxes of one picture, in its own pixels and cut at its edges, the likeliest first.

    Args
        answer: (D, 6) class, score, left, top, right, bottom in pixels of a picture of side x side; class -1 is none
        width, height: of the picture as it is shown
    """
    told = answer[answer[:, 0] >= 0].astype(np.float64)
    told = told[np.argsort(-told[:, 1], kind="stable")]
    sides = np.array([width, height, width, height], np.float64)
    corners = (told[:, 2:] * (sides / side)).clip(0, sides)
    return [
        FoundBox(name, classes[int(kind)], float(score), *map(float, box))
        for (kind, score), box in zip(told[:, :2], corners, strict=True)
    ]


def to_coco(boxes: Iterable[FoundBox], images: Mapping[str, int], classes: Sequence[str]) -> list[dict[str, Any]]:
    """COCO's results: a list of image_id, category_id, bbox (left, top, width, height) and score; and the names.

    Args
        images: picture -> its id
        classes: the id of a category is its position from 1
    """
    ids = {name: k + 1 for k, name in enumerate(classes)}
    return [
        {
            "image_id": images[box.file],
            "file_name": box.file,
            "category_id": ids[box.label],
            "category": box.label,
            "bbox": [round(v, 3) for v in (box.left, box.top, box.right - box.left, box.bottom - box.top)],
            "score": round(box.score, 6),
        }
        for box in boxes
    ]


def write_coco(path: Path, boxes: Iterable[FoundBox], images: Mapping[str, int], classes: Sequence[str]) -> None:
    """The results as a file, a box per line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=True) for entry in to_coco(boxes, images, classes))
    write_text(path, f"[\n{lines}\n]\n" if lines else "[]\n")


def write_drawn(
    folder: Path, name: str, content: bytes, boxes: Sequence[FoundBox], classes: Sequence[str], least: float = DRAWN
) -> Path:
    """Write folder/<name>.boxes.jpg, the picture with its boxes of a score of `least` and more.

    Args
        name: of the picture, whose ending is left out
        content: the picture's bytes
    """
    with Image.open(io.BytesIO(content)) as opened:
        picture = as_rgb(ImageOps.exif_transpose(opened))
    path = folder / written_name(name, DRAWN_ENDING)
    write_jpeg(draw_boxes(picture, [b for b in boxes if b.score >= least], classes), path, 92)
    return path


def draw_boxes(picture: Image.Image, boxes: Sequence[FoundBox], classes: Sequence[str]) -> Image.Image:
    """The picture, enlarged where it is small, with every box, its class in words and its score; the likeliest on top.

    A dark line around a line in the class's colour stands out from any ground.
    """
    times = max(1, min(-(-ENLARGED // min(picture.size)), LARGEST // max(picture.size)))
    image = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    draw, thick = ImageDraw.Draw(image), max(2, round(min(image.size) / 250))
    font = ImageFont.load_default(max(11, round(min(image.size) / 32)))
    for box in sorted(boxes, key=lambda b: b.score):
        colour = colour_of(box.label, classes)
        corners = [v * times for v in (box.left, box.top, box.right, box.bottom)]
        _outline(draw, corners, thick, colour)
        _write(draw, _label(box), corners, colour, font, image.size)
    return image


def colour_of(label: str, classes: Sequence[str]) -> Colour:
    """The colour of a class, by its position."""
    code = COLOURS[classes.index(label) % len(COLOURS)]
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def ink_on(ground: Colour) -> Colour:
    """Black or white, whichever stands out more (WCAG's relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in ground)]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if (light + 0.05) ** 2 > 0.05 * 1.05 else (255, 255, 255)


def _label(box: FoundBox) -> str:
    name = show_control(box.label)
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return f"{name} {box.score:.2f}".replace("\n", " ")


def _outline(draw: ImageDraw.ImageDraw, corners: Sequence[float], thick: int, colour: Colour) -> None:
    left, top, right, bottom = (round(v) for v in corners)
    right, bottom = max(right - 1, left), max(bottom - 1, top)
    draw.rectangle((left, top, right, bottom), outline=(0, 0, 0), width=thick + 2)
    inside = (left + 1, top + 1, right - 1, bottom - 1)
    if inside[2] >= inside[0] and inside[3] >= inside[1]:
        draw.rectangle(inside, outline=colour, width=thick)


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    corners: Sequence[float],
    colour: Colour,
    font: Any,
    size: tuple[int, int],
) -> None:
    """Above its box, or inside where there is no room; never beyond the picture's edge."""
    _, _, width, height = draw.textbbox((0, 0), text, font=font)
    width, height = round(width) + 6, round(height) + 4
    x = max(0, min(round(corners[0]), size[0] - width))
    y = round(corners[1]) - height
    y = y if y >= 0 else min(round(corners[1]), size[1] - height)
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour, outline=(0, 0, 0))
    draw.text((x + 3, y + 1), text, fill=ink_on(colour), font=font)
