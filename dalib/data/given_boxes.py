"""torchvision's data sets of pictures with boxes as domains."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.data.box_coco import read_coco
from dalib.data.box_marks import Annotations, Fault
from dalib.data.box_voc import read_voc
from dalib.data.boxes import pad_boxes, place_boxes, unknown_classes
from dalib.data.decode import as_rgb


def domain_of_boxes(name: str, dataset: Any, side: int, classes: Sequence[str] = ()) -> Domain:
    """A `CocoDetection` or `VOCDetection` of torchvision as a domain of the objective `detection`.

    Pictures are taken as torchvision opens them, without turning by EXIF; crowds and difficult objects are no boxes, a
    picture without any is one in which nothing is.

    Args
        name: of the domain
        dataset: without transforms: labels follow what `TrainConfig` does to pictures
        side: in pixels, to which pictures are warped
        classes: in label order, the same for all domains of a task; default: those of the data set, sorted
    Raises
        DalibError: another sort of data set, transforms, a box that is none, is of no class or lies outside
    """
    if getattr(dataset, "transforms", None) is not None:
        raise DalibError(
            f"the data set of '{name}' has transforms, which its boxes may not follow; leave them out: "
            "TrainConfig(augment=…) moves both"
        )
    told, files = _read(name, dataset)
    _refuse(name, told.faults)
    order = tuple(classes) or tuple(sorted(told.names))
    label, pixels, rows, faults = {kind: k for k, kind in enumerate(order)}, [], [], list[Fault]()
    for file, image in zip(files, _open(dataset), strict=True):
        marks = told.marks[file]
        corners, wrong = place_boxes(marks, image.width, image.height)
        faults += wrong or unknown_classes(marks, label)
        kinds = np.array([label.get(kind, -1) for kind in marks.kinds], np.float64)
        scale = side / np.array([image.width, image.height] * 2)
        rows.append(np.column_stack([kinds, corners * scale]))
        warped = as_rgb(image).resize((side, side), Image.Resampling.BILINEAR)
        pixels.append(np.asarray(warped).transpose(2, 0, 1))
    _refuse(name, faults)
    if not rows:
        raise DalibError(f"the data set of '{name}' has no pictures")
    x, y = np.ascontiguousarray(np.stack(pixels)), pad_boxes(rows)
    content = hashlib.sha256(x.tobytes() + y.tobytes() + "\n".join(order).encode()).hexdigest()
    return Domain(name, x, y, order, content, files, objective="detection")


def _read(name: str, dataset: Any) -> tuple[Annotations, tuple[str, ...]]:
    """What is said of the pictures, and their names in the order of the data set."""
    kind = type(dataset).__name__
    if hasattr(dataset, "coco") and hasattr(dataset, "ids"):
        content = json.dumps(dataset.coco.dataset).encode()
        told = read_coco(kind, content, lambda file: file)
        return told, tuple(str(dataset.coco.loadImgs(i)[0]["file_name"]) for i in dataset.ids)
    if hasattr(dataset, "images") and hasattr(dataset, "annotations"):
        names = tuple(Path(path).name for path in dataset.images)
        papers = zip(dataset.annotations, names, strict=True)
        return read_voc([(Path(xml).name, file, Path(xml).read_bytes()) for xml, file in papers], set(names)), names
    raise DalibError(f"'{name}' is a {kind}; give a CocoDetection or VOCDetection of torchvision, or use box_folder")


def _open(dataset: Any) -> Iterator[Image.Image]:
    for i in range(len(dataset)):
        yield dataset[i][0]


def _refuse(name: str, faults: Sequence[Fault]) -> None:
    if faults:
        more = f" ({len(faults)} faults in all)" if len(faults) > 1 else ""
        raise DalibError(f"the boxes of '{name}' cannot be used: {faults[0]}{more}; mend the file")
