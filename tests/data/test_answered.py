"""Images with a table of answers per domain: read, split, trained on, predicted, verified; tables that are wrong."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dalib
from dalib.core.errors import DalibError
from dalib.data.catalog import load_data
from dalib.data.peek import peek_objective

TRAIN = {"steps": 3, "batch_size": 4, "evaluations": 1}


def write(root: Path, kind: str = "regression", domains: tuple[str, ...] = ("day", "night"), n: int = 12) -> Path:
    """Pictures of one grey; their answers are that grey and its square, or whether each is above a half."""
    rng = np.random.default_rng(0)
    for domain in domains:
        (root / domain / "images").mkdir(parents=True)
        lines = [("file", "level", "square")]
        for i in range(n):
            level = int(rng.integers(20, 236))
            noise = rng.integers(-20, 20, (16, 16, 3))
            Image.fromarray((level + noise).astype(np.uint8)).save(root / domain / "images" / f"{i}.png")
            pair = (level / 255, (level / 255) ** 2)
            lines.append((f"images/{i}.png", *(pair if kind == "regression" else (int(v > 0.5) for v in pair))))
        write_table(root / domain / f"{kind}.csv", lines)
    return root


def write_table(path: Path, lines: list) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def lines_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_every_image_has_the_answers_of_its_line(tmp_path) -> None:
    data = load_data("image_folder", write(tmp_path / "set"))
    assert data.objective == "regression" and data.classes == ("level", "square") and data.domains == ("day", "night")
    assert data.counts == {"day": 12, "night": 12} and data.kind == "images"
    day = data.domain("day", 16)
    seen = np.asarray(day.x).mean((1, 2, 3)) / 255
    assert day.labels.dtype == np.float32 and day.objective == "regression"
    np.testing.assert_allclose(seen, day.labels[:, 0], atol=0.02)
    np.testing.assert_allclose(day.labels[:, 0] ** 2, day.labels[:, 1], atol=1e-5)
    assert peek_objective(data.info, "image_folder", tmp_path / "set") == "regression"


def test_a_zip_of_them_has_the_same_content(tmp_path) -> None:
    root = write(tmp_path / "set")
    zipped = shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    folder, archive = load_data("image_folder", root), load_data("image_folder", zipped)
    assert folder.fingerprint == archive.fingerprint
    np.testing.assert_array_equal(folder.domain("night", 16).labels, archive.domain("night", 16).labels)


def test_an_answer_is_part_of_the_content(tmp_path) -> None:
    root = write(tmp_path / "set")
    before = load_data("image_folder", root).fingerprint
    lines = lines_of(root / "day" / "regression.csv")
    lines[1][1] = "0.123"
    write_table(root / "day" / "regression.csv", lines)
    assert load_data("image_folder", root).fingerprint != before


@pytest.mark.parametrize("kind", ["regression", "multilabel"])
def test_they_are_trained_on_predicted_and_evaluated(kind, tmp_path) -> None:
    root = write(tmp_path / "set", kind)
    (root / "dusk" / "images").mkdir(parents=True)
    shutil.copy(root / "day" / "images" / "0.png", root / "dusk" / "images")
    for target, frozen in (("night", True), ("night", False), ("dusk", True)):
        run = dalib.fit(
            "image_folder", "day", target, "mmd", root=root, train=TRAIN, out=tmp_path / "model",
            backbone={"name": "tiny", "frozen": frozen}, device="cpu",
        )  # fmt: skip
        assert run.spec.train.augment == ("none" if kind == "regression" and not frozen else "standard")
        assert (run.spec.train.answers == "standardised") == (kind == "regression")
        assert run.task.objective == kind
    told = dalib.predict(run.path, root / "night" / "images", device="cpu")
    assert told.columns == ("file", "level", "square") and len(told.rows) == 12
    measured = dalib.evaluate(run.path, "image_folder", "night", root=root, device="cpu")
    assert measured.rows == 12 and set(measured.per_output) == {"level", "square"}
    flat = dalib.fit("image_folder", "day", str(root / "night" / "images"), "coral", root=root,
                     backbone={"name": "tiny", "frozen": True}, device="cpu")  # fmt: skip
    assert len(flat.task.target) == 12 and not len(flat.task.test)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lines: lines[1].__setitem__(1, "much"),
            r"day/regression\.csv, line 2 holds 'much'; give a finite number",
        ),
        (lambda lines: lines[1].__setitem__(1, "nan"), "line 2 holds 'nan'; give a finite number"),
        (lambda lines: lines.pop(), "has no line for day/images/"),
        (lambda lines: lines.append(["images/lost.png", "1", "1"]), "names day/images/lost.png, which is not there"),
        (lambda lines: lines.append(lines[1]), "is there twice; keep one of its lines"),
        (lambda lines: lines[0].__setitem__(0, "name"), "begins with 'name,level,square'; expected domain/images"),
        (lambda lines: lines[0].__setitem__(2, "other"), "has the outputs level, square, others level, other"),
        (lambda lines: lines[2].pop(), "line 3 has 2 columns, its head 3"),
    ],
)
def test_a_table_that_is_wrong_is_one_clear_line(change, message, tmp_path) -> None:
    root = write(tmp_path / "set")
    lines = lines_of(root / "day" / "regression.csv")
    change(lines)
    write_table(root / "day" / "regression.csv", lines)
    with pytest.raises(DalibError, match=message):
        load_data("image_folder", root)
    assert dalib.verify(root)[0].kind == "answers"


def test_two_kinds_of_tables_are_refused_with_both(tmp_path) -> None:
    root = write(write(tmp_path / "set", domains=("day",)), "multilabel", domains=("night",))
    with pytest.raises(DalibError, match="domains have multilabel here and regression tables there; give all the same"):
        load_data("image_folder", root)
    shutil.copy(root / "night" / "multilabel.csv", root / "night" / "regression.csv")
    with pytest.raises(DalibError, match=r"'night' has both regression\.csv and multilabel\.csv"):
        load_data("image_folder", root)


def test_a_yes_or_no_table_holds_nothing_else(tmp_path) -> None:
    root = write(tmp_path / "set", "multilabel")
    lines = lines_of(root / "day" / "multilabel.csv")
    lines[1][1] = "-1"
    write_table(root / "day" / "multilabel.csv", lines)
    assert (load_data("image_folder", root).domain("day", 8).labels == -1).sum() == 1
    lines[1][1] = "0.5"
    write_table(root / "day" / "multilabel.csv", lines)
    with pytest.raises(DalibError, match=r"line 2 holds '0\.5'; give 0, 1, or -1 where nobody said"):
        load_data("image_folder", root)


def test_a_clean_set_has_nothing_to_verify(tmp_path) -> None:
    assert dalib.verify(write(tmp_path / "set")) == []


def test_advice_says_what_the_answers_are_and_guesses_no_classes(tmp_path) -> None:
    root = write(tmp_path / "set")
    with pytest.raises(DalibError, match="has labels for regression, and the measures of dalib advise"):
        dalib.advise(root)
    with pytest.raises(DalibError, match=r"mini_attributes has labels for multilabel, .*--objective multilabel"):
        dalib.advise("mini_attributes")
    from dalib.advice.images import _numbers_as_classes

    assert _numbers_as_classes(("0", "1", "2")) == _numbers_as_classes(("cat", "7")) == []
    assert "domain/regression.csv" in _numbers_as_classes(("12", "31", "47.5"))[0]
