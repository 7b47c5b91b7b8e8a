"""Folders of pictures with masks: three layouts, what is refused, what verify finds."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dalib
from dalib.core.errors import DalibError
from dalib.data.catalog import load_data
from dalib.data.scenes import decode_mask, warp_mask
from dalib.verification import verify
from tests.support.scene_folders import CLASSES, save, write_scenes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "scenes")


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_folder_is_read_with_its_masks_at_any_size(root):
    data = load_data("mask_folder", root)
    assert (data.domains, data.classes, data.objective) == (("day", "dusk"), CLASSES, "segmentation")
    whole, half = data.domain("day", 32), data.domain("day", 16)
    assert whole.x.shape == (4, 3, 32, 32) and half.labels.shape == (4, 16, 16) and half.labels.dtype == np.uint8
    for i, file in enumerate(whole.files):
        mask = read(root / file.replace("images", "masks"))
        np.testing.assert_array_equal(whole.labels[i], mask)
        np.testing.assert_array_equal(half.labels[i], mask[1::2, 1::2])


def test_a_zip_and_its_folder_are_the_same_data_and_a_changed_mask_is_another(root, tmp_path):
    before = load_data("mask_folder", root).fingerprint
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w") as file:
        for path in sorted(root.rglob("*")):
            file.write(path, path.relative_to(root))
    assert load_data("mask_folder", tmp_path / "scenes.zip").fingerprint == before
    mask = read(root / "day/masks/p0.png").copy()
    mask[0, 0] = 2
    save(root / "day/masks/p0.png", mask)
    assert load_data("mask_folder", root).fingerprint != before


@pytest.mark.parametrize(
    ("images", "masks", "picture", "mask"),
    [
        ("JPEGImages", "SegmentationClass", "{}.png", "{}.png"),
        ("leftImg8bit/train/ulm", "gtFine/train/ulm", "{}_leftImg8bit.png", "{}_gtFine_labelTrainIds.png"),
    ],
)
def test_the_layouts_of_pascal_voc_and_cityscapes_are_read(root, tmp_path, images, masks, picture, mask):
    other = tmp_path / "other"
    for domain in ("day", "dusk"):
        for i in range(4):
            for kind, folder, name in (("images", images, picture), ("masks", masks, mask)):
                place = other / domain / folder / name.format(f"p{i}")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / domain / kind / f"p{i}.png", place)
    shutil.copy(root / "classes.txt", other / "classes.txt")
    theirs, ours = load_data("mask_folder", other).domain("dusk", 32), load_data("mask_folder", root).domain("dusk", 32)
    np.testing.assert_array_equal(theirs.x, ours.x)
    np.testing.assert_array_equal(theirs.labels, ours.labels)


def test_a_domain_without_masks_is_a_target_without_labels(root):
    shutil.rmtree(root / "dusk" / "masks")
    data = load_data("mask_folder", root)
    assert data.domains == ("day",) and data.unlabelled == {"dusk": 4}
    task = dalib.make_task(data, "day", "dusk", resize=32)
    assert len(task.target) == 4 and not len(task.test) and task.objective == "segmentation"


def test_names_must_be_there(root):
    (root / "classes.txt").unlink()
    with pytest.raises(DalibError, match=r"no classes.txt, so nobody knows what a mask's values mean"):
        load_data("mask_folder", root)


def test_a_value_without_a_name_is_refused_when_it_is_read(root):
    save(root / "day/masks/p1.png", np.full((32, 32), 7, np.uint8))
    with pytest.raises(DalibError, match=r"mask day/masks/p1.png .* holds 7, but there are 3 classes"):
        load_data("mask_folder", root).domain("day", 32)


def test_a_mask_of_another_size_and_one_of_colours_are_refused(root):
    save(root / "day/masks/p1.png", np.zeros((30, 32), np.uint8))
    with pytest.raises(DalibError, match="has 32 x 30 pixels, its picture 32 x 32; make them alike"):
        load_data("mask_folder", root).domain("day", 32)
    save(root / "day/masks/p1.png", np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(DalibError, match="RGB: a mask has one channel"):
        load_data("mask_folder", root).domain("day", 32)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shown", [(32, 32), (20, 32)])
def test_masks_of_turned_pictures_are_taken_only_where_their_size_says_how_they_are_meant(root, shown, orientation):
    """As boxes are: the size of a square, or of a picture upside down, is the same before and after."""
    width, height = shown[::-1] if orientation >= 5 else shown
    tag = Image.Exif()
    tag[274] = orientation
    Image.new("RGB", (width, height)).save(root / "day/images/p0.png", exif=tag)
    save(root / "day/masks/p0.png", np.zeros(shown[::-1], np.uint8))
    if orientation == 1 or (orientation >= 5 and shown[0] != shown[1]):
        assert not load_data("mask_folder", root).domain("day", 32).labels[0].any() and verify(root) == []
        return
    with pytest.raises(DalibError, match=rf"p0.png .* turned \(EXIF orientation {orientation}\), and its mask may be"):
        load_data("mask_folder", root).domain("day", 32)
    assert [(f.kind, f.file) for f in verify(root)] == [("turned", "day/images/p0.png")]


def test_pictures_beside_masks_are_no_classes_of_an_image_folder(root):
    with pytest.raises(DalibError, match=r"two ways: images, masks of 'day' .*dataset mask_folder"):
        load_data("image_folder", root)


def test_a_palette_s_values_are_the_classes_and_colours_do_not_matter(tmp_path):
    image = Image.fromarray(np.array([[0, 2], [255, 1]], np.uint8)).convert("P")
    image = Image.frombytes("P", (2, 2), bytes([0, 2, 255, 1]))
    image.putpalette([9, 9, 9] * 256)
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(decode_mask((tmp_path / "m.png").read_bytes()), [[0, 2], [255, 1]])


def test_a_warped_mask_is_under_the_middle_of_each_pixel():
    values = np.arange(35).reshape(5, 7)
    found = warp_mask(values, 3, 4)
    for i in range(3):
        for j in range(4):
            assert found[i, j] == values[int((i + 0.5) * 5 / 3), int((j + 0.5) * 7 / 4)]


def test_nothing_is_found_in_a_sound_folder(root):
    assert verify(root) == []


def test_verify_names_what_is_wrong_gravest_first(root):
    save(root / "day/masks/p0.png", np.full((32, 32), 9, np.uint8))
    save(root / "day/masks/p1.png", np.zeros((8, 8), np.uint8))
    save(root / "day/masks/p2.png", np.full((32, 32), 255, np.uint8))
    (root / "dusk/masks/p0.png").unlink()
    (root / "dusk/images/p1.png").unlink()
    (root / "dusk/images/p2.png").write_bytes(b"no picture")
    shutil.copy(root / "day/images/p0.png", root / "dusk/images/p3.png")
    found = {(f.kind, f.file) for f in verify(root)}
    assert {
        ("unknown class", "day/masks/p0.png"),
        ("size", "day/masks/p1.png"),
        ("unlabelled", "day/masks/p2.png"),
        ("no mask", "dusk/images/p0.png"),
        ("no picture", "dusk/masks/p1.png"),
        ("unreadable", "dusk/images/p2.png"),
        ("duplicate across domains", "dusk/images/p3.png"),
    } <= found
    kinds = [f.kind for f in verify(root)]
    assert kinds.index("unreadable") < kinds.index("size") < kinds.index("unlabelled")


def test_verify_compares_boxes_with_their_pictures(root):
    boxes = {
        "images": [{"id": 1, "file_name": "p0.png", "width": 32, "height": 32}, {"id": 2, "file_name": "x.png"}],
        "categories": [{"id": 1, "name": "red"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 32, 32]},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [5, 5, 30, 3]},
            {"id": 3, "image_id": 1, "category_id": 4, "bbox": [5, 5, 3, 3]},
            {"id": 4, "image_id": 9, "category_id": 1, "bbox": [5, 5, 3, 3]},
        ],
    }
    (root / "day" / "boxes.json").write_text(json.dumps(boxes))
    told = [(f.kind, f.detail) for f in verify(root)]
    assert ("no picture", "x.png is not there") in told
    assert ("no picture", "box 4 is of picture 9, which is not listed") in told
    assert ("box outside", "box 2 [5, 5, 30, 3] of a picture of (32, 32)") in told
    assert ("unknown class", "box 3 is of class 4") in told
    assert not any("box 1 " in detail for _, detail in told)
    (root / "day" / "boxes.json").write_text("{")
    assert [f.kind for f in verify(root)] == ["unreadable"]


@pytest.mark.parametrize("what", ["advise", "rank"])
def test_what_compares_classes_names_the_answers_that_it_sees(root, what):
    from dalib.ranking.rank import rank

    with pytest.raises(DalibError, match=r"has labels for segmentation, and .* compare classes"):
        dalib.advise(str(root)) if what == "advise" else rank("mask_folder", "day", root=root)


@pytest.mark.parametrize(
    ("text", "told"),
    [("a\n\nb\nc\n", "line 2 of classes.txt is blank"), ("a\nb\na\n", "classes.txt names 'a' twice")],
)
def test_a_list_of_classes_whose_lines_are_no_values_is_refused(root, text, told):
    (root / "classes.txt").write_text(text)
    with pytest.raises(DalibError, match=told):
        load_data("mask_folder", root)


def test_a_list_of_classes_may_begin_with_a_mark_and_end_in_blank_lines(root):
    (root / "classes.txt").write_text("\ufeff" + "\n".join(CLASSES) + "\n\n \n", encoding="utf-8")
    assert load_data("mask_folder", root).classes == CLASSES


def test_masks_of_255_alone_are_no_labels(root):
    for path in (root / "dusk/masks").iterdir():
        save(path, np.full_like(read(path), 255))
    data = load_data("mask_folder", root)
    task = dalib.make_task(data, "day", "dusk", resize=16)
    assert len(task.test) == 0 and len(task.target) == 4
    with pytest.raises(DalibError, match="every answer of the labelled rows is 255"):
        dalib.make_task(data, "dusk", "day", resize=16)


def test_a_source_without_masks_is_told_what_to_put_there(root):
    shutil.rmtree(root / "day/masks")
    with pytest.raises(DalibError, match="a source needs them: put masks beside its pictures"):
        dalib.make_task(load_data("mask_folder", root), "day", "dusk", resize=16)


def test_pixels_of_one_class_are_refused(root):
    (root / "classes.txt").write_text("ground\n")
    for path in (*(root / "day/masks").iterdir(), *(root / "dusk/masks").iterdir()):
        save(path, np.zeros_like(read(path)))
    with pytest.raises(DalibError, match="'ground' is the only class"):
        dalib.make_task(load_data("mask_folder", root), "day", "dusk", resize=16)
