"""The boxes of scenes that have masks too, as `mini_scenes` has them."""

from __future__ import annotations

import hashlib

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.boxes import BoxTree, decode_boxes
from dalib.data.scenes import SceneTree

BOXES = "boxes.json"


def read_boxes(tree: SceneTree, domain: str, side: int, classes: tuple[str, ...]) -> np.ndarray:
    """Boxes (n, M, 5) float32 of the pictures of `tree.of_domain`, in that order, as `decode_boxes` gives them.

    Raises
        DalibError: no such file, not COCO's, a class that has no name, a box that is none
    """
    boxes = BoxTree(tree.root)
    mine, theirs = ({f.member for f in t.of_domain(domain)} for t in (tree, boxes))
    if domain not in boxes.told or mine != theirs:
        raise DalibError(f"{tree.root}: {BOXES} does not say boxes of every picture of '{domain}'; make the data again")
    return decode_boxes(boxes, domain, side, classes)


def hash_boxes(tree: SceneTree, *domains: str) -> str:
    """sha256 of the domains' pictures and masks and of their boxes."""
    digest = hashlib.sha256(tree.fingerprint(*domains).encode())
    for domain in sorted(domains):
        digest.update(tree.listing.read("/".join((*tree.wrap, domain, BOXES))))
    return digest.hexdigest()
