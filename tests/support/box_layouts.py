"""The same few pictures with boxes, in the layouts of COCO, Pascal VOC and YOLO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.scene_folders import save

LAYOUTS = ("COCO", "Pascal VOC", "YOLO")
CLASSES = ("red", "blue")
SIZE = (40, 30)
"""Width and height."""
BOXES: dict[str, list[tuple[str, int, int, int, int]]] = {
    "p0": [("red", 2, 3, 12, 18), ("blue", 20, 5, 40, 30)],
    "p1": [("blue", 1, 1, 9, 8)],
    "p2": [],
}
"""Picture -> class, left, top, right, bottom of its boxes; the last two exclusive."""
COLOURS = {"red": (230, 40, 40), "blue": (40, 40, 230)}


def write_layout(root: Path, layout: str, domains: tuple[str, ...] = ("day", "dusk")) -> Path:
    """root/<domain>/images (JPEGImages for VOC) with boxes of that layout, and classes.txt."""
    for light, domain in zip((1.0, 0.6, 0.4), domains, strict=False):
        for i, name in enumerate(BOXES):
            pixels = np.full((SIZE[1], SIZE[0], 3), 120 + 5 * i, np.float64)
            for kind, left, top, right, bottom in BOXES[name]:
                pixels[top:bottom, left:right] = COLOURS[kind]
            folder = "JPEGImages" if layout == "Pascal VOC" else "images"
            save(root / domain / folder / f"{name}.png", (light * pixels).astype(np.uint8))
        {"COCO": write_coco, "Pascal VOC": write_voc, "YOLO": write_yolo}[layout](root / domain)
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return root


def coco() -> dict[str, list[dict[str, Any]]]:
    """The content of a COCO file; ids have gaps."""
    told: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    told["categories"] = [{"id": 10 * c + 1, "name": name} for c, name in enumerate(CLASSES)]
    for i, (name, boxes) in enumerate(BOXES.items()):
        told["images"].append({"id": 7 * i, "file_name": f"{name}.png", "width": SIZE[0], "height": SIZE[1]})
        for kind, left, top, right, bottom in boxes:
            thing = {"id": 100 + len(told["annotations"]), "image_id": 7 * i, "iscrowd": 0}
            thing |= {"category_id": 10 * CLASSES.index(kind) + 1, "bbox": [left, top, right - left, bottom - top]}
            told["annotations"].append(thing)
    return told


def write_coco(folder: Path, told: Any = None) -> None:
    (folder / "boxes.json").write_text(json.dumps(coco() if told is None else told))


def voc(name: str, more: str = "") -> str:
    """The content of a VOC file, whose pixels count from 1; more: further elements."""
    things = "".join(
        f"<object>\n<name>{kind}</name><difficult>0</difficult><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>\n"
        for kind, left, top, right, bottom in BOXES[name]
    )
    size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height><depth>3</depth></size>"
    return f"<annotation>\n<filename>{name}.png</filename>{size}\n{things}{more}</annotation>\n"


def write_voc(folder: Path) -> None:
    (folder / "Annotations").mkdir()
    for name in BOXES:
        (folder / "Annotations" / f"{name}.xml").write_text(voc(name))


def write_yolo(folder: Path) -> None:
    (folder / "labels").mkdir()
    for name, boxes in BOXES.items():
        lines = [
            f"{CLASSES.index(kind)} {(left + right) / 2 / SIZE[0]:.8f} {(top + bottom) / 2 / SIZE[1]:.8f} "
            f"{(right - left) / SIZE[0]:.8f} {(bottom - top) / SIZE[1]:.8f}\n"
            for kind, left, top, right, bottom in boxes
        ]
        (folder / "labels" / f"{name}.txt").write_text("".join(lines))
