"""Files of boxes that are damaged, made by other tools, or made to do harm: one line each, and nothing left out."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.data.box_coco import read_coco
from dalib.data.box_marks import MOST_FAULTS, Fault, Malformed
from dalib.data.box_voc import read_voc
from dalib.data.box_xml import parse_xml
from dalib.data.box_yolo import read_yolo
from dalib.data.catalog import load_data
from dalib.verification import verify
from tests.support.box_layouts import LAYOUTS, coco, voc, write_coco, write_layout
from tests.support.scene_folders import save


def changed(**parts: Any) -> Any:
    """A COCO file with `images_1 = {...}`: entry 1 of images gets these values."""
    told: dict[str, Any] = coco()
    for place, value in parts.items():
        key, _, number = place.partition("_")
        if number:
            told[key][int(number)] = told[key][int(number)] | value if isinstance(value, dict) else value
        else:
            told[key] = value
    return told


def faults_of(told: Any) -> list[Fault]:
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    return read_coco("b.json", content, lambda name: name if name.startswith("p") else None).faults


@pytest.mark.parametrize(
    ("told", "kind", "text"),
    [
        (b"{", "unreadable", "b.json, line 1: no JSON"),
        (b"", "unreadable", "no JSON"),
        (b"\xff\xfe\x00", "unreadable", "b.json"),
        (b"[" * 100_000, "unreadable", "brackets within brackets without end"),
        (b'{"images": [], "images": [], "annotations": [], "categories": []}', "unreadable", "'images' is there twice"),
        (b'{"images": [{"id": ' + b"9" * 5000 + b"}]}", "unreadable", "b.json"),
        (b"[]", "unreadable", "no list 'images'"),
        (b'{"images": {}, "annotations": [], "categories": []}', "unreadable", "no list 'images'"),
        (changed(images_1=3), "malformed", "image 2: 3 is no object"),
        (changed(images_1={"id": None}), "malformed", "image 2: its id is None; give a whole number or a text"),
        (changed(images_1={"id": 1.5}), "malformed", "its id is 1.5"),
        (changed(images_1={"id": True}), "malformed", "its id is True"),
        (changed(images_1={"id": 0}), "malformed", "image 2: id 0 is that of another picture too"),
        (changed(images_1={"file_name": "p0.png"}), "malformed", "is the picture of 'p0.png' too; list every picture"),
        (changed(images_1={"file_name": 7}), "malformed", "its file_name is 7; give a text"),
        (changed(images_1={"width": "40"}), "malformed", "its width or height is '40'; give whole numbers"),
        (changed(images_1={"width": -4}), "malformed", "its width or height is -4"),
        (changed(categories_1={"id": 1}), "malformed", "category 2: id 1 is that of 'red' too"),
        (changed(categories_1={"name": "red"}), "names", "'red' is the name of another category too"),
        (changed(categories_1={"name": "a\x1b[31m"}), "names", r"class name 'a\x1b[31m' cannot be used"),
        (changed(categories_1={"name": "\ud800"}), "names", r"class name '\ud800' cannot be used"),
        (changed(categories_1={"name": " "}), "names", "class name ' ' cannot be used"),
        (changed(categories_1={"name": 5}), "names", "class name 5 cannot be used"),
        (changed(annotations_0={"bbox": [1, 2, 3]}), "malformed", "annotation 100: its bbox is [1, 2, 3]; give four"),
        (changed(annotations_0={"bbox": [1, 2, 3, float("nan")]}), "malformed", "its bbox is [1, 2, 3, nan]"),
        (changed(annotations_0={"bbox": [1, 2, 3, 1e999]}), "malformed", "its bbox is [1, 2, 3, inf]"),
        (changed(annotations_0={"bbox": [1, 2, "3", 4]}), "malformed", "its bbox is [1, 2, '3', 4]"),
        (changed(annotations_0={"bbox": [1, 2, True, 4]}), "malformed", "its bbox is [1, 2, True, 4]"),
        (changed(annotations_0={"bbox": [1, 2, -3, 4]}), "no area", "-3 wide and 4 high"),
        (changed(annotations_0={"bbox": None}), "malformed", "its bbox is None"),
        (changed(annotations_0={"iscrowd": 2}), "malformed", "its iscrowd is 2; give 0 or 1"),
        (changed(annotations_0={"category_id": "1"}), "unknown class", "its class '1' (1 is there) is not in"),
        (changed(annotations_0={"image_id": 4}), "no picture", "it is of picture 4, which is not listed in images"),
        (changed(annotations_0={"image_id": "9" * 5000}), "no picture", "it is of picture '999"),
        (changed(annotations_0=[]), "malformed", "annotation number 1: [] is no object"),
        (changed(annotations_0={"id": "x" * 999, "bbox": 0}), "malformed", "x…"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_coco_file_is_named_with_its_place(told, kind, text):
    (fault, *_) = faults_of(told)
    assert fault.kind == kind and text in str(fault) and len(str(fault)) < 300


def test_a_name_that_cannot_be_used_leaves_boxes_of_its_class_without_one():
    kinds = [fault.kind for fault in faults_of(changed(categories_0={"name": ""}))]
    assert kinds == ["names", "unknown class"]


def test_ids_may_be_texts_and_floats_of_pixels_are_taken_as_they_are():
    told = coco()
    for picture in told["images"]:
        picture |= {"id": f"im-{picture['id']}", "width": 40.0}
    for thing in told["annotations"]:
        thing |= {"image_id": f"im-{thing['image_id']}", "bbox": [1.25, 2.5, 3.125, 4.0]}
    read = read_coco("b.json", json.dumps(told).encode(), lambda name: name)
    assert not read.faults and read.marks["p0.png"].corners[0] == (1.25, 2.5, 4.375, 6.5)
    assert read.marks["p0.png"].size == (40, 30)


def test_faults_without_end_are_told_up_to_a_number():
    told = coco()
    told["annotations"] = [0] * (MOST_FAULTS + 500)
    assert len(faults_of(told)) == MOST_FAULTS


@pytest.mark.parametrize("name", ["../p0.png", "images/../../p0.png", "..\\p0.png", ""])
def test_a_file_name_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    root = write_layout(tmp_path, "COCO")
    write_coco(root / "day", changed(images_0={"file_name": name}))
    with pytest.raises(DalibError, match=r"boxes.json, image 1: file_name .* leads out of its folder; give the name"):
        load_data("box_folder", root)


@pytest.mark.parametrize("start", ["", "images/", "day/images/", "/home/me/set/day/images/", "C:\\set\\"])
def test_the_end_of_a_path_is_enough_for_a_picture(tmp_path, start):
    root = write_layout(tmp_path, "COCO")
    write_coco(root / "day", changed(images_0={"file_name": f"{start}p0.png"}))
    assert load_data("box_folder", root).counts["day"] == 3


def test_a_name_that_two_pictures_have_is_refused_and_one_of_another_folder_is_not_taken(tmp_path):
    root = write_layout(tmp_path, "COCO", ("day",))
    for folder in ("a", "b"):
        save(root / "day/images" / folder / "q.png", np.zeros((30, 40, 3), np.uint8))
    write_coco(root / "day", changed(images_0={"file_name": "q.png"}))
    with pytest.raises(DalibError, match=r"'q.png' may be 'day/images/a/q.png' or 'day/images/b/q.png'; give more"):
        load_data("box_folder", root)
    write_coco(root / "day", changed(images_0={"file_name": "c/q.png"}))
    with pytest.raises(DalibError, match=r"day lacks 1 pictures that have boxes \('c/q.png'\)"):
        load_data("box_folder", root)
    write_coco(root / "day", changed(images_0={"file_name": "b/q.png"}))
    assert load_data("box_folder", root).domain("day", 8).files[0] == "day/images/b/q.png"


def voc_faults(text: str | bytes) -> list[Fault]:
    content = text if isinstance(text, bytes) else text.encode()
    return read_voc([("p0.xml", "day/JPEGImages/p0.png", content)], {"p0.png", "p1.png"}).faults


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("", "unreadable", "p0.xml, line 1: no XML (no element found)"),
        ("<annotation>\n<object>\n</annotation>", "unreadable", "p0.xml, line 3: no XML (mismatched tag)"),
        (BOMB + voc("p0"), "unreadable", "it has a document type (<!DOCTYPE>), which is not read"),
        ((BOMB + voc("p0")).encode("utf-16"), "unreadable", "it has a document type"),
        ("<a>" * 1000 + "</a>" * 1000, "unreadable", "elements within elements without end"),
        (f"<annotation>{'x' * 20_000}</annotation>", "unreadable", "more text than a name or a number has"),
        (b'<?xml version="1.0" encoding="none-such"?><annotation/>', "unreadable", "no XML"),
        ("<html/>", "malformed", "line 1: it holds <html>, not <annotation>"),
        (voc("p0").replace("p0.png", "p1.png"), "malformed", "its filename is 'p1.png', by its own name"),
        (voc("p0").replace("<width>40", "<width>40.5"), "malformed", "its size is [40.5, 30.0]; give whole numbers"),
        (voc("p0").replace("<xmin>3<", "<xmin>x<"), "malformed", "line 3: 'x' is no finite number"),
        (voc("p0").replace("<xmin>3<", "<xmin>nan<"), "malformed", "'nan' is no finite number"),
        (voc("p0").replace("<xmin>3<", "<xmin>1_0<"), "malformed", "'1_0' is no finite number"),
        (voc("p0").replace("<xmin>3</xmin>", "", 1), "malformed", "bndbox has 0 times <xmin>; give one"),
        (voc("p0").replace("bndbox", "robndbox"), "malformed", "line 3: 'red' has 0 times <bndbox>; give one"),
        (voc("p0").replace("<difficult>0", "<difficult>yes", 1), "malformed", "difficult is 'yes'; give 0 or 1"),
        (voc("p0").replace("<name>red<", "<name> <"), "names", "class name"),
        (voc("p0").replace("<xmax>12<", "<xmax>2<"), "no area", "line 3: 'red' is 0 wide and 15 high"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_voc_file_is_named_with_its_line(text, kind, told):
    (fault, *_) = voc_faults(text)
    assert fault.kind == kind and told in str(fault) and str(fault).startswith("p0.xml")


def test_a_voc_file_may_say_what_nobody_needs(tmp_path):
    more = "<owner>x &amp; y</owner><segmented>0</segmented><object><name>red</name><part><name>head</name><bndbox>"
    more += "<xmin>1</xmin></bndbox></part><bndbox><xmin>2.5</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    content = voc("p0", f"{more}</object>").replace("<width>40", "<width>0").replace("p0.png", "renamed.png")
    told = read_voc([("p0.xml", "p0.png", content.encode())], {"p0.png"})
    assert not told.faults and told.marks["p0.png"].corners[-1] == (1.5, 1, 9, 9)
    assert told.marks["p0.png"].size == (0, 0)


def test_lines_of_xml_are_those_of_its_elements():
    root = parse_xml(b"<a>\n<b>x</b>\n\n<b> y&lt;</b></a>")
    assert [(node.line, node.text) for node in root.all("b")] == [(2, "x"), (4, " y<")]


@pytest.mark.parametrize(
    ("line", "kind", "told"),
    [
        ("0 0.5 0.5 0.1", "malformed", "line 2: it has 4 columns; a box has 5: class x y width height"),
        ("0 0.5 0.5 0.1 0.1 0.9", "malformed", "it has 6 columns"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2", "malformed", "it has 9 columns"),
        ("0, 0.5, 0.5, 0.1, 0.1", "malformed", "'0,' is no finite number"),
        ("red 0.5 0.5 0.1 0.1", "malformed", "'red' is no finite number"),
        ("0 nan 0.5 0.1 0.1", "malformed", "'nan' is no finite number"),
        ("0 inf 0.5 0.1 0.1", "malformed", "'inf' is no finite number"),
        ("0 1e400 0.5 0.1 0.1", "malformed", "'1e400' is no finite number"),
        ("0 ٠.5 0.5 0.1 0.1", "malformed", "is no finite number"),
        ("0.5 0.5 0.5 0.1 0.1", "malformed", "class '0.5'; give a whole number from 0"),
        ("-1 0.5 0.5 0.1 0.1", "malformed", "class '-1'; give a whole number from 0"),
        ("2 0.5 0.5 0.1 0.1", "unknown class", "class 2, but 2 classes have names (0 to 1)"),
        ("0 12 8 5 5", "malformed", "'12 8 5 5'; x, y, width and height are parts of the picture's sides, 0 to 1"),
        ("0 0.5 0.5 0 0.1", "no area", "line 2: 'red' is 0 wide and 0.1 high"),
        ("0 0.5 0.5 -0.1 0.1", "no area", "'red' is -0.1 wide"),
    ],
)
def test_what_is_wrong_with_a_line_of_yolo_is_named(line, kind, told):
    content = f"1 0.5 0.5 0.2 0.2\r\n{line}\n\n".encode()
    read = read_yolo([("p0.txt", "p0.png", content)], ("red", "blue"))
    (fault,) = read.faults
    assert fault.kind == kind and told in str(fault) and str(fault).startswith("p0.txt, line 2: ")
    assert read.marks["p0.png"].kinds == ["blue"]


def test_a_file_of_yolo_that_is_no_text_is_refused_and_an_empty_one_holds_no_box():
    read = read_yolo([("a.txt", "a.png", b"\xff\xff"), ("b.txt", "b.png", b"\xef\xbb\xbf\n")], ("red",))
    assert [(f.kind, f.member) for f in read.faults] == [("unreadable", "a.txt")]
    assert read.marks["b.png"].kinds == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("classes.txt", "red\n\nblue\n", "classes.txt, entry 2: class name '' cannot be used"),
        ("classes.txt", "red\nred\n", "classes.txt names 'red' twice"),
        ("classes.txt", b"\xff\xfe", "classes.txt is no text in UTF-8"),
        ("classes.txt", b"x\n" * 600_000, "classes.txt has 1 MB, which is no list of names"),
        ("data.yaml", "names: [a, b", "data.yaml is no YAML"),
        ("data.yaml", "names: 3", "names in data.yaml is no list"),
        ("data.yaml", "names: !!python/object/apply:os.system ['true']", "data.yaml is no YAML"),
        ("data.yaml", "names: [1, 2]", "data.yaml, entry 1: class name 1 cannot be used"),
    ],
)
def test_names_that_cannot_be_used_are_refused(tmp_path, name, content, told):
    pytest.importorskip("yaml")
    root = write_layout(tmp_path, "YOLO")
    (root / "classes.txt").unlink()
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DalibError) as caught:
        load_data("box_folder", root)
    assert told in str(caught.value)


def test_boxes_that_would_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    root = write_layout(tmp_path, "YOLO", ("day",))
    (root / "day/labels/p1.txt").write_text("0 0.5 0.5 0.5 0.5\n" * 3000)
    monkeypatch.setenv("DALIB_MAX_FILE", "100K")
    with pytest.raises(DalibError, match=r"p1.png has 3000 boxes, and as many places for each of 3 pictures"):
        load_data("box_folder", root).domain("day", 8)
    monkeypatch.setenv("DALIB_MAX_FILE", "10K")
    with pytest.raises(DalibError, match=r"cannot read day/labels/p1.txt .* \(DALIB_MAX_FILE\)"):
        load_data("box_folder", root)


def test_an_unreadable_file_of_boxes_is_a_finding_and_ends_a_run(tmp_path):
    root = write_layout(tmp_path, "COCO")
    (root / "day/boxes.json").write_text('{"images": [],')
    assert [(f.kind, f.file) for f in verify(root)] == [("unreadable", "day/boxes.json")] * 1 + [
        ("no boxes", f"day/images/p{i}.png") for i in range(3)
    ]
    with pytest.raises(DalibError, match=r"day/boxes.json, line 1: no JSON .*; mend the file"):
        load_data("box_folder", root)
    (root / "day/boxes.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(DalibError, match=r"boxes.json: it names none of the pictures of 'day'"):
        load_data("box_folder", root)


def test_names_of_pictures_may_hold_anything(tmp_path):
    root = write_layout(tmp_path, "COCO")
    name = "a\x1b[31m\n.png"
    (root / "day/images/p0.png").rename(root / "day/images" / name)
    write_coco(root / "day", changed(images_0={"file_name": name}))
    assert load_data("box_folder", root).domain("day", 8).files[0] == f"day/images/{name}"
    write_coco(root / "day", changed(images_0={"file_name": f"b{name}"}))
    with pytest.raises(DalibError) as caught:
        load_data("box_folder", root)
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


ODD = (b"NaN", b"-1", b"1e999", b"null", b'""', b"{}", b"\x00", b"\xff", b"<", b"&b;", b"true", b"\n", b"9" * 20, b"")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damage_of_any_sort_is_one_line(tmp_path, layout):
    root, chance = write_layout(tmp_path, layout, ("day",)), random.Random(0)
    files = sorted(p for p in root.rglob("*") if p.suffix in (".json", ".xml", ".txt"))
    refused = 0
    for _ in range(40):
        path = chance.choice(files)
        sound = path.read_bytes()
        at = chance.randrange(len(sound) + 1)
        path.write_bytes(sound[:at] + chance.choice(ODD) + sound[at + chance.choice((0, 1, 4)) :])
        for read in (lambda: load_data("box_folder", root).domain("day", 16), lambda: verify(root, "box_folder")):
            try:
                read()
            except DalibError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 900
        path.write_bytes(sound)
    assert refused > 20
    assert verify(root) == []


def test_malformed_says_its_kind():
    assert Malformed("x").kind == "malformed" and Malformed("x", "names").kind == "names"


def test_a_folder_without_a_file_of_boxes_is_told_the_layouts(tmp_path: Path):
    save(tmp_path / "day/images/p.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DalibError, match=r"holds pictures, but no files of boxes; expected domain/images/x.jpg with"):
        load_data("box_folder", tmp_path)
