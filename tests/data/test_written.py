"""What is written of pictures has a file of its own, in the folder asked for, away from the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from dalib.core.errors import DalibError
from dalib.data.written import check_written, written_name


def test_names_keep_their_folder_and_lose_their_ending() -> None:
    assert str(written_name("a/b.c.png", ".boxes.jpg")) == "a/b.c.boxes.jpg"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/b.png", "c.png", "a/b.jpg"], r"a/b.png and a/b.jpg would both be written to a/b.boxes.jpg; rename"),
        (["../b.png"], "of ../b.png would lie outside"),
        (["/b.png"], "of /b.png would lie outside"),
    ],
)
def test_two_files_in_one_place_or_outside_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DalibError, match=message):
        check_written(names, ".boxes.jpg", tmp_path / "out", tmp_path / "data")


@pytest.mark.parametrize("inside", [".", "found", "a/found"])
def test_a_folder_among_the_pictures_is_refused(tmp_path: Path, inside: str) -> None:
    with pytest.raises(DalibError, match="would be taken for pictures the next time; give another folder"):
        check_written(["a.png"], ".png", tmp_path / inside, tmp_path)
    check_written(["a.png"], ".png", tmp_path.parent / "beside", tmp_path)
    check_written(["a.png"], ".png", tmp_path, tmp_path / "a.png")
