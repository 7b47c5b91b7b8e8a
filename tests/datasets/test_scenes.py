"""mini_scenes: the same scenes everywhere and always, masks and boxes that are exact, three different domains."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dalib.core.registry import DATASETS
from dalib.data.catalog import load_data
from dalib.datasets.drawing import scenes
from dalib.datasets.drawing.scenes import SCENE_CLASSES, SCENE_COUNTS, SCENES, SIDE, draw_scene, write_mini_scenes
from dalib.verification import verify


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "mini_scenes"
    write_mini_scenes(folder, counts=dict.fromkeys(SCENES, 12))
    return folder


@pytest.mark.parametrize("domain", SCENES)
def test_a_scene_depends_on_its_name_alone(domain):
    first = draw_scene(domain, 3, seed=5)
    draw_scene(domain, 0)
    again = draw_scene(domain, 3, seed=5)
    np.testing.assert_array_equal(first.picture, again.picture)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert first.boxes == again.boxes
    assert not np.array_equal(first.picture, draw_scene(domain, 3, seed=6).picture)
    assert first.picture.shape == (SIDE, SIDE, 3) and first.mask.shape == (SIDE, SIDE)


def test_boxes_hold_their_objects_tightly():
    for index in range(20):
        scene = draw_scene("webcam", index)
        assert 1 <= len(scene.boxes) <= 4
        covered = np.zeros_like(scene.mask, bool)
        for kind, left, top, right, bottom, pixels in scene.boxes:
            inside = scene.mask[top:bottom, left:right] == kind
            assert pixels <= inside.sum() and 0 <= left < right <= SIDE and 0 <= top < bottom <= SIDE
            if sum(box[0] == kind for box in scene.boxes) == 1:
                rows, columns = np.nonzero(scene.mask == kind)
                assert (left, top, right - 1, bottom - 1) == (columns.min(), rows.min(), columns.max(), rows.max())
                assert pixels == len(rows)
            covered[top:bottom, left:right] = True
        assert not scene.mask[~covered].any(), "every pixel of a class is in a box"


def test_masks_are_where_the_objects_are(monkeypatch):
    """Without camera, shadow and clutter every pixel that is no background differs from the white backdrop's colour."""
    monkeypatch.setattr(scenes, "expose", lambda picture, style, rng: picture)
    monkeypatch.setattr(
        scenes, "place", lambda canvas, thing, rng, style: canvas.paste((9, 9, 9), (0, 0), thing.getchannel("A"))
    )
    monkeypatch.setattr(scenes.ImageFilter, "GaussianBlur", lambda radius: scenes.ImageFilter.BoxBlur(0))
    for index in range(6):
        scene = draw_scene("catalogue", index)
        dark = scene.picture[..., 0] < 128
        assert (dark == (scene.mask > 0)).mean() > 0.985, "they differ in pixels that are half covered, at the edge"
        sure = (scene.picture[..., 0] < 20) | (scene.picture[..., 0] > 245)
        np.testing.assert_array_equal(dark[sure], scene.mask[sure] > 0)


def test_what_is_written_is_what_was_drawn(root):
    scene = draw_scene("night", 4)
    np.testing.assert_array_equal(np.asarray(Image.open(root / "night/masks/scene_0005.png")), scene.mask)
    picture = np.asarray(Image.open(root / "night/images/scene_0005.jpg")).astype(float)
    assert np.abs(picture - scene.picture).mean() < 6
    told = json.loads((root / "night/boxes.json").read_text())
    boxes = [a for a in told["annotations"] if a["image_id"] == 5]
    assert [(a["category_id"], a["area"], a["bbox"]) for a in boxes] == [
        (kind, pixels, [left, top, right - left, bottom - top])
        for kind, left, top, right, bottom, pixels in scene.boxes
    ]
    assert [c["name"] for c in told["categories"]] == list(SCENE_CLASSES[1:])


def test_the_declaration_says_what_is_drawn():
    info = DATASETS.get("mini_scenes")
    assert info.classes == SCENE_CLASSES and dict(info.counts) == SCENE_COUNTS and info.domains == tuple(SCENES)


def test_domains_differ_in_light_and_nothing_is_wrong_with_a_set(root):
    data = load_data("mini_scenes", root, partial=True)
    light = [float(np.asarray(data.domain(d, 32).x).mean()) for d in data.domains]
    assert light[0] > light[1] + 30 > light[2] + 60
    assert {f.kind for f in verify(root)} <= {"absent class"}


def test_a_finished_set_is_left_alone_and_a_strange_folder_is_refused(root, tmp_path):
    before = (root / "classes.txt").stat().st_mtime_ns
    write_mini_scenes(root, counts=dict.fromkeys(SCENES, 12))
    assert (root / "classes.txt").stat().st_mtime_ns == before
    (tmp_path / "x").write_text("mine")
    with pytest.raises(FileExistsError, match="is not a mini_scenes set"):
        write_mini_scenes(tmp_path)
    with pytest.raises(ValueError, match="no domain named 'attic'"):
        write_mini_scenes(tmp_path / "new", counts={"attic": 1})
