"""A small folder laid out as mini_boxes is: pictures, masks and COCO boxes, made without drawing anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dalib.checks.dense_world import make_scenes
from dalib.core.registry import DATASETS
from tests.support.scene_folders import save


def write_box_folder(root: Path, n: int = 6) -> Path:
    """A `catalogue` and a darker `webcam` of squares, which are called monitor and back_pack."""
    names = DATASETS.get("mini_boxes").classes
    for i, domain in enumerate(("catalogue", "webcam")):
        scenes = make_scenes(domain, n, i, 1.0 - 0.3 * i, "detection")
        pictures, things = [], []
        for k, (x, boxes) in enumerate(zip(np.asarray(scenes.x), scenes.labels, strict=True)):
            save(root / domain / "images" / f"p{k}.png", x.transpose(1, 2, 0))
            save(root / domain / "masks" / f"p{k}.png", np.zeros(x.shape[1:], np.uint8))
            pictures.append({"id": k, "file_name": f"p{k}.png", "width": 32, "height": 32})
            for kind, left, top, right, bottom in boxes.tolist():
                thing = {"id": len(things), "image_id": k, "category_id": int(kind) + 10}
                things.append({**thing, "bbox": [left, top, right - left, bottom - top]})
        told = {"images": pictures, "annotations": things}
        told["categories"] = [{"id": c + 10, "name": name} for c, name in enumerate(names)]
        (root / domain / "boxes.json").write_text(json.dumps(told))
    return root
