"""The boxes that a domain's `boxes.json` (COCO) says of its pictures, as labels (n, M, 5)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.scenes import SceneTree

BOXES = "boxes.json"
WIDTH = 5
"""class, left, top, right, bottom"""


def read_boxes(tree: SceneTree, domain: str, side: int, classes: tuple[str, ...]) -> np.ndarray:
    """Boxes (n, M, 5) float32 of the pictures of `tree.of_domain`, in that order, in pixels of side x side ones.

    Rows are class, left, top, right, bottom (exclusive); pictures with fewer than M are padded with class -1.

    Raises
        DalibError: no such file, not COCO's, a class that has no name, a box that is none
    """
    member = _member(tree, domain)
    try:
        told: dict[str, Any] = json.loads(tree.listing.read(member))
        pictures = {p["id"]: p for p in told["images"]}
        kinds = {k["id"]: classes.index(k["name"]) for k in told["categories"] if k["name"] in classes}
        rows: dict[str, list[list[float]]] = {p["file_name"]: [] for p in pictures.values()}
        for box in told["annotations"]:
            picture, (left, top, width, height) = pictures[box["image_id"]], box["bbox"]
            if width <= 0 or height <= 0:
                raise ValueError(f"box {box['id']} holds nothing")
            x, y = side / picture["width"], side / picture["height"]
            corners = [left * x, top * y, (left + width) * x, (top + height) * y]
            rows[picture["file_name"]].append([kinds[box["category_id"]], *corners])
        own = [rows[file.member.rsplit("/", 1)[-1]] for file in tree.of_domain(domain)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DalibError(
            f"{tree.root}/{member} does not hold the boxes of '{domain}' ({type(error).__name__}: {error}); make the "
            "data again"
        ) from None
    y = np.zeros((len(own), max([1, *map(len, own)]), WIDTH), np.float32)
    y[:, :, 0] = -1
    for padded, boxes in zip(y, own, strict=True):
        padded[: len(boxes)] = np.reshape(boxes, (-1, WIDTH))
    return y


def hash_boxes(tree: SceneTree, *domains: str) -> str:
    """sha256 of the domains' pictures and of their boxes."""
    digest = hashlib.sha256(tree.fingerprint(*domains).encode())
    for domain in sorted(domains):
        digest.update(tree.listing.read(_member(tree, domain)))
    return digest.hexdigest()


def _member(tree: SceneTree, domain: str) -> str:
    return "/".join((*tree.wrap, domain, BOXES))
