"""mini_office: the same pictures everywhere and always, all classes, three different domains, no half-written set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dalib.datasets.drawing import CLASSES, COUNTS, draw, write_mini_office

ONE_EACH = {domain: [1] * 31 for domain in ("amazon", "webcam", "dslr")}


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn") / "mini_office"
    write_mini_office(root, seed=0, counts=ONE_EACH)
    return root


def pictures(root: Path, domain: str) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)).astype(float) for path in sorted((root / domain).glob("*/*.jpg"))]


def high_frequency_energy(picture: np.ndarray) -> float:
    """Mean squared Laplacian of the grey level, after the noise-proof mean over 2 x 2 pixels of a 64-pixel picture."""
    small = Image.fromarray(picture.astype(np.uint8)).convert("L").resize((64, 64), Image.Resampling.BOX)
    x = np.asarray(small, float)
    return float(((4 * x[1:-1, 1:-1] - x[2:, 1:-1] - x[:-2, 1:-1] - x[1:-1, 2:] - x[1:-1, :-2]) ** 2).mean())


@pytest.mark.parametrize("domain", ["amazon", "webcam", "dslr"])
def test_a_picture_depends_on_its_name_alone(domain: str) -> None:
    first = draw("stapler", domain, 3, seed=5)
    draw("mug", domain, 0, seed=1)
    assert first.dtype == np.uint8
    assert first.ndim == 3
    np.testing.assert_array_equal(first, draw("stapler", domain, 3, seed=5))
    for other in (
        draw("stapler", domain, 3, seed=6),
        draw("stapler", domain, 4, seed=5),
        draw("mug", domain, 3, seed=5),
    ):
        assert not np.array_equal(first, other)


def test_the_classes_are_office_31_in_alphabetical_order(small_set: Path) -> None:
    assert len(CLASSES) == 31
    assert list(CLASSES) == sorted(CLASSES)
    for domain in ONE_EACH:
        assert sorted(path.name for path in (small_set / domain).iterdir()) == list(CLASSES)
        assert {path.name for path in (small_set / domain).glob("*/*")} == {"frame_0001.jpg"}


def test_the_counts_keep_the_imbalance_of_office_31() -> None:
    assert {domain: sum(row) for domain, row in COUNTS.items()} == {"amazon": 936, "webcam": 400, "dslr": 282}
    assert all(len(row) == 31 and min(row) >= 6 for row in COUNTS.values())


def test_amazon_has_white_borders_and_the_others_have_not(small_set: Path) -> None:
    border = {d: np.mean([x[[0, -1]].mean() for x in pictures(small_set, d)]) for d in ONE_EACH}
    assert border["amazon"] > 240
    assert max(border["webcam"], border["dslr"]) < 200


def test_webcam_is_blurred_cold_and_less_saturated_than_dslr(small_set: Path) -> None:
    webcam, dslr = pictures(small_set, "webcam"), pictures(small_set, "dslr")
    assert np.mean([high_frequency_energy(x) for x in webcam]) < 0.5 * np.mean([high_frequency_energy(x) for x in dslr])
    assert np.mean([x[..., 2].mean() - x[..., 0].mean() for x in webcam]) > 0
    assert np.mean([x[..., 2].mean() - x[..., 0].mean() for x in dslr]) < 0
    assert np.mean([np.ptp(x, 2).mean() for x in webcam]) < np.mean([np.ptp(x, 2).mean() for x in dslr])


def test_a_finished_set_is_left_alone_and_another_seed_replaces_it(tmp_path: Path) -> None:
    counts = {"webcam": [1] + [0] * 30}
    root, picture = tmp_path / "set", tmp_path / "set/webcam/back_pack/frame_0001.jpg"
    write_mini_office(root, 0, counts)
    before = picture.read_bytes()
    picture.write_bytes(b"kept")
    write_mini_office(root, 0, counts)
    assert picture.read_bytes() == b"kept"
    write_mini_office(root, 1, counts)
    assert picture.read_bytes() not in (b"kept", before)
    assert json.loads((root / ".mini_office.json").read_text())["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_an_interrupted_generation_leaves_nothing(tmp_path: Path) -> None:
    seen = []

    def interrupt(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mini_office(tmp_path / "set", counts=ONE_EACH, progress=interrupt)
    assert seen == [(1, 93), (2, 93), (3, 93)]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not a mini_office set"):
        write_mini_office(tmp_path, counts=ONE_EACH)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_wrong_counts_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no domain named 'phone'"):
        write_mini_office(tmp_path / "set", counts={"phone": [1] * 31})
    with pytest.raises(ValueError, match="webcam has 2 counts"):
        write_mini_office(tmp_path / "set", counts={"webcam": [1, 1]})
