"""Labels that look like numbers: every reader keeps what is written, tells of two that write one number, or refuses."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import dalib
from dalib.core.errors import DalibError
from dalib.data.declaration import lookalike
from dalib.data.features import load_features
from dalib.data.given import read_labels
from dalib.data.labels import settle_labels, stack_labels
from dalib.data.packing import arrays_of_datasets, arrays_of_frame, arrays_of_tables, pack
from dalib.data.shared_formats import arrays_of_webdataset


def packed(folder: Path, *files: list[str], domains: str = "ab") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(classes, remarks) of tables with these labels, a domain per file."""
    paths = []
    for name, labels in zip(domains, files, strict=False):
        lines = [f"{i}.5,{label}" for i, label in enumerate(labels)]
        (folder / f"{name}.csv").write_text("\n".join(["x,y", *lines]))
        paths.append(folder / f"{name}.csv")
    made = pack(arrays_of_tables(paths, label="y") if len(paths) > 1 else _alone(paths[0]), folder / "f.npz")
    return made.classes, made.remarks


def _alone(path: Path) -> dict[str, np.ndarray]:
    text = path.read_text().splitlines()
    path.write_text("\n".join([f"{text[0]},d", *(f"{line},s" for line in text[1:])]))
    return arrays_of_tables([path], "d", "y")


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [
        (["1", "2", "10"], ("1", "2", "10"), False),
        (["1.0", "2.0", "10.0"], ("1", "2", "10"), False),
        ([" 1", " 2"], ("1", "2"), False),
        (["01", "02", "10"], ("01", "02", "10"), False),
        (["01", "1", "2"], ("01", "1", "2"), True),
        (["1.0", "1", "2"], ("1", "1.0", "2"), True),
        (["1e3", "1000", "2"], ("1000", "1e3", "2"), True),
        (["+1", "1"], ("+1", "1"), True),
        (["-0", "0"], ("-0", "0"), True),
        (["True", "False"], ("False", "True"), False),
        (["True", "true"], ("True", "true"), True),
        (["9007199254740993", "9007199254740992"], ("9007199254740992", "9007199254740993"), False),
        (["99999999999999999999", "99999999999999999998"], ("99999999999999999998", "99999999999999999999"), False),
        (["1_000", "1000"], ("1000", "1_000"), False),
        (["١", "1"], ("1", "١"), False),
        (["inf", "1"], ("1", "inf"), False),
        (["2021-01-02", "1"], ("1", "2021-01-02"), False),
    ],
)
def test_a_label_of_a_table_is_what_is_written(
    labels: list[str], classes: tuple[str, ...], told: bool, tmp_path: Path
) -> None:
    made, remarks = packed(tmp_path, labels)
    assert made == classes
    assert any("are two classes here; if they are one, spell them alike" in r for r in remarks) == told


def test_labels_of_two_tables_are_numbers_or_words_together(tmp_path: Path) -> None:
    """A column with gaps is written 1.0; one file of words makes all of them words."""
    assert packed(tmp_path, ["1", "2"], ["1.0", "2.0"])[0] == ("1", "2")
    assert packed(tmp_path, ["01", "02"], ["cat", "02"])[0] == ("01", "02", "cat")
    classes, remarks = packed(tmp_path, ["01", "2"], ["1", "2"])
    assert classes == ("01", "1", "2") and "'01' and '1' are two classes here" in remarks[0]


def test_two_labels_that_differ_in_blanks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DalibError, match="are both '1', but for blanks"):
        packed(tmp_path, ["1", " 1", "2"])


def test_long_numbers_beside_rows_without_labels_keep_their_digits(tmp_path: Path) -> None:
    text = "x,y,d\n1,9007199254740993,s\n2,9007199254740992,s\n3,,t\n4,,t"
    (tmp_path / "t.csv").write_text(text)
    made = pack(arrays_of_tables([tmp_path / "t.csv"], "d", "y"), tmp_path / "f.npz")
    assert made.classes == ("9007199254740992", "9007199254740993") and made.unlabelled == {"t": 2}


def test_domains_are_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y,d\n1,a,01\n2,b,01\n3,a,1\n4,b,1")
    made = pack(arrays_of_tables([tmp_path / "t.csv"], "d", "y"), tmp_path / "f.npz")
    assert list(made.x) == ["01", "1"] and "'01' and '1' are two domains here" in made.remarks[0]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([1, "1", 2, 2], r"mixes labels that are numbers \(1\) and words \('1'\); give labels of one type"),
        ([True, 1, 0, 0], "mixes labels that are numbers .* and true or false"),
        ([1.0, 2.0**53, 2.0, 2.0], "has the label 9007199254740992, beyond what float64 tells apart"),
    ],
)
def test_labels_of_a_frame_that_numpy_would_make_one_are_refused(column: list[Any], words: str) -> None:
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": pd.Series(column, dtype=object), "d": "s"})
    with pytest.raises(DalibError, match=words):
        arrays_of_frame(frame, "d", "y")
    with pytest.raises(DalibError, match=words):
        arrays_of_datasets({"s": list(zip(np.eye(4), column, strict=True))})


def test_domains_of_a_frame_that_are_written_alike_are_refused() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"], "d": pd.Series([1, "1"], dtype=object)})
    with pytest.raises(DalibError, match="column 'd' has several domains that are written '1'"):
        arrays_of_frame(frame, "d", "y")


def test_words_of_a_feature_file_stay_apart_and_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", s_x=np.eye(3), s_y=np.array(["01", "1", "1.0"]))
    made = load_features(tmp_path / "f.npz")
    assert made.classes == ("01", "1", "1.0")
    assert made.remarks == tuple(
        f"'01' and '{b}' are two classes here; if they are one, spell them alike" for b in ("1", "1.0")
    )


def test_words_of_an_estimator_stay_apart_and_are_told() -> None:
    with pytest.warns(UserWarning, match="y holds '01' and '1', which are taken for two classes"):
        assert list(read_labels(["01", "1", "2"])) == ["01", "1", "2"]


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (len(path.name) * 9, 3, 7)).save(path)


def test_folders_that_write_one_number_are_refused_as_those_of_another_case_are(tmp_path: Path) -> None:
    for domain in "ab":
        for name in ("01", "1", "2"):
            picture(tmp_path / domain / name / "p.png")
    with pytest.raises(DalibError, match="classes '01' and '1' write one number: name their folders alike"):
        dalib.load_data("image_folder", tmp_path)
    assert dalib.load_data("image_folder", tmp_path, partial=True).classes == ("01", "1", "2")


def test_a_list_that_writes_one_number_in_two_ways_is_refused(tmp_path: Path) -> None:
    for domain in "ab":
        for i in range(3):
            picture(tmp_path / domain / f"{i}.png")
        (tmp_path / f"{domain}.txt").write_text(f"{domain}/0.png 01\n{domain}/1.png 1\n{domain}/2.png 2\n")
    with pytest.raises(DalibError, match=r"a\.txt has the labels 01 and 1, which are one number; write it alike"):
        dalib.load_data("image_folder", tmp_path)
    for domain in "ab":
        (tmp_path / f"{domain}.txt").write_text(f"{domain}/0.png 00\n{domain}/1.png 01\n{domain}/2.png 10\n")
    assert dalib.load_data("image_folder", tmp_path).classes == ("00", "01", "10")


def shard(path: Path, labels: list[str], how: str = "cls") -> Path:
    with tarfile.open(path, "w") as tar:
        for i, label in enumerate(labels):
            x = io.BytesIO()
            np.save(x, np.full(2, i, np.float32))
            told = label.encode() if how == "cls" else json.dumps({"label": json.loads(label)}).encode()
            for name, content in ((f"{i}.npy", x.getvalue()), (f"{i}.{how}", told)):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["0", "2", "10"], ("0", "2", "10")),
        (["01", "1", "2"], ("01", "1", "2")),
        (["²", "2", "-"], ("-", "2", "²")),
    ],
)
def test_labels_of_a_tar_are_what_is_written(labels: list[str], classes: tuple[str, ...], tmp_path: Path) -> None:
    made = pack(arrays_of_webdataset([shard(tmp_path / "s.tar", labels)]), tmp_path / "f.npz")
    assert made.classes == classes


def test_shards_are_numbers_or_words_together(tmp_path: Path) -> None:
    paths = [shard(tmp_path / "s.tar", ["1", "2"]), shard(tmp_path / "t.tar", ["01", "2"])]
    assert pack(arrays_of_webdataset(paths), tmp_path / "f.npz").classes == ("01", "1", "2")


def test_numbers_that_are_written_alike_share_a_lookalike() -> None:
    for same in (["1", "01", "+1", "1.0", "1.", "1e0", "10e-1"], ["1000", "1e3"], ["-2", "-02", "-2.0"]):
        assert len({lookalike(name) for name in same}) == 1
    apart = ["1", "10", "-1", "a1", "1a", "0", "9007199254740993", "9007199254740992", "1e999", "1e9999999999", "nan"]
    assert len({lookalike(name) for name in apart}) == len(apart)


def test_fractions_are_numbers_however_they_are_written() -> None:
    [column] = settle_labels([pd.Series(["1", "2.5", "1e-3", None])])
    assert column.tolist()[:3] == [1, 2.5, 0.001] and column.isna().tolist() == [False, False, False, True]
    assert stack_labels([1, 2.5], "y").dtype == np.float64
