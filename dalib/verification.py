"""`dalib.verify`: what is wrong with data, whatever sort of data it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dalib.backbones import load_backbone, own_weights
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.core.types import Domain
from dalib.data.recognise import guess_dataset
from dalib.data.verify import Finding, verify_root
from dalib.data.verify_boxes import verify_boxes
from dalib.data.verify_masks import verify_masks
from dalib.data.verify_rows import verify_rows
from dalib.feed.embed import embed_images
from dalib.train.device import pick_device


def verify(
    root: str | Path,
    dataset: str = "",
    *,
    backbone: Backbone | str = "",
    weights: str = "",
    device: str = "auto",
    skip_unreadable: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Unreadable, empty, duplicate and mislabelled-looking images; wrong shapes, labels and values of rows in an .npz;
    masks and boxes that do not fit their pictures.

    Args
        root: a folder or zip of domain/class/image, or an .npz
        dataset: also compare with this declaration; empty: `features` for an .npz, `mask_folder` where pictures lie
            beside masks (whatever boxes there are too), `box_folder` beside boxes alone, else `image_folder`
        backbone: a network (or its name) whose features of images find wrong labels better; slower
        weights: of a backbone given by name; empty = its own
        device: where the backbone computes
        skip_unreadable: images that cannot be read are `skipped`, the last kind, instead of `unreadable` or `empty`
        progress: called with (files read, files in all)

    Returns
        findings, gravest kinds first; empty when nothing is wrong

    Raises
        DalibError: the root is missing or of another layout, a backbone that takes no images
    """
    dataset = dataset or guess_dataset(root)
    if (kind := DATASETS.get(dataset).kind) in ("masks", "boxes"):
        for name, given in (("backbone", backbone), ("skip_unreadable", skip_unreadable)):
            if given:
                raise DalibError(f"{name} is for classes of whole images; {root} holds {kind}: leave it out")
        return (verify_masks if kind == "masks" else verify_boxes)(root, dataset, progress=progress)
    if DATASETS.get(dataset).kind != "images":
        if backbone:
            name = backbone if isinstance(backbone, str) else backbone.name
            raise DalibError(f"backbone {name} finds wrong labels of image files; {root} holds arrays: leave it out")
        if skip_unreadable:
            raise DalibError(f"{root} holds arrays; skip_unreadable is for image files only: leave it out")
        return verify_rows(root, dataset)
    if not backbone:
        return verify_root(root, dataset, skip_unreadable=skip_unreadable, progress=progress)
    if isinstance(backbone, str):
        backbone = load_backbone(backbone, weights or own_weights(backbone))
    network, where = backbone, pick_device(device)
    if network.preprocess is None:
        raise DalibError(f"backbone '{network.name}' takes no images; use tiny or resnet50")

    def embed(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(embed_images(network, Domain("verify", pixels, None, (), "none"), where))

    how: dict[str, Any] = {"embed": embed, "resize": network.preprocess.resize, "skip_unreadable": skip_unreadable}
    return verify_root(root, dataset, progress=progress, **how)
