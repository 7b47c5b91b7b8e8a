"""Folders of pictures with boxes: three layouts that say the same, what is refused, what verify finds."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dalib
from dalib.core.errors import DalibError
from dalib.data.box_marks import Marks
from dalib.data.boxes import place_boxes
from dalib.data.catalog import load_data
from dalib.data.decode import measure_picture
from dalib.data.recognise import find_answers_in, guess_dataset
from dalib.verification import verify
from tests.support.box_layouts import BOXES, CLASSES, LAYOUTS, SIZE, coco, voc, write_coco, write_layout
from tests.support.scene_folders import save, write_scenes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_layout(tmp_path / "scenes", "COCO")


def expected(side: int) -> np.ndarray:
    y = np.zeros((len(BOXES), 2, 5), np.float32)
    y[:, :, 0] = -1
    for i, boxes in enumerate(BOXES.values()):
        for j, (kind, left, top, right, bottom) in enumerate(boxes):
            x, v = side / SIZE[0], side / SIZE[1]
            y[i, j] = CLASSES.index(kind), left * x, top * v, right * x, bottom * v
    return y


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_boxes_in_three_layouts_are_the_same_labels(tmp_path, layout):
    data = load_data("box_folder", write_layout(tmp_path, layout))
    assert (data.domains, data.classes, data.objective) == (("day", "dusk"), CLASSES, "detection")
    for side in (20, 64):
        domain = data.domain("day", side)
        assert domain.x.shape == (3, 3, side, side) and domain.labels.dtype == np.float32
        np.testing.assert_allclose(domain.labels, expected(side), atol=2e-5)
    assert layout in data.remarks[0] and "boxes 6" in data.remarks[0]
    assert verify(tmp_path) == []


def test_a_box_lies_on_what_it_was_drawn_around(tmp_path):
    domain = load_data("box_folder", write_layout(tmp_path, "YOLO")).domain("day", 120)
    (kind, left, top, right, bottom), *_ = domain.labels[0].round().astype(int).tolist()
    inside = np.asarray(domain.x)[0, :, top + 5 : bottom - 5, left + 4 : right - 4]
    assert kind == 0 and (inside[0] == 230).all() and (inside[2] == 40).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_zip_and_its_folder_are_the_same_data_and_a_changed_box_is_another(tmp_path, layout):
    root = write_layout(tmp_path / "scenes", layout)
    before = load_data("box_folder", root)
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w") as file:
        for path in sorted(root.rglob("*")):
            file.write(path, Path("set") / path.relative_to(root))
    zipped = load_data("box_folder", tmp_path / "scenes.zip")
    assert zipped.fingerprint == before.fingerprint
    np.testing.assert_array_equal(zipped.domain("dusk", 32).labels, before.domain("dusk", 32).labels)
    change = {
        "COCO": ("boxes.json", "[2, 3, 10, 15]", "[2, 3, 10, 14]"),
        "Pascal VOC": ("Annotations/p0.xml", "<ymax>18", "<ymax>17"),
        "YOLO": ("labels/p0.txt", "0.50000000", "0.45000000"),
    }
    name, old, new = change[layout]
    path = root / "day" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    after = load_data("box_folder", root)
    assert after.fingerprint != before.fingerprint
    assert after.domain("day", 32).fingerprint != before.domain("day", 32).fingerprint
    assert after.domain("dusk", 32).fingerprint == before.domain("dusk", 32).fingerprint


def test_boxes_in_whole_pixels_are_the_same_content_in_two_layouts(tmp_path):
    marks = [load_data("box_folder", write_layout(tmp_path / name, name)).fingerprint for name in LAYOUTS[:2]]
    assert marks[0] == marks[1]


def test_what_changes_no_box_changes_no_content(root):
    before = load_data("box_folder", root).fingerprint
    told = coco() | {"info": {"year": 2026}}
    told["annotations"] = [thing | {"area": 3} for thing in told["annotations"]]
    write_coco(root / "day", told)
    assert load_data("box_folder", root).fingerprint == before


def test_domains_may_have_different_layouts_but_one_domain_only_one(tmp_path, root):
    other = write_layout(tmp_path / "other", "YOLO")
    shutil.rmtree(root / "dusk")
    shutil.move(other / "dusk", root / "dusk")
    data = load_data("box_folder", root)
    np.testing.assert_allclose(data.domain("dusk", 32).labels, data.domain("day", 32).labels, atol=2e-5)
    write_coco(root / "dusk")
    with pytest.raises(DalibError, match=r"boxes of 'dusk' are there in 2 ways: COCO .* and YOLO .*; keep one"):
        load_data("box_folder", root)


def test_a_domain_without_boxes_is_a_target_without_labels(root):
    (root / "dusk/boxes.json").unlink()
    data = load_data("box_folder", root)
    assert data.domains == ("day",) and data.unlabelled == {"dusk": 3}
    task = dalib.make_task(data, "day", "dusk", resize=32)
    assert len(task.target) == 3 and not len(task.test) and task.objective == "detection"
    with pytest.raises(DalibError, match="a source needs them: put a file of boxes beside its pictures"):
        dalib.make_task(data, "dusk", "day", resize=32)


def test_pictures_of_which_no_boxes_are_said_are_left_out_and_told(root):
    told = coco()
    told["images"].pop()
    write_coco(root / "day", told)
    data = load_data("box_folder", root)
    assert data.counts == {"day": 2, "dusk": 3}
    assert "1 pictures left out: no boxes are said of them (day/images/p2.png)" in data.remarks
    assert [(f.kind, f.file) for f in verify(root)] == [("no boxes", "day/images/p2.png")]


def test_pictures_that_are_named_and_not_there_are_refused_unless_a_part_will_do(root):
    (root / "day/images/p1.png").unlink()
    with pytest.raises(DalibError, match=r"day lacks 1 pictures that have boxes \('p1.png'\); --partial"):
        load_data("box_folder", root)
    data = load_data("box_folder", root, partial=True)
    assert data.counts["day"] == 2 and "day lacks 1 pictures" in data.note
    assert [(f.kind, f.detail) for f in verify(root)] == [("no picture", "'p1.png' is not there")]


def test_crowds_and_what_is_difficult_are_no_boxes_and_told(tmp_path, root):
    told = coco()
    told["annotations"][0]["iscrowd"] = 1
    write_coco(root / "day", told)
    data = load_data("box_folder", root)
    assert "'day': 1 boxes around a crowd left out" in data.remarks
    assert (data.domain("day", 32).labels[0, :, 0] >= 0).sum() == 1
    other = write_layout(tmp_path / "voc", "Pascal VOC")
    path = other / "day/Annotations/p0.xml"
    path.write_text(path.read_text().replace("<difficult>0", "<difficult>1", 1))
    data = load_data("box_folder", other)
    assert "'day': 1 objects that are called difficult left out" in data.remarks
    assert (data.domain("day", 32).labels[0, :, 0] >= 0).sum() == 1


def test_pixels_of_voc_count_from_one_unless_a_zero_shows_that_they_do_not(tmp_path):
    root = write_layout(tmp_path, "Pascal VOC")
    for path in (root / "day/Annotations").iterdir():
        text = path.read_text()
        for k in range(40, -1, -1):
            for side in ("xmin", "ymin"):
                text = text.replace(f"<{side}>{k + 1}<", f"<{side}>~{k}<")
        path.write_text(text.replace("~", ""))
    path = root / "day/Annotations/p1.xml"
    path.write_text(path.read_text().replace("<xmin>1<", "<xmin>0<"))
    data = load_data("box_folder", root)
    assert "'day' counts pixels from 0, not from 1 as Pascal VOC does" in data.remarks
    day, dusk = data.domain("day", 40).labels.copy(), data.domain("dusk", 40).labels
    assert day[1, 0, 1] == 0
    day[1, 0, 1] = 1
    np.testing.assert_array_equal(day, dusk)


def test_boxes_are_cut_where_rounding_takes_them_out_of_their_picture_and_refused_beyond(tmp_path):
    root = write_layout(tmp_path, "YOLO")
    path = root / "day/labels/p0.txt"
    path.write_text("0 0.9 0.5 0.22 0.5\n")  # to 1.01 of 40 pixels
    np.testing.assert_allclose(load_data("box_folder", root).domain("day", 40).labels[0, 0], [0, 31.6, 10, 40, 30])
    path.write_text("0 0.5 0.5 0.5 0.5\n1 0.9 0.5 0.4 0.5\n")
    with pytest.raises(DalibError, match=r"p0.txt, line 2: 'blue' from \(28, 7.5\) to \(44, 22.5\) of a picture of 40"):
        load_data("box_folder", root).domain("day", 40)
    assert [(f.kind, f.file) for f in verify(root)] == [("box outside", "day/labels/p0.txt")]


def test_a_box_that_holds_nothing_in_the_precision_of_labels_is_refused(tmp_path):
    root = write_layout(tmp_path, "YOLO")
    (root / "day/labels/p0.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.5 0.5 1e-9 0.5\n")
    with pytest.raises(DalibError, match=r"p0.txt, line 2: 'blue' from \(20, 7.5\) to \(20, 22.5\)"):
        load_data("box_folder", root).domain("day", 40)
    (root / "day/labels/p0.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.001 0.5\n")
    left, right = load_data("box_folder", root).domain("day", 40).labels[0, 1, [1, 3]]
    assert right > left


def test_a_size_that_is_not_the_picture_s_is_refused(root):
    told = coco()
    told["images"][1] |= {"width": 30, "height": 40}
    write_coco(root / "day", told)
    with pytest.raises(DalibError, match=r"boxes.json: it says 30 x 40 pixels, but the picture has 40 x 30; make them"):
        load_data("box_folder", root).domain("day", 32)
    assert [f.kind for f in verify(root)] == ["size"]
    for picture in told["images"]:
        picture |= {"width": None, "height": 0}
    write_coco(root / "day", told)
    np.testing.assert_allclose(load_data("box_folder", root).domain("day", 32).labels, expected(32), atol=1e-5)


def turned(orientation: int) -> bytes:
    image, tag, out = Image.new("RGB", SIZE), Image.Exif(), io.BytesIO()
    tag[274] = orientation
    image.save(out, "JPEG", exif=tag)
    return out.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_turned_pictures_are_taken_only_where_a_size_says_how_they_are_meant(orientation):
    width, height, turn = measure_picture(turned(orientation))
    assert (width, height) == (SIZE[::-1] if orientation >= 5 else SIZE) and turn == orientation
    box = {"kinds": ["red"], "corners": [(1.0, 2.0, 5.0, 9.0)], "places": [3]}
    shown, stored, unsaid = ((size, place_boxes(Marks("b.json", "annotation", size, **box), width, height, turn)[1])
                             for size in ((width, height), SIZE, (0, 0)))  # fmt: skip
    assert bool(shown[1]) == (orientation in (2, 3, 4))
    assert bool(stored[1]) == bool(unsaid[1]) == (orientation != 1)
    assert all("may be meant before or after" in f.detail for _, faults in (shown, stored, unsaid) for f in faults)
    assert place_boxes(Marks("b.json", "annotation"), width, height, turn)[1] == []


def test_classes_are_in_the_order_of_the_list_else_of_the_files_else_sorted(root):
    assert load_data("box_folder", root).classes == ("red", "blue")
    (root / "classes.txt").write_text("background\nblue\nred\ngreen\n")
    assert load_data("box_folder", root).classes == ("blue", "red", "green")
    assert {(f.kind, f.cls) for f in verify(root)} == {("absent class", "green")}
    (root / "classes.txt").unlink()
    assert load_data("box_folder", root).classes == ("red", "blue")
    told = coco()
    told["categories"] = told["categories"][::-1]
    write_coco(root / "dusk", told)
    data = load_data("box_folder", root)
    assert data.classes == ("blue", "red")
    np.testing.assert_array_equal(data.domain("day", 8).labels[0, :, 0], data.domain("dusk", 8).labels[0, :, 0])


def test_a_class_that_the_list_lacks_is_refused_with_its_place(root):
    (root / "classes.txt").write_text("blue\n")
    with pytest.raises(DalibError, match=r"boxes.json, annotation 100: 'red' is none of 1 classes"):
        load_data("box_folder", root).domain("day", 32)
    assert {(f.kind, f.file) for f in verify(root)} == {
        ("unknown class", "day/boxes.json"),
        ("unknown class", "dusk/boxes.json"),
    }


@pytest.mark.parametrize("place", ["data.yaml", "day/data.yml", "day/labels/classes.txt", "day/classes.txt"])
def test_numbers_of_yolo_are_named_beside_the_domains_or_in_their_own_folder(tmp_path, place):
    root = write_layout(tmp_path, "YOLO", ("day",))
    (root / "classes.txt").unlink()
    with pytest.raises(DalibError, match=r"nobody knows what the numbers of 'day' mean; give classes.txt"):
        load_data("box_folder", root)
    yaml = place.endswith(("yaml", "yml"))
    if yaml:
        pytest.importorskip("yaml")
    (root / place).write_text("train: x\nnames:\n  0: red\n  1: blue\n" if yaml else "red\nblue\n")
    data = load_data("box_folder", root)
    assert data.classes == CLASSES
    np.testing.assert_allclose(data.domain("day", 32).labels, expected(32), atol=2e-5)


def test_two_names_for_one_number_are_refused(tmp_path):
    pytest.importorskip("yaml")
    root = write_layout(tmp_path, "YOLO")
    (root / "data.yaml").write_text("names: [red, green]\n")
    with pytest.raises(DalibError, match=r"classes.txt and data.yaml name the classes differently; keep one"):
        load_data("box_folder", root)
    (root / "data.yaml").write_text("names: {0: red, 2: blue}\n")
    with pytest.raises(DalibError, match=r"data.yaml names classes \['0', '2'\]; give every number from 0"):
        load_data("box_folder", root)


def test_one_coco_file_is_chosen_by_its_name_or_the_choice_is_left_to_its_owner(root):
    (root / "day/annotations").mkdir()
    shutil.move(root / "day/boxes.json", root / "day/annotations/instances_a.json")
    (root / "day/annotations/captions_a.json").write_text("{}")
    assert load_data("box_folder", root).counts["day"] == 3
    shutil.copy(root / "day/annotations/instances_a.json", root / "day/annotations/instances_b.json")
    with pytest.raises(DalibError, match=r"may be day/annotations/instances_a.json or day/annotations/instances_b"):
        load_data("box_folder", root)


def test_splits_are_not_taken_for_domains(tmp_path):
    root = write_layout(tmp_path, "YOLO", ("train", "valid"))
    with pytest.raises(DalibError, match="two ways: train, valid look like splits of one domain; or they are domains"):
        load_data("box_folder", root)


def test_folders_below_the_pictures_and_around_the_domains_are_followed(tmp_path):
    root = tmp_path / "outer/set"
    write_layout(root, "YOLO")
    for kind in ("images", "labels"):
        whole = root / "day" / kind
        (whole / "a").mkdir()
        for path in [p for p in whole.iterdir() if p.is_file()]:
            shutil.move(path, whole / "a" / path.name)
    data = load_data("box_folder", tmp_path / "outer")
    assert data.domains == ("day", "dusk")
    np.testing.assert_allclose(data.domain("day", 32).labels, expected(32), atol=2e-5)


def test_two_pictures_of_one_name_are_refused(tmp_path):
    root = write_layout(tmp_path, "YOLO")
    shutil.copy(root / "day/images/p0.png", root / "day/images/p0.jpg")
    with pytest.raises(DalibError, match=r"p0.jpg and day/images/p0.png have the same name; rename one"):
        load_data("box_folder", root)


def test_a_folder_above_is_asked_for_where_pictures_lie_at_the_top(root):
    with pytest.raises(DalibError, match="this looks like one domain: give the folder above it"):
        load_data("box_folder", root / "day")


def test_what_a_folder_holds_is_recognised_and_two_readings_are_told(root, tmp_path):
    assert find_answers_in(root) == ("detection",) and guess_dataset(root) == "box_folder"
    scenes = write_scenes(tmp_path / "masks")
    assert guess_dataset(scenes) == "mask_folder"
    with pytest.raises(DalibError, match=r"two ways: images of 'day' are pictures with boxes beside .*box_folder"):
        load_data("image_folder", root)
    with pytest.raises(DalibError, match=r"has labels for detection, and the measures of dalib advise compare classes"):
        dalib.advise(str(root))
    boxes = coco()
    boxes["images"] = [{"id": 1, "file_name": "p0.png", "width": 32, "height": 32}]
    boxes["annotations"] = []
    write_coco(scenes / "day", boxes)
    assert find_answers_in(scenes) == ("segmentation", "detection")
    assert guess_dataset(scenes) == "mask_folder" and guess_dataset(scenes, "detection") == "box_folder"
    with pytest.raises(DalibError, match=r"segmentation \(dataset mask_folder\) or detection \(dataset box_folder\)"):
        dalib.advise(str(scenes))
    (root / "day/regression.csv").write_text("file,y\nimages/p0.png,1\n")
    with pytest.raises(DalibError, match=r"two ways: its pictures have boxes .* or a table of answers for regression"):
        verify(root)


def test_scenes_drawn_with_masks_and_boxes_are_read_as_named(tmp_path):
    from dalib.datasets.drawing import write_mini_scenes

    write_mini_scenes(tmp_path, counts={"catalogue": 3, "webcam": 2})
    boxes, masks = load_data("box_folder", tmp_path), load_data("mask_folder", tmp_path)
    assert boxes.classes == masks.classes[1:] and boxes.domain("webcam", 96).files == masks.domain("webcam", 96).files
    y, mask = boxes.domain("catalogue", 96).labels, masks.domain("catalogue", 96).labels
    for i, told in enumerate(json.loads((tmp_path / "catalogue/boxes.json").read_text())["images"]):
        assert boxes.domain("catalogue", 96).files[i].endswith(told["file_name"])
        kinds, rows = np.unique(mask[i])[1:] - 1, y[i][y[i, :, 0] >= 0]
        assert set(rows[:, 0].astype(int)) == set(kinds.tolist())
        inside = np.zeros(mask[i].shape, bool)
        for _, left, top, right, bottom in rows.astype(int):
            inside[top:bottom, left:right] = True
        assert not (mask[i].astype(bool) & ~inside).any()


def test_verify_names_file_and_line_gravest_first(tmp_path, root):
    told = coco()
    told["annotations"] += [
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [30, 20, 20, 3]},
        {"id": 2, "image_id": 0, "category_id": 1, "bbox": [5, 5, 0, 3]},
        {"id": 3, "image_id": 0, "category_id": 2, "bbox": [5, 5, 3, 3]},
        {"id": 4, "image_id": 99, "category_id": 1, "bbox": [5, 5, 3, 3]},
        {"id": 5, "image_id": "0", "category_id": 1, "bbox": [5, 5, 3, 3]},
        {"id": 6, "image_id": 0, "category_id": 1, "bbox": [2, 3, 10, 15]},
        {"id": 7, "image_id": 0, "category_id": 1, "bbox": ["2", 3, 10, 15]},
    ]
    write_coco(root / "day", told)
    save(root / "dusk/images/extra.png", np.zeros((9, 9, 3), np.uint8))
    (root / "dusk/images/p1.png").write_bytes(b"no picture")
    found = [(f.kind, f.file, f.detail) for f in verify(root)]
    member = "day/boxes.json"
    assert ("box outside", member, "annotation 1: 'red' from (30, 20) to (50, 23) of a picture of 40 x 30") in found
    assert ("no area", member, "annotation 2: its bbox is [5, 5, 0, 3]: 0 wide and 3 high") in found
    assert ("unknown class", member, "annotation 3: its class 2 is not in categories") in found
    assert ("no picture", member, "annotation 4: it is of picture 99, which is not listed in images") in found
    strange = "annotation 5: it is of picture '0' (0 is there), which is not listed in images"
    assert ("no picture", member, strange) in found
    assert ("duplicate box", member, "annotation 100 and 6: 'red' 2 times in day/images/p0.png") in found
    malformed = "annotation 7: its bbox is ['2', 3, 10, 15]; give four finite numbers: left, top, width, height"
    assert ("malformed", member, malformed) in found
    assert ("no boxes", "dusk/images/extra.png", "no boxes are said of it") in found
    kinds = [kind for kind, _, _ in found]
    assert kinds[0] == "unreadable" and kinds.index("malformed") < kinds.index("no area") < kinds.index("duplicate box")
    with pytest.raises(DalibError, match=r"boxes.json, annotation 2: .*faults in all; dalib data verify lists them\)"):
        load_data("box_folder", root)


def test_verify_tells_files_of_boxes_without_a_picture(tmp_path):
    root = write_layout(tmp_path, "Pascal VOC")
    (root / "day/Annotations/lost.xml").write_text(voc("p0").replace("p0.png", "lost.png"))
    assert [(f.kind, f.file) for f in verify(root)] == [("no picture", "day/Annotations/lost.xml")]
    assert (
        "1 files of boxes left out: no such picture (day/Annotations/lost.xml)" in load_data("box_folder", root).remarks
    )


def test_a_domain_without_a_box_of_a_class_says_so(root):
    assert not [line for line in load_data("box_folder", root).remarks if "has no box of" in line]
    path = next((root / "dusk").rglob("*.json"))
    told = json.loads(path.read_text())
    gone = told["annotations"][0]["category_id"]
    name = next(kind["name"] for kind in told["categories"] if kind["id"] == gone)
    told["annotations"] = [box for box in told["annotations"] if box["category_id"] != gone]
    path.write_text(json.dumps(told))
    (line,) = [line for line in load_data("box_folder", root).remarks if "has no box of" in line]
    assert line.startswith(f"'dusk' has no box of {name}, which others have; a model trained on it cannot find them")
