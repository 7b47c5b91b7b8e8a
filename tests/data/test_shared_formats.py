"""Rows as others share them, packed as feature files: AdaTime, WebDataset, Hugging Face, WILDS."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dalib.core.errors import DalibError
from dalib.data.catalog import load_data
from dalib.data.decode import open_image
from dalib.data.file_kinds import arrays_of_files, pack_files
from dalib.data.hubs import arrays_of_hf, arrays_of_splits, arrays_of_wilds
from dalib.data.shared_formats import arrays_of_adatime, arrays_of_webdataset
from tests.support.image_sets import png

RNG = np.random.default_rng(0)


def test_adatimes_files_are_a_domain_each_with_training_and_test_windows_together(tmp_path: Path) -> None:
    x, y = torch.randn(6, 9, 20), torch.arange(6)
    torch.save({"samples": x[:4], "labels": y[:4]}, tmp_path / "train_2.pt")
    torch.save({"samples": x[4:], "labels": y[4:]}, tmp_path / "test_2.pt")
    torch.save({"samples": x.transpose(1, 2), "labels": y.float()}, tmp_path / "train_11.pt")
    made = arrays_of_adatime(tmp_path)
    assert list(made) == ["2_x", "2_y", "11_x", "11_y"]
    np.testing.assert_array_equal(made["2_x"], x.numpy())
    np.testing.assert_array_equal(made["11_x"], x.numpy())
    packed = pack_files([tmp_path], tmp_path / "har.npz")
    assert packed.labelled == {"2": 6, "11": 6}
    data = load_data("har", tmp_path / "har.npz")
    assert data.classes[:2] == ("walk", "upstairs") and data.domain("11").x.shape == (6, 9, 20)
    assert any("report macro_f1" in line for line in data.remarks)


def test_windows_of_one_channel_and_numpy_arrays_are_read_too(tmp_path: Path) -> None:
    x = RNG.normal(size=(4, 30))
    torch.save({"samples": torch.as_tensor(x), "labels": torch.tensor([0, 1, 0, 1])}, tmp_path / "train_0.pt")
    np.testing.assert_allclose(arrays_of_adatime(tmp_path)["0_x"], x[:, None], rtol=1e-6)
    if hasattr(torch.serialization, "safe_globals"):
        torch.save({"samples": x, "labels": np.array([0, 1, 0, 1])}, tmp_path / "train_0.pt")
        np.testing.assert_allclose(arrays_of_adatime(tmp_path)["0_x"], x[:, None], rtol=1e-6)


def test_a_file_that_would_run_code_or_is_something_else_is_one_line(tmp_path: Path) -> None:
    torch.save({"samples": SimpleNamespace(), "labels": 1}, tmp_path / "train_0.pt")
    with pytest.raises(DalibError, match=r'train_0\.pt is not \{"samples": tensor'):
        arrays_of_adatime(tmp_path)
    with pytest.raises(DalibError, match="holds no train_0"):
        arrays_of_adatime(tmp_path / "nothing")
    (tmp_path / "other").mkdir()
    with pytest.raises(DalibError, match="is a folder of neither"):
        arrays_of_files([tmp_path / "other"])


def _tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_a_webdataset_is_read_sample_by_sample(tmp_path: Path) -> None:
    members: dict[str, bytes] = {}
    for i in range(4):
        members |= {f"a/{i:03d}.png": png(i, 6 + i), f"a/{i:03d}.cls": str(i % 2).encode()}
    first = _tar(tmp_path / "photo-000000.tar", members)
    notes = [json.dumps({"label": f"c{i % 2}", "domain": "sketch"}).encode() for i in range(4)]
    second = _tar(
        tmp_path / "more.tar", {f"{i}.{k}": v for i in range(4) for k, v in (("png", png(i, 8)), ("json", notes[i]))}
    )
    made = arrays_of_webdataset(first, resize=8)
    assert made["photo_x"].shape == (4, 3, 8, 8) and made["photo_y"].tolist() == [0, 1, 0, 1]
    exact = np.asarray(Image.open(io.BytesIO(png(2, 8)))).transpose(2, 0, 1)
    np.testing.assert_array_equal(made["photo_x"][2], exact)
    assert arrays_of_webdataset(second)["sketch_y"].tolist() == ["c0", "c1", "c0", "c1"]
    with pytest.raises(DalibError, match=r"rows of shapes .* give --resize N"):
        arrays_of_webdataset(first)


def test_rows_of_numbers_missing_labels_and_damage_in_a_webdataset(tmp_path: Path) -> None:
    row = io.BytesIO()
    np.save(row, np.arange(5.0))
    bare = _tar(tmp_path / "bare.tar", {"0.npy": row.getvalue(), "1.npy": row.getvalue()})
    assert list(arrays_of_webdataset(bare)) == ["bare_x"]
    half = _tar(tmp_path / "half.tar", {"0.npy": row.getvalue(), "0.cls": b"1", "1.npy": row.getvalue()})
    with pytest.raises(DalibError, match="1 of 2 samples have no label"):
        arrays_of_webdataset(half)
    with pytest.raises(DalibError, match="0: cannot be read"):
        arrays_of_webdataset(_tar(tmp_path / "odd.tar", {"0.png": b"no picture"}))
    with pytest.raises(DalibError, match="has neither a picture"):
        arrays_of_webdataset(_tar(tmp_path / "text.tar", {"0.txt": b"word"}))
    (tmp_path / "broken.tar").write_bytes(b"x" * 700)
    with pytest.raises(DalibError, match="as a tar"):
        arrays_of_webdataset(tmp_path / "broken.tar")


def test_shards_of_one_domain_are_that_domain_together(tmp_path: Path) -> None:
    for shard in range(3):
        members: dict[str, bytes] = {}
        for i in range(2):
            members |= {f"{i}.png": png(10 * shard + i, 4), f"{i}.cls": str(shard).encode()}
        _tar(tmp_path / f"photo-{shard:06d}.tar", members)
    _tar(tmp_path / "sketch.tar", {"0.png": png(90, 4), "0.cls": b"2"})
    files = [*sorted(tmp_path.glob("photo-*.tar")), tmp_path / "sketch.tar"]
    made = arrays_of_files(files)
    assert made["photo_y"].tolist() == [0, 0, 1, 1, 2, 2] and made["photo_x"].shape == (6, 3, 4, 4)
    assert made["sketch_y"].tolist() == [2] and len(np.unique(made["photo_x"].reshape(6, -1), axis=0)) == 6
    _tar(tmp_path / "photo-000003.tar", {"0.png": png(91, 4)})
    with pytest.raises(DalibError, match="domain 'photo': 1 of 7 samples have no label"):
        arrays_of_files([*files, tmp_path / "photo-000003.tar"])


@pytest.mark.parametrize("notes", [{"cls": b"\xff\xfe"}, {"json": b"{"}, {"json": b"[1]"}])
def test_notes_of_a_sample_that_cannot_be_read_are_one_line(notes: dict[str, bytes], tmp_path: Path) -> None:
    members = {"7.png": png(0, 4), **{f"7.{kind}": content for kind, content in notes.items()}}
    with pytest.raises(
        DalibError, match=r"a\.tar, 7: its \.cls is no text or its \.json no object .* leave that sample out"
    ):
        arrays_of_webdataset(_tar(tmp_path / "a.tar", members))


def _npy(x: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, x)
    return content.getvalue()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"0.jpg": png(0, 4), "0.png": png(1, 4)}, r"0 has both \.jpg and \.png; keep the one that is the row"),
        ({"0.png": png(0, 4), "0.npy": _npy(np.ones(3))}, r"0 has both \.png and \.npy"),
        ({"0.png": png(0, 4), "0.json": b'{"label": [0, 1]}'}, r"0: its label is \[0, 1\]; give one number or word"),
        ({"0.png": png(0, 4), "0.cls": b"3", "0.json": b'{"label": 4}'}, r"label 3 in its \.cls and 4 in its \.json"),
    ],
)
def test_a_sample_that_can_be_read_in_two_ways_is_refused(
    members: dict[str, bytes], words: str, tmp_path: Path
) -> None:
    with pytest.raises(DalibError, match=words):
        arrays_of_webdataset(_tar(tmp_path / "a.tar", members))


def test_a_member_that_comes_twice_is_refused_and_what_systems_add_is_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in (("._0.png", b"no"), ("__MACOSX/0.png", b"no"), ("0.png", png(1, 4)), ("0.cls", b"1")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert arrays_of_webdataset(tmp_path / "a.tar")["a_y"].tolist() == [1]
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        info = tarfile.TarInfo("0.png")
        info.size = len(png(2, 4))
        tar.addfile(info, io.BytesIO(png(2, 4)))
    with pytest.raises(DalibError, match=r"0 has two members \.png; keep one of them"):
        arrays_of_webdataset(tmp_path / "a.tar")


def test_numbers_of_json_and_cls_are_one_label(tmp_path: Path) -> None:
    members = {"0.png": png(0, 4), "0.json": b'{"label": 1.0}', "1.png": png(1, 4), "1.cls": b"1"}
    assert arrays_of_webdataset(_tar(tmp_path / "a.tar", members))["a_y"].tolist() == [1, 1]
    named = {"0.png": png(0, 4), "0.cls": b"3", "0.json": b'{"label": "cat"}'}
    assert arrays_of_webdataset(_tar(tmp_path / "a.tar", named))["a_y"].tolist() == [3]


def test_pictures_of_a_tar_are_those_of_a_folder(tmp_path: Path) -> None:
    """16 bits were cut off at 255, and a turned picture was read as it is stored."""
    deep, turned = Image.fromarray(np.arange(24, dtype=np.uint16).reshape(6, 4) * 2700), Image.new("RGB", (6, 4))
    turned.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[274] = 6
    files = {}
    for name, picture in (("0", deep), ("1", turned)):
        content = io.BytesIO()
        picture.save(content, "PNG", exif=exif if name == "1" else b"")
        files[name] = content.getvalue()
    made = arrays_of_webdataset(_tar(tmp_path / "a.tar", {f"{k}.png": v for k, v in files.items()}))
    for i, content in enumerate(files.values()):
        np.testing.assert_array_equal(made["a_x"][i], np.asarray(open_image(content)).transpose(2, 0, 1))
    assert 100 < made["a_x"][0].mean() < 150 and made["a_x"][1, 0, 0, 3] == 255


def test_a_tar_that_grows_and_a_picture_of_too_many_pixels_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DALIB_MAX_FILE", "1M")
    zeros = _npy(np.zeros(100_000))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for i in range(5):
            info = tarfile.TarInfo(f"{i}.npy")
            info.size = len(zeros)
            tar.addfile(info, io.BytesIO(zeros))
    with pytest.raises(DalibError, match="would unpack to more than 1 MB"):
        arrays_of_webdataset(tmp_path / "a.tar.gz")
    monkeypatch.setenv("DALIB_MAX_PIXELS", "10")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    with pytest.raises(DalibError, match="4 x 4 pixels; an image may have 10"):
        arrays_of_webdataset(_tar(tmp_path / "b.tar", {"0.png": png(0, 4)}), resize=2)


class _Table(list):  # type: ignore[type-arg]
    """The part of `datasets.Dataset` that is used: rows, column_names, features."""

    def __init__(self, rows: list[dict[str, Any]], features: dict[str, Any]) -> None:
        super().__init__(rows)
        self.features, self.column_names = features, list(features)


class Image_(SimpleNamespace):
    pass


Image_.__name__ = "Image"


def test_columns_of_a_hub_set_become_domains_labels_and_pictures() -> None:
    pictures = [Image.open(io.BytesIO(png(i, 6))) for i in range(4)]
    rows = [{"image": p, "label": i % 2, "site": "ab"[i // 2]} for i, p in enumerate(pictures)]
    features = {"image": Image_(), "label": SimpleNamespace(names=["cat", "dog"]), "site": SimpleNamespace()}
    made = arrays_of_splits({"train": _Table(rows, features)}, "hf:x", "site", "label", "", 6)
    assert made["a_y"].tolist() == ["cat", "dog"] and made["b_x"].shape == (2, 3, 6, 6)
    by_split = arrays_of_splits({"train": _Table(rows, features)}, "hf:x", "", "", "", 6)
    assert list(by_split) == ["train_x"]
    with pytest.raises(DalibError, match="has no column 'place'; it has image, label, site"):
        arrays_of_splits(_Table(rows, features), "hf:x", "place", "", "", 6)
    with pytest.raises(DalibError, match=r"several columns of images \(image, mask\)"):
        arrays_of_splits(_Table(rows, {**features, "mask": Image_()}), "hf:x", "", "", "", 6)


@pytest.mark.parametrize(
    ("row", "image", "words"),
    [
        (
            {"x": "word", "y": 0, "d": "a"},
            "",
            r"row 1 of data: no numbers in one of x \(could not convert .*; encode words",
        ),
        ({"x": "0017", "y": 0, "d": "a"}, "", "row 1 of data: no numbers in one of x"),
        ({"x": None, "y": 0, "d": "a"}, "x", "row 1 of data: no picture in 'x'"),
        ({"x": 1.0, "y": 0, "d": None}, "", "row 1 of data: no domain in 'd'; every row has one"),
    ],
)
def test_a_row_of_a_hub_set_that_cannot_be_read_is_named(row: dict[str, Any], image: str, words: str) -> None:
    good = {"x": Image.open(io.BytesIO(png(0, 4))) if image else 2.0, "y": 1, "d": "a"}
    table = _Table([good, row], {name: SimpleNamespace() for name in row})
    with pytest.raises(DalibError, match=f"hf:x, {words}"):
        arrays_of_splits(table, "hf:x", "d", "y", image, 0)


def test_a_class_of_minus_one_is_no_label_and_not_the_last_class() -> None:
    """A hub's test split without labels holds -1 throughout, and names[-1] is a class."""
    rows = [{"x": float(i), "y": -1 if i > 1 else i, "d": "ab"[i // 2]} for i in range(4)]
    features = {"x": SimpleNamespace(), "y": SimpleNamespace(names=["cat", "dog"]), "d": SimpleNamespace()}
    made = arrays_of_splits(_Table(rows, features), "hf:x", "d", "y", "", 0)
    assert made["a_y"].tolist() == ["cat", "dog"] and "b_y" not in made


def test_a_second_column_of_classes_is_no_feature() -> None:
    """The coarse label of a row would tell its fine one."""
    rows = [{"f": float(i), "fine": i % 2, "coarse": i % 2, "d": "ab"[i // 2]} for i in range(4)]
    features = {name: SimpleNamespace() for name in rows[0]} | {"coarse": SimpleNamespace(names=["u", "v"])}
    with pytest.raises(DalibError, match="column 'coarse' holds classes, whose numbers would be a feature"):
        arrays_of_splits(_Table(rows, features), "hf:x", "d", "fine", "", 0)
    del features["coarse"]
    assert arrays_of_splits(_Table(rows, features), "hf:x", "d", "fine", "", 0)["a_x"].tolist() == [[0], [1]]


def test_local_parquet_is_read_through_the_package(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the package datasets (extra hf) is not installed")
    table = {"f": RNG.normal(size=(6, 3)).tolist(), "g": list(range(6)), "y": [0, 1] * 3, "site": ["a"] * 3 + ["b"] * 3}
    datasets.Dataset.from_dict(table).to_parquet(str(tmp_path / "one.parquet"))
    made = arrays_of_hf(f"hf:{tmp_path / 'one.parquet'}", "site", "y")
    np.testing.assert_allclose(made["b_x"][0], [*table["f"][3], 3], rtol=1e-6)
    packed = pack_files([f"hf:{tmp_path}"], tmp_path / "out.npz", "site", "y")
    assert packed.labelled == {"a": 3, "b": 3}
    with pytest.raises(DalibError, match="cannot load hf:"):
        arrays_of_hf(f"hf:{tmp_path / 'nothing' / 'here'}")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(
        DalibError, match=r"hf:owner/name@1 needs the package datasets; pip install 'dalib-toolkit\[hf\]'"
    ):
        arrays_of_files(["hf:owner/name@1"])
    with pytest.raises(DalibError, match="is a data set by itself"):
        arrays_of_files(["hf:owner/name@1", "b.csv"])
    with pytest.raises(DalibError, match="files of one kind at once, not mat and table"):
        arrays_of_files(["a.mat", "b.csv"])


def test_a_wilds_set_is_cut_by_its_metadata() -> None:
    rows = [Image.open(io.BytesIO(png(i, 6))) for i in range(6)]
    dataset = SimpleNamespace(
        metadata_fields=["hospital", "slide"],
        metadata_array=torch.tensor([[0, 1], [0, 1], [1, 2], [1, 2], [1, 3], [1, 3]]),
        y_array=torch.tensor([0, 1, 0, 1, 0, 1]), get_input=lambda i: rows[i], metadata_map=None,
    )  # fmt: skip
    made = arrays_of_wilds(dataset, "hospital", most=2)
    assert np.array_equal(made["hospital_1_x"][1], np.asarray(rows[5]).transpose(2, 0, 1)), (
        "evenly spaced, not the first"
    )
    assert made["hospital_1_y"].tolist() == [0, 1] and made["hospital_0_x"].shape == (2, 3, 6, 6)
    dataset.metadata_map = {"hospital": ["north", "south"]}
    assert "south_x" in arrays_of_wilds(dataset, "hospital")
    with pytest.raises(DalibError, match="has no metadata 'region'; it has hospital, slide"):
        arrays_of_wilds(dataset, "region")
