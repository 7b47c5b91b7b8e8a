"""Names and places that mean something elsewhere, and archives with something odd: read as they look, or one line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from dalib.core.errors import DalibError
from dalib.data.catalog import load_data
from dalib.data.folders import ImageTree
from dalib.data.verify import verify_root
from tests.support.image_sets import members, png, write_folder, write_zip

TWO = {"src": {"ant": 3, "bee": 3}, "tgt": {"ant": 3, "bee": 3}}


@pytest.mark.parametrize(
    ("domains", "classes"),
    [
        (("images", "tgt"), ("ant", "bee")),
        (("src", "tgt"), ("images", "ant")),
        (("ant", "bee"), ("ant", "bee")),
        (("a+b", "c->d"), ("1.0", "10.0", "2.0")),
        (("src", "tgt"), ("c", "c#", "c++")),
        (("train", "val"), ("ant", "bee")),
        (("src", "tgt"), ("unknown", "ant")),
    ],
)
def test_names_that_mean_something_elsewhere_are_names(
    domains: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path
) -> None:
    root = write_folder(tmp_path, members({d: dict.fromkeys(classes, 3) for d in domains}))
    data = load_data("image_folder", root)
    assert data.domains == tuple(sorted(domains)) and data.classes == tuple(sorted(classes))
    assert data.counts == dict.fromkeys(sorted(domains), 3 * len(classes))
    assert not verify_root(root)


def test_folders_below_images_are_classes_as_in_office31(tmp_path: Path) -> None:
    content = {f"{d}/images/{c}/{i}.png": png(k) for k, (d, c, i) in enumerate(_product())}
    assert load_data("image_folder", write_folder(tmp_path, content)).classes == ("left", "right")


def _product() -> list[tuple[str, str, str]]:
    return [(d, c, i) for d in ("src", "tgt") for c in ("left", "right") for i in "12"]


@pytest.mark.parametrize("start", ["/data/", "../x/", "./", "C:\\data\\"])
def test_members_with_a_path_around_them_are_read_and_nothing_is_written(start: str, tmp_path: Path) -> None:
    windows = "\\" in start
    content = {start + (name.replace("/", "\\") if windows else name): c for name, c in members(TWO).items()}
    root = write_zip(tmp_path / "a.zip", {})
    with zipfile.ZipFile(root, "w") as archive:
        for name, bytes_ in content.items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, bytes_)
    before = sorted(tmp_path.rglob("*"))
    data = load_data("image_folder", root)
    assert (data.domains, data.classes, len(data.domain("src", 4))) == (("src", "tgt"), ("ant", "bee"), 6)
    assert sorted(tmp_path.rglob("*")) == before


def _set_flag(path: Path) -> None:
    """Mark every member as encrypted."""
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = -1
        while (place := content.find(mark, place + 1)) >= 0:
            content[place + at] |= 1
    path.write_bytes(content)


def test_an_encrypted_a_cut_and_a_packed_zip_are_one_line(tmp_path: Path) -> None:
    content = {**members(TWO), "tgt/bee/other.png": png(91)}
    whole = write_zip(tmp_path / "whole.zip", content)
    locked = write_zip(tmp_path / "locked.zip", {**content, "src/ant/other.png": png(92)})
    _set_flag(locked)
    with pytest.raises(DalibError, match=r"cannot read image src/ant/000\.png .* is encrypted, password required"):
        load_data("image_folder", locked).domain("src", 5)
    (tmp_path / "cut.zip").write_bytes(whole.read_bytes()[:-400])
    nested = write_zip(tmp_path / "nested.zip", {"whole.zip": whole.read_bytes()})
    for path, words in ((tmp_path / "cut.zip", "not a readable zip"), (nested, r"it holds whole\.zip: unpack it")):
        with pytest.raises(DalibError, match=words):
            load_data("image_folder", path)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    root = write_zip(tmp_path / "a.zip", {**members(TWO), "src/bee/zz.png": png(93)})
    content = bytearray(root.read_bytes())
    content[content.find(b"IDAT") + 20] ^= 255
    root.write_bytes(content)
    with pytest.raises(DalibError, match=r"cannot read image src/ant/000\.png .*Bad CRC-32"):
        load_data("image_folder", root).domain("src", 5)


def test_one_picture_is_no_target(tmp_path: Path) -> None:
    root = write_folder(tmp_path, members(TWO))
    with pytest.raises(DalibError, match="is one picture; give a folder or an archive"):
        load_data("image_folder", root).with_target(str(root / "tgt/ant/000.png"))


def test_classes_are_counted_as_they_are_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path, members({"src": {"caf\u00e9": 2, "ant": 2}, "tgt": {"cafe\u0301": 2, "ant ": 2}}))
    assert ImageTree(root).describe()[0] == "read as domain/class/image: domains 2, class folders 2, images 8"
