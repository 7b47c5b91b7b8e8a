"""Boxes that were found, as COCO's results and on pictures."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from dalib.data.box_pictures import (
    COLOURS,
    FoundBox,
    colour_of,
    draw_boxes,
    ink_on,
    list_boxes,
    to_coco,
    write_coco,
    write_drawn,
)

CLASSES = ("mug", "pen")
NOTHING = [-1, 0, 0, 0, 0, 0]


def test_an_answer_is_told_in_the_picture_s_own_pixels_the_likeliest_first():
    answer = np.array([[0, 0.4, 8, 16, 32, 64], [1, 0.9, -3, 0, 70, 32], NOTHING], np.float32)
    found = list_boxes(CLASSES, "a.jpg", answer, 640, 128, 64)
    assert [(b.file, b.label) for b in found] == [("a.jpg", "pen"), ("a.jpg", "mug")]
    assert found[0][3:] == (0, 0, 640, 64) and found[1][3:] == (80, 32, 320, 128)
    assert [round(b.score, 6) for b in found] == [0.9, 0.4]
    assert list_boxes(CLASSES, "a.jpg", np.array([NOTHING], np.float32), 640, 128, 64) == []


def test_coco_reads_the_results_and_finds_them_right(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    boxes = [FoundBox("b.jpg", "pen", 0.9, 10, 20, 30.5, 60), FoundBox("a.jpg", "mug", 0.8, 0, 0, 5, 5)]
    images = {"a.jpg": 1, "b.jpg": 2}
    truth = [
        {"id": i + 1, "image_id": r["image_id"], "category_id": r["category_id"], "bbox": r["bbox"]}
        | {"iscrowd": 0, "area": r["bbox"][2] * r["bbox"][3]}
        for i, r in enumerate(to_coco(boxes, images, CLASSES))
    ]
    told = {"images": [{"id": i, "file_name": n, "width": 99, "height": 99} for n, i in images.items()]}
    told |= {"annotations": truth, "categories": [{"id": k + 1, "name": n} for k, n in enumerate(CLASSES)]}
    (tmp_path / "truth.json").write_text(json.dumps(told))
    write_coco(tmp_path / "boxes.json", boxes, images, CLASSES)
    known = coco.COCO(str(tmp_path / "truth.json"))
    scorer = evaluation.COCOeval(known, known.loadRes(str(tmp_path / "boxes.json")), "bbox")
    scorer.evaluate()
    scorer.accumulate()
    scorer.summarize()
    assert scorer.stats[0] == pytest.approx(1.0)
    first = json.loads((tmp_path / "boxes.json").read_text())[0]
    assert (first["image_id"], first["category_id"]) == (2, 2) and {r["category_id"] for r in truth} == {1, 2}
    assert first["bbox"] == [10, 20, 20.5, 40] and (first["category"], first["file_name"]) == ("pen", "b.jpg")
    write_coco(tmp_path / "none.json", [], images, CLASSES)
    assert json.loads((tmp_path / "none.json").read_text()) == []


def test_a_box_is_drawn_where_it_is_in_the_colour_of_its_class():
    picture = Image.new("RGB", (400, 400), (90, 90, 90))
    drawn = np.asarray(draw_boxes(picture, [FoundBox("a", "pen", 0.75, 100, 150, 300, 350)], CLASSES))
    colour = colour_of("pen", CLASSES)
    assert tuple(drawn[250, 101]) == tuple(drawn[250, 298]) == tuple(drawn[348, 200]) == colour
    assert tuple(drawn[250, 100]) == tuple(drawn[250, 299]) == (0, 0, 0)
    assert tuple(drawn[250, 200]) == tuple(drawn[20, 20]) == (90, 90, 90)
    changed = (drawn != 90).any(2)
    assert changed[:150].any() and not changed[351:].any() and not changed[:, :100].any()


@pytest.mark.parametrize("corners", [(0, 0, 40, 30), (39.2, 29.1, 40, 30), (-2, 3, 3, 3.2), (35, 0, 40, 2)])
def test_boxes_at_the_edge_and_names_of_any_sort_can_be_drawn(corners):
    names = ("x" * 200, "a\x1b[31m\nb", "杯子")
    boxes = [FoundBox("a", name, 0.5, *corners) for name in names]
    drawn = draw_boxes(Image.new("RGB", (40, 30)), boxes, names)
    assert drawn.size == (560, 420) and len(drawn.getcolors(1 << 20) or ()) > 3


@pytest.mark.parametrize(
    ("size", "drawn"), [((1, 1), (400, 400)), ((200, 1), (4000, 20)), ((4001, 3), (4001, 3)), ((900, 300), (1800, 600))]
)
def test_a_small_picture_is_enlarged_and_a_strip_only_as_far_as_it_can_be_looked_at(size, drawn):
    boxes = [FoundBox("a", "pen", 0.9, 0, 0, *size)]
    assert draw_boxes(Image.new("RGB", size), boxes, CLASSES).size == drawn


def test_words_stand_out_from_every_colour():
    def light(rgb: tuple[int, int, int]) -> float:
        parts = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
        return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))

    names = [str(i) for i in range(len(COLOURS) + 1)]
    for name in names:
        ground = colour_of(name, names)
        a, b = sorted((light(ground), light(ink_on(ground))))
        assert (b + 0.05) / (a + 0.05) >= 4.5
    assert colour_of(names[0], names) == colour_of(names[-1], names)


def test_a_turned_picture_is_drawn_as_it_is_shown_and_unlikely_boxes_are_not_drawn(tmp_path):
    tag, buffer = Image.Exif(), io.BytesIO()
    tag[274] = 6
    Image.new("RGB", (500, 420)).save(buffer, "JPEG", exif=tag)
    boxes = [FoundBox("a/b.jpg", "mug", 0.49, 100, 100, 400, 400)]
    path = write_drawn(tmp_path, "a/b.jpg", buffer.getvalue(), boxes, CLASSES)
    assert path == tmp_path / "a/b.boxes.jpg"
    with Image.open(path) as image:
        assert image.size == (420, 500) and np.asarray(image).max() < 10
    write_drawn(tmp_path, "a/b.jpg", buffer.getvalue(), boxes, CLASSES, least=0.4)
    with Image.open(path) as image:
        assert np.asarray(image).max() > 200
