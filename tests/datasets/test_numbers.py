"""Sets whose answers are numbers: what is drawn is what is said, and the known answers of the shifts are known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

import dalib
from dalib.core.errors import DalibError
from dalib.data.catalog import load_data
from dalib.datasets._tables import make_shifts, read_diabetes
from dalib.datasets.drawing.sprites import COUNTS, SIDE, draw_sprite, write_mini_sprites


def test_the_answers_of_a_sprite_are_those_of_its_pixels() -> None:
    for index in range(12):
        picture, (x, y, scale, _) = draw_sprite("colour", index)
        rows, columns = np.nonzero(picture.max(2) > 40)
        middle = (columns.min() + columns.max() + 1) / 2 / SIDE, (rows.min() + rows.max() + 1) / 2 / SIDE
        side = max(np.ptp(columns), np.ptp(rows)) + 1
        assert middle == pytest.approx((x, y), abs=1.5 / SIDE)
        assert side / SIDE == pytest.approx(scale, abs=2.5 / SIDE)


def test_a_positive_angle_turns_a_shape_clockwise() -> None:
    told = []
    for index in range(60):
        picture, (*_, angle) = draw_sprite("colour", index)
        rows, columns = np.nonzero(picture.max(2) > 40)
        narrow = np.ptp(columns) < np.ptp(rows)
        if narrow and abs(angle) > 15:  # tall shapes lean with their upper half to the right when turned clockwise
            upper, lower = columns[rows < rows.mean()].mean(), columns[rows > rows.mean()].mean()
            told.append(np.sign(upper - lower) == np.sign(angle))
    assert len(told) > 10 and np.mean(told) > 0.75


def test_domains_place_alike_and_paint_otherwise() -> None:
    answers = {d: np.array([draw_sprite(d, i)[1] for i in range(60)]) for d in COUNTS}
    for told in answers.values():
        assert (np.abs(told.mean(0) - (0.5, 0.5, 0.35, 0.0)) < (0.06, 0.06, 0.04, 10.0)).all()
    corner = {d: np.stack([draw_sprite(d, i)[0][:3, :3] for i in range(10)]).astype(float) for d in COUNTS}
    assert corner["colour"].max() == 0 and corner["noise"].std() > 50 and 20 < corner["scream"].mean() < 200


def test_the_set_is_written_once_and_read_back(tmp_path) -> None:
    root = tmp_path / "mini_sprites"
    write_mini_sprites(root, counts={"colour": 3, "noise": 2})
    first = (root / "colour" / "images" / "0001.png").stat().st_mtime_ns
    write_mini_sprites(root, counts={"colour": 3, "noise": 2})
    assert (root / "colour" / "images" / "0001.png").stat().st_mtime_ns == first
    with pytest.raises(DalibError, match="scream missing, colour 3 of 500 images, noise 2 of 500 images"):
        load_data("mini_sprites", root)
    data = load_data("mini_sprites", root, partial=True)
    assert data.classes == ("x", "y", "scale", "angle") and data.counts == {"colour": 3, "noise": 2}
    picture, answers = draw_sprite("colour", 1)
    np.testing.assert_allclose(data.domain("colour", SIDE).labels[1], answers, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(data.domain("colour", SIDE).x)[1].transpose(1, 2, 0), picture)
    assert np.array_equal(np.asarray(Image.open(root / "colour" / "images" / "0002.png")), picture)
    with pytest.raises(ValueError, match="no domain named 'grey'"):
        write_mini_sprites(tmp_path / "other", counts={"grey": 1})
    with pytest.raises(FileExistsError, match="is not a mini_sprites set"):
        write_mini_sprites(root / "colour")


def test_the_right_answers_of_the_shifts_are_the_same_function_of_what_causes_them() -> None:
    made = make_shifts()
    read = LinearRegression().fit(made["calm_x"], made["calm_y"][:, 0])
    wrong = {d: np.abs(read.predict(made[f"{d}_x"]) - made[f"{d}_y"][:, 0]).mean() for d in ("calm", "rare", "gains")}
    assert wrong["calm"] < 0.1 and wrong["rare"] < 0.1 < 0.2 < wrong["gains"]
    own = LinearRegression().fit(made["turned_x"], made["turned_y"][:, 0])
    assert np.abs(own.predict(made["turned_x"]) - made["turned_y"][:, 0]).mean() < 0.1


def test_diabetes_is_scikit_learns_table_in_two_groups() -> None:
    made, table = read_diabetes(), load_diabetes(scaled=False)
    assert made["group1_x"].shape == (235, 9) and made["group2_x"].shape == (207, 9)
    together = np.concatenate([made["group1_y"], made["group2_y"]])
    assert np.sort(together[:, 0]).tolist() == np.sort(table.target).tolist()


@pytest.mark.parametrize("name", ["mini_shifts", "diabetes"])
def test_a_table_is_made_on_first_use(name, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path))
    monkeypatch.delenv("DALIB_DATA", raising=False)
    data = load_data(name)
    assert data.objective == "regression" and data.kind == "features"
    source, target = data.domains[:2]
    run = dalib.fit(name, source, target, "coral", device="cpu")
    assert run.spec.backbone.name == "identity" and run.metric == "mae" and np.isfinite(list(run.values.values())).all()
