"""Boxes of one's own, from the folder to the pictures with boxes on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dalib
from dalib.cli import main
from dalib.core.errors import DalibError
from dalib.data.catalog import load_data
from dalib.prediction import FoundBox, predict
from dalib.train.model_file import load_model
from tests.support.box_layouts import CLASSES, write_layout
from tests.support.scene_folders import save

RECIPE = {"steps": 3, "batch_size": 2, "crop": 32, "bottleneck": 8, "evaluations": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout(tmp_path_factory.mktemp("own"), "YOLO")


@pytest.fixture(scope="module")
def model(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pycocotools")
    out = tmp_path_factory.mktemp("trained") / "model"
    run = dalib.fit(
        "box_folder", "day", "dusk", "source_only", root=root, out=out, device="cpu",
        backbone={"name": "tiny"}, train=RECIPE, protocol={"validation": 0},
    )  # fmt: skip
    assert run.fitted.classes == CLASSES and run.metric == "coco_ap"
    return Path(run.path)


def test_a_model_writes_coco_s_results_and_pictures_with_boxes(model, root, tmp_path):
    fitted, pictures = load_model(model, "cpu"), root / "dusk" / "images"
    plain = predict(fitted, pictures)
    told = predict(fitted, pictures, boxes=tmp_path / "out")
    assert told.rows == plain.rows and all(isinstance(row, FoundBox) for row in told.rows)
    results = json.loads((tmp_path / "out/boxes.json").read_text())
    assert len(results) == len(told.rows) and {r["image_id"] for r in results} <= {1, 2, 3}
    for row, result in zip(told.rows, results, strict=True):
        left, top, width, height = result["bbox"]
        assert np.allclose([left, top, left + width, top + height], row[3:], atol=2e-3)
        assert result["file_name"] == row.file == f"p{result['image_id'] - 1}.png"
        assert CLASSES[result["category_id"] - 1] == result["category"] == row.label
        assert 0 <= row.left < row.right <= 40 and 0 <= row.top < row.bottom <= 30
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "boxes.json",
        *(f"p{i}.boxes.jpg" for i in range(3)),
    ]
    with Image.open(tmp_path / "out/p0.boxes.jpg") as first:
        assert first.size[0] * 3 == first.size[1] * 4


def test_the_command_writes_a_row_per_box_and_the_same_files(model, root, tmp_path):
    out, how = tmp_path / "found.csv", ("--device", "cpu")
    words = ("predict", model, root / "dusk/images", "--out", out, "--boxes", tmp_path / "drawn", *how)
    assert main(list(map(str, words))) == 0
    head, *lines = out.read_text().splitlines()
    assert head == "file,class,score,left,top,right,bottom"
    assert len(lines) == len(json.loads((tmp_path / "drawn/boxes.json").read_text()))
    assert (tmp_path / "drawn/p2.boxes.jpg").is_file()


def test_boxes_are_refused_where_they_are_not_found_or_have_no_names(model, tmp_path):
    fitted = load_model(model, "cpu")
    with pytest.raises(DalibError, match=r"boxes = .* are named after files; give an image, a folder or a zip"):
        predict(fitted, np.zeros((1, 3, 32, 32), np.uint8), boxes=tmp_path)
    with pytest.raises(DalibError, match=r"masks = .* was not trained to answer for every pixel"):
        predict(fitted, tmp_path, masks=tmp_path)


def test_a_model_for_boxes_is_measured_on_the_boxes_of_a_folder_with_masks_too(model, root, tmp_path, capsys):
    alone = dalib.evaluate(model, str(root), "dusk", device="cpu")
    assert set(alone.metrics) == {"coco_ap", "ap50"} and alone.rows == 3
    assert main(["evaluate", str(model), str(root), "--domain", "dusk", "--classes", "--device", "cpu"]) == 0
    assert "class n ap ap50" in " ".join(capsys.readouterr().out.split())
    both = write_layout(tmp_path, "COCO")
    for i in range(3):
        save(both / "dusk/masks" / f"p{i}.png", np.zeros((30, 40), np.uint8))
    beside = dalib.evaluate(model, str(both), "dusk", device="cpu")
    assert beside.metrics == pytest.approx(alone.metrics, abs=1e-6)
    told = json.loads((both / "dusk/boxes.json").read_text())
    (both / "dusk/boxes.json").write_text(json.dumps({**told, "annotations": []}))
    with pytest.raises(DalibError, match="no picture of 'dusk' has a box, so there is nothing to compare with"):
        dalib.evaluate(model, str(both), "dusk", device="cpu")


def test_classes_that_differ_in_case_only_are_refused_unless_they_are_listed(tmp_path):
    for domain, name in (("day", "cat"), ("night", "Cat")):
        save(tmp_path / domain / "images" / "p.png", np.zeros((20, 30, 3), np.uint8))
        told = {
            "images": [{"id": 1, "file_name": "p.png", "width": 30, "height": 20}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 10]}],
            "categories": [{"id": 1, "name": name}],
        }
        (tmp_path / domain / "boxes.json").write_text(json.dumps(told))
    with pytest.raises(DalibError, match="classes 'Cat' and 'cat' differ in case"):
        load_data("box_folder", tmp_path)
    assert load_data("box_folder", tmp_path, partial=True).partial
    (tmp_path / "classes.txt").write_text("cat\nCat\n")
    assert load_data("box_folder", tmp_path).classes == ("cat", "Cat")
