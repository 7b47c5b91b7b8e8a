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
from dalib.verification import verify

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


def relabel(root: Path, domain: str, change, kind: str = "multilabel") -> None:
    """Every line of a domain's table with other answers: change(i, answers) -> answers."""
    path = root / domain / f"{kind}.csv"
    head, *lines = lines_of(path)
    write_table(path, [head, *([line[0], *change(i, line[1:])] for i, line in enumerate(lines))])


def test_a_target_of_which_nobody_said_anything_is_one_without_labels(tmp_path) -> None:
    root = write(tmp_path / "set", "multilabel")
    relabel(root, "night", lambda i, answers: ["-1", "-1"])
    task = dalib.make_task(load_data("image_folder", root), "day", "night", resize=16)
    assert len(task.test) == 0 and len(task.target) == 12
    run = dalib.fit("image_folder", "day", "night", "mmd", root=root, backbone={"name": "tiny"}, train=TRAIN)
    assert set(run.values) <= {"source, training rows", "source, held-out rows"}
    with pytest.raises(DalibError, match="needs labels of the target, and 'night' has none"):
        dalib.make_task(load_data("image_folder", root), "day", "night", "semi_supervised", resize=16)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda i, answers: ["-1", "-1"], "every answer of the labelled rows is -1"),
        (lambda i, answers: ["-1", answers[1]], "'level' is -1 in all 11 labelled rows \\(1 of 2 answers are\\)"),
    ],
)
def test_an_answer_that_no_labelled_row_has_is_refused(tmp_path, change, told) -> None:
    root = write(tmp_path / "set", "multilabel")
    relabel(root, "day", change)
    with pytest.raises(DalibError, match=told):
        dalib.make_task(load_data("image_folder", root), "day", "night", resize=16)


def test_held_out_rows_of_which_nobody_said_anything_have_no_number(tmp_path) -> None:
    root = write(tmp_path / "set", "multilabel")
    held = dalib.make_task(load_data("image_folder", root), "day", "night", resize=16).validation
    relabel(root, "day", lambda i, answers: ["-1", "-1"] if f"day/images/{i}.png" in held.files else ["1", "0"])
    run = dalib.fit("image_folder", "day", "night", "mmd", root=root, backbone={"name": "tiny"}, train=TRAIN)
    assert set(run.values) == {"source, training rows", "target"}


@pytest.mark.parametrize("word", ["1e39", "-2e18"])
def test_an_answer_whose_square_is_beyond_float32_is_refused(tmp_path, word) -> None:
    root = write(tmp_path / "set")
    relabel(root, "day", lambda i, answers: [word, answers[1]] if i == 3 else answers, "regression")
    with pytest.raises(DalibError, match=r"day/regression.csv, line 5 holds .*give it in a larger unit"):
        load_data("image_folder", root)


def test_a_source_without_a_table_is_told_what_to_put_there(tmp_path) -> None:
    root = write(tmp_path / "set")
    (root / "day" / "regression.csv").unlink()
    with pytest.raises(DalibError, match="'day' has no labels; a source needs them: put regression"):
        dalib.make_task(load_data("image_folder", root), "day", "night", resize=16)


def odd(root: Path | str) -> list[tuple[str, str]]:
    return [(f.domain, f"{f.cls or f.file}: {f.detail}") for f in verify(root) if f.kind == "odd answers"]


def test_verify_points_at_answers_that_never_change_or_may_be_in_another_unit(tmp_path) -> None:
    root = write(tmp_path / "set")
    assert odd(root) == []
    relabel(root, "night", lambda i, answers: [str(9 + float(answers[0])), answers[1]], "regression")
    (domain, told), *more = odd(root)
    assert not more and domain == "night" and told.startswith("level: from 9.") and told.endswith("another unit?")
    relabel(root, "night", lambda i, answers: [str(float(answers[0]) - 9), "5"], "regression")
    assert odd(root) == [("night", "square: 5 in all 12 rows that have it")]
    shifted = write(tmp_path / "shifted")
    relabel(shifted, "night", lambda i, answers: [str(1.5 + float(answers[0])), answers[1]], "regression")
    assert odd(shifted) == []


def test_verify_points_at_yes_or_no_that_nobody_said(tmp_path) -> None:
    root = write(tmp_path / "set", "multilabel")
    relabel(root, "day", lambda i, answers: ["-1", "1" if i else "-1"])
    assert odd(root) == [
        ("day", "level: -1 in all 12 rows: nobody said"),
        ("day", "square: 1 in all 11 rows that have it"),
    ]


def test_verify_of_a_feature_file_points_at_odd_answers(tmp_path) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 9, 4)), np.linspace(1, 2, 9)
    path = tmp_path / "rows.npz"
    np.savez(path, objective="regression", a_x=x[0], a_y=y, b_x=x[1], b_y=y * 1000)
    assert [d for d, _ in odd(path)] == ["b"]
    np.savez(path, objective="regression", a_x=x[0], a_y=y, b_x=x[1], b_y=y * 1e30)
    with pytest.raises(DalibError, match=r"b_y holds 2e\+30, whose square"):
        load_data(f"features:{path}")


def test_verify_compares_the_answers_of_equal_pictures_and_not_their_folders(tmp_path) -> None:
    root = write(tmp_path / "set", domains=("day",))
    folder = root / "day"
    for i in range(12):
        (folder / ("few" if i < 6 else "many")).mkdir(exist_ok=True)
        (folder / "images" / f"{i}.png").rename(folder / ("few" if i < 6 else "many") / f"{i}.png")
    (folder / "images").rmdir()
    shutil.copy(folder / "few/0.png", folder / "many/6.png")
    shutil.copy(folder / "few/1.png", folder / "few/2.png")
    head, *lines = lines_of(folder / "regression.csv")
    lines = [[f"{'few' if i < 6 else 'many'}/{i}.png", *line[1:]] for i, line in enumerate(lines)]
    lines[6][1:] = lines[0][1:]
    write_table(folder / "regression.csv", [head, *lines])
    found = {f.file: f.kind for f in verify(root)}
    assert found == {"day/many/6.png": "duplicate", "day/few/2.png": "duplicate across classes"}
