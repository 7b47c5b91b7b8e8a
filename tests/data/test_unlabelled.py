"""Images and rows to predict: found wherever they lie; of several domains one is named."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.core.rows import RowShape
from dalib.data.unlabelled import find_images, read_rows
from tests.support.worlds import draw_shape


def test_an_image_a_folder_and_a_zip_give_the_same_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        draw_shape("circle", "bright", 0).save(folder / name)
    (folder / "notes.heic").write_text("a picture that is not read")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as packed:
        for path in folder.iterdir():
            packed.write(path, path.name)
    for place in (folder, tmp_path / "photos.zip"):
        images = find_images(place)
        assert list(images.names) == ["a.png", "b.png"]
        assert images.read("a.png") == (folder / "a.png").read_bytes()
        assert list(images.left_out) == ["notes.heic"]
    assert list(find_images(folder / "a.png").names) == ["a.png"]
    with pytest.raises(DalibError, match="neither an image"):
        find_images(Path(__file__))


def test_names_that_were_stored_as_bytes_are_words(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.ones((2, 3)), names=np.array([b"r", "é".encode()]))
    assert list(read_rows(tmp_path / "rows.npz", "", None)[0]) == ["r", "é"]


def test_one_domain_of_a_feature_file_is_read_with_its_names(tmp_path: Path) -> None:
    path, x = tmp_path / "rows.npz", np.arange(12.0).reshape(4, 3)
    np.savez(path, old_x=x, old_y=np.arange(4), new_x=x[:2] + 1, new_names=np.array(["r", "s"]))
    names, rows = read_rows(path, "new", None)
    assert (list(names), rows.tolist()) == (["r", "s"], (x[:2] + 1).tolist())
    names, rows = read_rows(path, "old", None)
    assert (list(names), rows.tolist()) == (["0", "1", "2", "3"], x.tolist())
    with pytest.raises(DalibError, match="old_x, new_x; name one with --domain"):
        read_rows(path, "", None)
    with pytest.raises(DalibError, match="has no nwe_x; did you mean 'new'"):
        read_rows(path, "nwe", None)


def test_a_file_of_one_domain_needs_no_name(tmp_path: Path) -> None:
    x = np.arange(6.0).reshape(2, 3)
    for key in ("x", "only_x"):
        np.savez(tmp_path / "one.npz", **{key: x})
        assert read_rows(tmp_path / "one.npz", "", None)[1].tolist() == x.tolist()


def test_all_modalities_must_be_there(tmp_path: Path) -> None:
    shape = RowShape(fields={"colour": RowShape((3,)), "depth": RowShape((4,))})
    np.savez(tmp_path / "half.npz", x_colour=np.zeros((2, 3)))
    with pytest.raises(DalibError, match="has no x_depth"):
        read_rows(tmp_path / "half.npz", "", shape)
