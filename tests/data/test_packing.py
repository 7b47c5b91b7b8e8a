"""Tables, .mat files and torch data sets become feature files that say the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, TensorDataset

import dalib
from dalib.core.errors import DalibError
from dalib.data.packing import arrays_of_datasets, arrays_of_frame, arrays_of_mat, arrays_of_tables, pack


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)).round(3), columns=["a", "b", "c"])
    frame["site"] = np.array(["lab", "field"])[np.arange(40) % 2]
    frame["kind"] = np.array(["mug", "pen"])[(np.arange(40) // 2) % 2]
    return frame


def test_a_frame_with_a_column_of_domains_is_read_back(tmp_path: Path) -> None:
    frame = _frame()
    pack(arrays_of_frame(frame, "site", "kind"), tmp_path / "f.npz")
    data = dalib.load_data(f"features:{tmp_path / 'f.npz'}")
    lab = data.domain("lab")
    assert data.classes == ("mug", "pen") and data.counts == {"lab": 20, "field": 20}
    own = frame[frame["site"] == "lab"]
    np.testing.assert_array_equal(lab.x, own[["a", "b", "c"]].to_numpy(np.float32))
    assert np.array(data.classes)[lab.labels].tolist() == own["kind"].tolist()


def test_files_of_tables_say_the_same_as_the_frame(tmp_path: Path) -> None:
    frame = _frame()
    frame.loc[frame["site"] == "field", "kind"] = None
    frame.to_csv(tmp_path / "all.csv", index=False)
    one = arrays_of_tables([tmp_path / "all.csv"], "site", "kind")
    for name, own in frame.groupby("site"):
        own.drop(columns="site").to_csv(tmp_path / f"{name}.tsv", index=False, sep="\t")
    several = arrays_of_tables([tmp_path / "lab.tsv", tmp_path / "field.tsv"], label="kind")
    for arrays in (one, several):
        assert sorted(arrays) == ["columns", "field_x", "lab_x", "lab_y"]
        for key, value in arrays_of_frame(frame, "site", "kind").items():
            np.testing.assert_array_equal(arrays[key], value)


@pytest.mark.parametrize("rows", [slice(None), slice(1, None, 2)])
def test_an_index_that_pandas_wrote_is_no_feature(rows: slice, tmp_path: Path) -> None:
    """Of rows that are sorted by class it would tell every label."""
    _frame().iloc[rows].to_csv(tmp_path / "all.csv")
    with pytest.raises(
        DalibError, match=r"the first column of .*all.csv has no heading and counts the rows from [01] on"
    ):
        arrays_of_tables([tmp_path / "all.csv"], "site", "kind")
    _frame().iloc[rows].to_csv(tmp_path / "all.csv", index_label="number")
    assert arrays_of_tables([tmp_path / "all.csv"], "site", "kind")["columns"].tolist() == ["number", "a", "b", "c"]


def test_a_parquet_table_says_the_same_as_the_frame(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="nothing here reads parquet files")
    frame = pd.DataFrame({"f": [1.5, 2.0, 3.0, 4.0], "y": ["a", "b", "a", None], "site": ["s", "s", "s", "t"]})
    frame.to_parquet(tmp_path / "t.parquet")
    made, same = arrays_of_tables([tmp_path / "t.parquet"], "site", "y"), arrays_of_frame(frame, "site", "y")
    assert list(made) == list(same) == ["columns", "s_x", "s_y", "t_x"]
    assert all(np.array_equal(made[key], same[key]) for key in same)


def test_words_are_encoded_on_demand_and_refused_otherwise() -> None:
    frame = _frame().assign(colour=["red", "blue"] * 20)
    with pytest.raises(DalibError, match="column 'colour' holds words"):
        arrays_of_frame(frame, "site", "kind")
    arrays = arrays_of_frame(frame, "site", "kind", one_hot=True)
    assert arrays["columns"].tolist() == ["a", "b", "c", "colour_blue", "colour_red"]
    np.testing.assert_array_equal(arrays["lab_x"][:, 3:].sum(1), 1)


FRAMES: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "no such column": (lambda f: f.drop(columns="site"), "no column 'site'; it has a, b, c, kind"),
    "an empty domain": (lambda f: f.assign(site=f["site"].where(f.index > 0)), "column 'site' is empty in 1 rows"),
    "some labels": (
        lambda f: f.assign(kind=f["kind"].where(f.index != 4)), "domain 'lab': 1 of 20 rows have no 'kind'",
    ),
    "a hole": (lambda f: f.assign(a=f["a"].where(f.index != 4)), "NaN"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", FRAMES)
def test_what_a_table_cannot_mean_is_refused_and_nothing_is_written(mistake: str, tmp_path: Path) -> None:
    change, words = FRAMES[mistake]
    with pytest.raises(DalibError, match=words):
        pack(arrays_of_frame(change(_frame()), "site", "kind"), tmp_path / "f.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("rows", "labels"), [("fts", "labels"), ("feas", "label"), ("X", "Y")])
def test_mat_files_of_the_field_are_read(rows: str, labels: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 5)), np.arange(12) % 3 + 1
    savemat(tmp_path / "amazon.mat", {rows: x, labels: y[:, None]})
    savemat(tmp_path / "webcam.mat", {rows: x.T * 2, labels: y[None].astype(float)})
    made = pack(arrays_of_mat([tmp_path / "amazon.mat", tmp_path / "webcam.mat"]), tmp_path / "f.npz")
    assert made.classes == ("1", "2", "3") and made.y["webcam"].tolist() == (y - 1).tolist()
    np.testing.assert_allclose(made.x["webcam"], 2 * x, rtol=1e-6)


def test_two_domains_in_one_mat_file_are_source_and_target(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(6, 8)), np.arange(8)[:, None] % 2 + 1
    savemat(tmp_path / "pair.mat", {"X_src": x, "Y_src": y, "X_tar": x + 1, "Y_tar": y})
    made = pack(arrays_of_mat([tmp_path / "pair.mat"]), tmp_path / "f.npz")
    np.testing.assert_allclose(made.x["target"], (x + 1).T, rtol=1e-6)


def test_files_of_one_name_do_not_take_each_others_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        savemat(tmp_path / folder / "books.mat", {"fts": np.zeros((3, 2)), "labels": [0, 1, 0]})
        savemat(
            tmp_path / folder / "pair.mat",
            {k: np.ones((2, 2)) for k in ("X_src", "X_tar")} | {"Y_src": [0, 1], "Y_tar": [0, 1]},
        )
        pd.DataFrame({"f": [1.0, 2.0], "y": [0, 1]}).to_csv(tmp_path / folder / "lab.csv", index=False)
    for name, words in {
        "books.mat": "another file has rows of 'books'",
        "pair.mat": "another file has rows of 'source'",
    }.items():
        with pytest.raises(DalibError, match=words):
            arrays_of_mat([tmp_path / "a" / name, tmp_path / "b" / name])
    with pytest.raises(DalibError, match="several tables are called 'lab'"):
        arrays_of_tables([tmp_path / "a" / "lab.csv", tmp_path / "b" / "lab.csv"], label="y")


def test_mat_files_that_say_nothing_known_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "odd.mat", {"data": np.zeros((3, 2))})
    (tmp_path / "text.mat").write_text("no matrix at all, but a text that is long enough to be looked at as one" * 9)
    for name, words in {"odd": "its names: data", "text": "cannot read .*text.mat", "gone": "no file"}.items():
        with pytest.raises(DalibError, match=words):
            arrays_of_mat([tmp_path / f"{name}.mat"])


class _Pictures(Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return Image.fromarray(np.full((4, 4), 40 * i, np.uint8)), i % 2


def test_torch_data_sets_and_loaders_are_rows(tmp_path: Path) -> None:
    x, y = torch.randn(7, 3), torch.arange(7) % 2
    tensors = TensorDataset(x, y)
    sources: dict[str, Any] = {"plain": tensors, "loaded": DataLoader(tensors, batch_size=3), "bare": list(x)}
    made = pack(arrays_of_datasets(sources), tmp_path / "f.npz")
    for name in sources:
        np.testing.assert_array_equal(made.x[name], x.numpy())
    assert set(made.y) == {"plain", "loaded"} and made.y["loaded"].tolist() == y.tolist()
    pictures = pack(
        arrays_of_datasets({"a": _Pictures(), "b": DataLoader(tensors)}) | {"b_x": np.zeros((7, 3, 4, 4), np.uint8)},
        tmp_path / "p.npz",
    )
    assert pictures.x["a"].shape == (6, 3, 4, 4) and pictures.x["a"].dtype == np.uint8
    with pytest.raises(DalibError, match=r"rows of shapes \(2,\) and \(3,\); resize"):
        arrays_of_datasets({"a": [np.zeros(2), np.zeros(3)]})


@pytest.mark.parametrize("kind", ["rows alone", "rows alone, loaded", "a loader that does not batch", "own batches"])
def test_data_sets_and_loaders_of_any_sort_give_the_same_rows(kind: str) -> None:
    x, y = torch.randn(7, 3), torch.arange(7) % 2
    pairs, bare = TensorDataset(x, y), TensorDataset(x)
    data: Any = {
        "rows alone": bare,
        "rows alone, loaded": DataLoader(bare, batch_size=3),
        "a loader that does not batch": DataLoader(pairs, batch_size=None),
        "own batches": DataLoader(pairs, batch_sampler=BatchSampler(range(7), 2, drop_last=False)),
    }[kind]
    made = arrays_of_datasets({"a": data})
    np.testing.assert_array_equal(made["a_x"], x.numpy())
    assert ("a_y" in made) == ("alone" not in kind) and made.get("a_y", y.numpy()).tolist() == y.tolist()


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([{"image": 1, "label": 0}], "item 0 is a dictionary of image, label; give a Dataset of pairs"),
        ([(np.ones(3), 0, "meta")], "item 0 has 3 parts; say which are row and label"),
        ([(np.ones(3), np.eye(2)[0])], r"a label of shape \(2,\) for 1 row; give one number or word per row"),
        ([(np.ones(3), np.ones(3))], "rows without labels alone, no pairs"),
        ([(np.ones(3), None), (np.ones(3), 1)], "1 of 2 rows have no label; give those a domain of their own"),
        (
            DataLoader(TensorDataset(torch.ones(5, 2), torch.ones(5)), 2, drop_last=True),
            "its loader drops the last batch",
        ),
        (DataLoader(TensorDataset(torch.ones(4, 2), torch.eye(4)), 2), r"a label of shape \(2, 4\) for 2 rows"),
    ],
)
def test_items_that_are_no_rows_with_a_label_are_refused(items: Any, words: str) -> None:
    with pytest.raises(DalibError, match=f"domain 'a'.*{words}"):
        arrays_of_datasets({"a": items})


def test_complex_numbers_dates_and_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "c.mat", {"fts": np.ones((3, 2)) + 1j, "labels": [0, 1, 0]})
    with pytest.raises(DalibError, match="the rows of 'c' are complex numbers"):
        arrays_of_mat([tmp_path / "c.mat"])
    with pytest.raises(DalibError, match="column 'f' holds complex numbers"):
        arrays_of_frame(pd.DataFrame({"f": [1 + 2j, 1], "site": ["a", "b"]}), "site")
    dates = pd.DataFrame({"f": pd.to_datetime(["2020-01-01", "2021-01-01"]), "site": ["a", "b"]})
    with pytest.raises(DalibError, match="column 'f' holds dates or times"):
        arrays_of_frame(dates, "site", one_hot=True)
    with pytest.raises(DalibError, match="several columns 'f'; rename all but one"):
        arrays_of_frame(pd.DataFrame([[1.0, 2, "a"], [1, 3, "b"]], columns=["f", "f", "site"]), "site")


def test_names_and_kinds_of_files_are_checked(tmp_path: Path) -> None:
    with pytest.raises(DalibError, match=r"call it f\.npz"):
        pack({}, tmp_path / "f.csv")
    _frame().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DalibError, match="say which column tells its domains"):
        arrays_of_tables([tmp_path / "a.csv"])
    _frame().drop(columns="b").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DalibError, match=r"b.csv and .*a.csv differ in the column 'b'"):
        arrays_of_tables([tmp_path / "a.csv", tmp_path / "b.csv"], label="kind")
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(DalibError, match=r"give \.csv, \.tsv, \.parquet or \.mat"):
        arrays_of_tables([tmp_path / "a.xlsx"], "site")


def test_a_mat_file_that_can_be_read_in_two_ways_or_holds_no_real_numbers_is_refused(tmp_path: Path) -> None:
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
    for content, words in (
        ({"fts": x, "X": x + 1, "labels": y}, "has fts and X, each of which may be meant"),
        ({"fts": x, "labels": y, "label": 1 - y}, "has labels and label, each of which may be meant"),
        ({"fts": x.astype(str), "labels": y}, r"has rows of <U.*; expected real numbers"),
        ({"fts": x + 1j, "labels": y}, "the rows of .a. are complex numbers; give real ones"),
    ):
        savemat(tmp_path / "a.mat", content)
        with pytest.raises(DalibError, match=words):
            arrays_of_mat([tmp_path / "a.mat"])


@pytest.mark.parametrize(
    "text", ["a,b,site,kind\n1,2,5,lab,pen\n3,4,5,lab,mug\n", "site,a,kind\nlab,1,5,pen\nlab,2,5,mug\n"]
)
def test_rows_that_are_wider_than_the_heading_are_refused(text: str, tmp_path: Path) -> None:
    """pandas takes their first cells for an index, so that every other cell moves by one column."""
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DalibError, match=r"rows of .*a.csv have more cells than its heading.* decimal comma"):
        arrays_of_tables([tmp_path / "a.csv"], "site", "kind")


def test_a_comma_at_the_end_of_rows_moves_no_cell(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,site,kind\n1,lab,pen,\n2,lab,mug,\n")
    made = arrays_of_tables([tmp_path / "a.csv"], "site", "kind")
    assert made["lab_x"].tolist() == [[1], [2]] and made["lab_y"].tolist() == ["pen", "mug"]


def test_labels_of_matlab_are_read_as_cells_padded_words_and_sparse_ones(tmp_path: Path) -> None:
    x, words = np.arange(6.0).reshape(3, 2), ["cat", "dog", "cat"]
    for y in (np.array(words, object)[:, None], np.array(["cat   ", "dog   ", "cat   "])):
        savemat(tmp_path / "a.mat", {"fts": x, "labels": y})
        assert arrays_of_mat([tmp_path / "a.mat"])["a_y"].tolist() == words
    savemat(tmp_path / "a.mat", {"fts": x, "labels": csc_matrix(np.array([[1], [0], [2]]))})
    assert arrays_of_mat([tmp_path / "a.mat"])["a_y"].tolist() == [1, 0, 2]
    times = 1.6e9 + np.arange(3.0)[:, None]
    savemat(tmp_path / "a.mat", {"fts": csc_matrix(times), "labels": [0, 1, 0]})
    np.testing.assert_array_equal(arrays_of_mat([tmp_path / "a.mat"])["a_x"], times)


class _Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter([(torch.full((2,), float(i)), i % 2) for i in range(5)])

    def __len__(self) -> int:
        return 5


@pytest.mark.parametrize("data", [_Stream(), DataLoader(_Stream(), 2)])
def test_a_stream_is_read_as_what_it_yields(data: Any) -> None:
    made = arrays_of_datasets({"a": data})
    assert made["a_x"][:, 0].tolist() == [0, 1, 2, 3, 4] and made["a_y"].tolist() == [0, 1, 0, 1, 0]


def test_pictures_and_transformed_pictures_are_not_mixed(tmp_path: Path) -> None:
    picture, scaled = Image.new("RGB", (4, 4), (200, 0, 0)), torch.rand(3, 4, 4)
    with pytest.raises(
        DalibError, match=r"domain 'a' has rows of uint8 .0 to 255. and of numbers with a decimal point"
    ):
        arrays_of_datasets({"a": [(picture, 0), (scaled, 1)]})
    made = arrays_of_datasets({"a": [(picture, 0), (picture, 1)], "b": [(scaled, 0), (scaled, 1)]})
    with pytest.raises(DalibError, match="rows of 'a' are uint8, 0 to 255, and those of 'b' have a decimal point"):
        pack(made, tmp_path / "f.npz")


def test_labels_that_are_dates_are_refused() -> None:
    frame = _frame().assign(kind=pd.date_range("2020-01-01", periods=40))
    with pytest.raises(DalibError, match=r"has labels of type Timestamp .*y.astype\(str\)"):
        arrays_of_frame(frame, "site", "kind")
