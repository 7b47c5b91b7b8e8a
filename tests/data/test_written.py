"""What is written of pictures has a file of its own, in the folder asked for, away from the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dalib.core.errors import DalibError
from dalib.data.written import check_written, write_jpeg, written_name


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
    check_written(["a.jpg"], ".png", tmp_path, tmp_path / "a.jpg")


def test_the_only_picture_is_not_written_over(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "link"):
        with pytest.raises(DalibError, match=r"what is written of a.png would replace the picture"):
            check_written(["a.png"], ".png", folder, tmp_path / "a.png")
    check_written(["a.png"], ".boxes.jpg", tmp_path, tmp_path / "a.png")
    with pytest.raises(DalibError, match=r"a.png is no folder"):
        check_written(["a.png"], ".boxes.jpg", tmp_path / "a.png", tmp_path / "a.png")
    check_written(["a.png"], ".png", tmp_path / "masks", tmp_path / "a.png")


@pytest.mark.parametrize(
    ("size", "written"),
    [((40, 30), (40, 30)), ((65_500, 2), (65_500, 2)), ((131_000, 4), (65_500, 2)), ((1, 70_000), (1, 65_500))],
)
def test_a_picture_beyond_what_a_jpeg_holds_is_written_smaller(
    size: tuple[int, int], written: tuple[int, int], tmp_path: Path
) -> None:
    write_jpeg(Image.new("RGB", size), tmp_path / "out" / "a.jpg", 90)
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert image.size == written
