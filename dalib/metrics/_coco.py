"""Boxes measured by pycocotools."""

from __future__ import annotations

import io
import math
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from dalib.core.errors import DalibError


def evaluate_boxes(y: np.ndarray, answer: np.ndarray, known: int) -> Any:
    """COCOeval's precisions (10 IoUs .50:.95, 101 recalls, known, 4 areas, 3 counts), -1 for classes without a box.

    Args
        y: (n, M, 5) of class, left, top, right, bottom; class -1 is padding
        answer: (n, D, 6) of class, score, left, top, right, bottom; class -1 is padding
        known: K, or fewer: classes beyond that count where they occur
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise DalibError(
            "boxes are measured by the package pycocotools, which is not installed: pip install "
            "dalib-toolkit[detection]"
        ) from None
    images = [{"id": i + 1} for i in range(len(y))]
    most = max(known, int(y[..., 0].max(initial=-1)) + 1)  # stored outputs are measured without their classes' number
    categories = [{"id": c + 1} for c in range(most)]
    things: list[dict[str, Any]] = []
    for i, row in enumerate(y):
        for kind, left, top, right, bottom in row[row[:, 0] >= 0].astype(float):
            box, area = [left, top, right - left, bottom - top], (right - left) * (bottom - top)
            thing = {"id": len(things) + 1, "image_id": i + 1, "category_id": int(kind) + 1, "iscrowd": 0}
            things.append({**thing, "bbox": box, "area": area})
    found: list[dict[str, Any]] = []
    for i, row in enumerate(answer):
        for kind, score, left, top, right, bottom in row[row[:, 0] >= 0].astype(float):
            box = [left, top, right - left, bottom - top]
            found.append({"image_id": i + 1, "category_id": int(kind) + 1, "bbox": box, "score": score})
    with redirect_stdout(io.StringIO()):  # it prints its progress
        truth = COCO()
        truth.dataset = {"images": images, "categories": categories, "annotations": things}
        truth.createIndex()
        told = truth.loadRes(found) if found else _nothing(truth, images, categories)
        run = COCOeval(truth, told, "bbox")
        run.evaluate()
        run.accumulate()
    return run.eval["precision"]


def _nothing(truth: Any, images: list[Any], categories: list[Any]) -> Any:
    told = type(truth)()
    told.dataset = {"images": images, "categories": categories, "annotations": []}
    told.createIndex()
    return told


def average(precision: np.ndarray) -> float:
    """Mean precision, over the classes that occur; nan if none does."""
    there = precision[precision > -1]
    return float(there.mean()) if len(there) else math.nan
