"""What a path given in place of a data set's name is answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.data.recognise import find_declaration
from tests.support.image_sets import TWO_DOMAINS, members, write_folder, write_zip


def test_a_name_is_its_declaration_even_where_a_folder_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "office31").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_declaration("office31").name == "office31"
    assert find_declaration("features:rows.npz").name == "features"


def test_a_folder_an_archive_and_a_file_of_features_are_answered_with_what_reads_them(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "my photos", members(TWO_DOMAINS))
    archive = write_zip(tmp_path / "photos.zip", members(TWO_DOMAINS))
    rows = tmp_path / "rows.npz"
    np.savez(rows, a_x=np.zeros((2, 3)), a_y=np.arange(2))
    for path, remedy in {
        folder: f"image_folder --data-root '{folder}' (root=…)",
        archive: f"image_folder --data-root {archive} (root=…)",
        rows: f"features:{rows}",
    }.items():
        with pytest.raises(DalibError) as error:
            find_declaration(str(path))
        assert str(error.value) == f"'{path}' is a path, not the name of a dataset; give --dataset (dataset=…) {remedy}"


@pytest.mark.parametrize(("answers", "name"), [("masks/0001.png", "mask_folder"), ("labels/0001.txt", "box_folder")])
def test_pictures_with_masks_or_boxes_are_answered_so(answers: str, name: str, tmp_path: Path) -> None:
    for member in ("images/0001.png", answers):
        (tmp_path / "day" / member).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "day" / member).touch()
    with pytest.raises(DalibError, match=f"{name} --data-root"):
        find_declaration(str(tmp_path))


def test_any_other_file_is_to_be_packed(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(DalibError, match=r"is a file, not the name of a dataset; make an \.npz of it: dalib data pack"):
        find_declaration(str(table))


def test_what_is_neither_a_name_nor_a_path_is_unknown() -> None:
    with pytest.raises(DalibError, match="no dataset named 'ofice31'; did you mean 'office31'"):
        find_declaration("ofice31")
