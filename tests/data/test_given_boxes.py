"""torchvision's data sets of boxes as domains: the same labels as the folder that they read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dalib
from dalib.core.errors import DalibError
from dalib.core.types import Task
from dalib.data.catalog import load_data
from dalib.data.given_boxes import domain_of_boxes
from tests.support.box_layouts import CLASSES, coco, write_layout


def open_coco(root: Path):
    pytest.importorskip("pycocotools", reason="CocoDetection needs pycocotools, which is not installed")
    from torchvision.datasets import CocoDetection

    return CocoDetection(str(root / "day/images"), str(root / "day/boxes.json"))


def open_voc(tmp_path: Path):
    from torchvision.datasets import VOCDetection

    root = write_layout(tmp_path / "voc", "Pascal VOC")
    home = tmp_path / "VOCdevkit/VOC2012"
    (home / "ImageSets/Main").mkdir(parents=True)
    (home / "ImageSets/Main/train.txt").write_text("p0\np1\np2\n")
    (home / "JPEGImages").mkdir()
    (root / "day/Annotations").rename(home / "Annotations")
    for i in range(3):  # torchvision expects the ending .jpg, whatever is in the file
        (root / f"day/JPEGImages/p{i}.png").rename(home / f"JPEGImages/p{i}.jpg")
    for path in (home / "Annotations").iterdir():
        path.write_text(path.read_text().replace(".png", ".jpg"))
    return VOCDetection(str(tmp_path), "2012", "train")


def test_both_are_the_domain_of_a_folder(tmp_path):
    root = write_layout(tmp_path / "coco", "COCO")
    wanted = load_data("box_folder", root).domain("day", 48)
    for dataset in (open_coco(root), open_voc(tmp_path)):
        found = domain_of_boxes("day", dataset, 48, CLASSES)
        np.testing.assert_array_equal(found.x, wanted.x)
        np.testing.assert_array_equal(found.labels, wanted.labels)
        assert found.classes == CLASSES and found.objective == "detection"
        plain = domain_of_boxes("day", dataset, 48)
        assert plain.classes == ("blue", "red") and plain.fingerprint != found.fingerprint
    assert [f[:2] for f in found.files] == ["p0", "p1", "p2"]


def test_a_domain_can_be_trained_on(tmp_path):
    from dalib import SourceOnly, TrainConfig, Trainer

    domain = domain_of_boxes("day", open_voc(tmp_path), 32)
    task = Task("day->dusk", domain, domain.unlabelled(), domain.take(np.arange(0), "none"), domain)
    config = TrainConfig(steps=1, batch_size=2, crop=32, bottleneck=8, evaluations=1)
    from dalib.backbones import load_backbone

    fitted = Trainer(config, device="cpu").fit(SourceOnly(), task, load_backbone("tiny", "pretrained"))
    assert fitted.outputs(domain).prediction.shape[::2] == (3, 6)
    assert dalib.Domain is type(domain)


def test_what_cannot_be_a_domain_is_refused(tmp_path):
    root = write_layout(tmp_path / "coco", "COCO")
    dataset = open_coco(root)
    with pytest.raises(DalibError, match=r"'red' is none of 1 classes"):
        domain_of_boxes("day", dataset, 48, ("blue",))
    told = coco()
    told["annotations"][0]["bbox"] = [30, 3, 30, 3]
    (root / "day/boxes.json").write_text(json.dumps(told))
    with pytest.raises(DalibError, match=r"annotation 100: 'red' from \(30, 3\) to \(60, 6\) of a picture of 40 x 30"):
        domain_of_boxes("day", open_coco(root), 48)
    dataset.transforms = object()
    with pytest.raises(DalibError, match="has transforms, which its boxes may not follow; leave them out"):
        domain_of_boxes("day", dataset, 48)
    with pytest.raises(DalibError, match="'day' is a list; give a CocoDetection or VOCDetection"):
        domain_of_boxes("day", [1], 48)
