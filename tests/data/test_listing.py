"""What is read of a folder or an archive, and what is left out with a reason; nothing hangs, nothing is read twice."""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from dalib.core.errors import DalibError
from dalib.core.limits import amount_of
from dalib.data.folders import ImageTree
from dalib.data.listing import BROKEN, CLUTTER, LOOP, SPECIAL, UNKNOWN, Listing, is_image
from dalib.prediction import find_images
from tests.support.image_sets import TWO_DOMAINS, members, png, write_folder, write_zip

CONTENT = members(TWO_DOMAINS)


@pytest.mark.parametrize(
    "name", ["a.TIF", "a.tiff", "a.jfif", "a.GIF", "a.avif", "a.ppm", "a.pgm", "a.jp2", "a.tga", "a.ico", "a.jpe"]
)
def test_every_format_that_pillow_reads_is_an_image(name: str) -> None:
    assert is_image(name)


@pytest.mark.parametrize("name", ["a.heic", "a.mp4", "a.pdf", "a.eps", "a.h5", "a.npy", "a.dcm", "a", "a.svg"])
def test_what_pillow_cannot_read_is_left_out_with_the_reason(name: str, tmp_path: Path) -> None:
    listing = Listing(write_folder(tmp_path, {**CONTENT, f"photo/cat/{name}": b"x"}))
    assert len(listing.images) == 22
    tree = ImageTree(tmp_path)
    assert tree.left_out == {f"photo/cat/{name}": UNKNOWN}
    assert any("1 left out: no kind of image" in line for line in tree.describe())


@pytest.mark.parametrize("clutter", ["@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/1.jpg", "__MACOSX/1.jpg"])
def test_thumbnails_of_storage_systems_are_no_images_and_no_classes(clutter: str, tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, {**CONTENT, f"photo/cat/{clutter}": png(1), f"photo/{clutter}": png(2)}))
    assert tree.counts() == TWO_DOMAINS
    assert set(tree.left_out.values()) == {CLUTTER}


@pytest.mark.parametrize("to", ["..", ".", "../..", "../../.."])
def test_a_link_back_to_a_folder_around_it_is_not_followed(to: str, tmp_path: Path) -> None:
    write_folder(tmp_path / "root", CONTENT)
    (tmp_path / "root/photo/cat/again").symlink_to(to, target_is_directory=True)
    tree = ImageTree(tmp_path / "root")
    assert tree.counts() == TWO_DOMAINS and tree.left_out == {"photo/cat/again": LOOP}


def test_links_that_lead_to_each_other_end(tmp_path: Path) -> None:
    write_folder(tmp_path, CONTENT)
    (tmp_path / "photo/cat/x").symlink_to("../dog", target_is_directory=True)
    (tmp_path / "photo/dog/y").symlink_to("../cat", target_is_directory=True)
    tree = ImageTree(tmp_path)
    assert sorted(tree.left_out.values()) == [LOOP, LOOP]
    assert len(tree.files) == 22 + 5 + 6 and tree.levels()


def test_training_and_prediction_follow_the_same_links(tmp_path: Path) -> None:
    write_folder(tmp_path / "root", CONTENT)
    (tmp_path / "root/photo/cat").rename(tmp_path / "cat")
    (tmp_path / "root/photo/cat").symlink_to(tmp_path / "cat", target_is_directory=True)
    assert ImageTree(tmp_path / "root").counts() == TWO_DOMAINS
    assert len(find_images(tmp_path / "root/photo").names) == 11


def test_pipes_and_dangling_links_are_named_and_do_not_hang(tmp_path: Path) -> None:
    write_folder(tmp_path, CONTENT)
    os.mkfifo(tmp_path / "photo/cat/x.jpg")
    (tmp_path / "photo/dog/gone.png").symlink_to("/nowhere/x.png")
    tree = ImageTree(tmp_path)
    assert tree.counts() == TWO_DOMAINS
    assert tree.left_out == {"photo/cat/x.jpg": SPECIAL, "photo/dog/gone.png": BROKEN}
    assert find_images(tmp_path).left_out == tree.left_out
    with pytest.raises(DalibError, match="no ordinary file"):
        find_images(tmp_path / "photo/cat/x.jpg")


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    write_folder(tmp_path, CONTENT)
    (tmp_path / "photo/cat/000.png").rename(tmp_path / "photo/cat" / os.fsdecode(b"caf\xe9.png"))
    tree = ImageTree(tmp_path)
    assert len(tree.fingerprint()) == 64 and tree.counts() == TWO_DOMAINS
    assert ImageTree(tmp_path).fingerprint() == tree.fingerprint()


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_a_tar_is_read_as_the_folder_in_it(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path / "cache"))
    folder, path = write_folder(tmp_path / "root", CONTENT), tmp_path / f"set{ending}"
    with tarfile.open(path, f"w:{ending.rpartition('.')[2].replace('tgz', 'gz').replace('tar', '')}") as archive:
        archive.add(folder, "office")
    tree = ImageTree(path)
    assert tree.counts() == TWO_DOMAINS and tree.fingerprint() == ImageTree(folder).fingerprint()
    assert pickle.loads(pickle.dumps(tree)).read(tree.files[0].member) == CONTENT["photo/cat/000.png"]


def test_a_tar_writes_nothing_outside_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path / "cache"))
    folder = write_folder(tmp_path / "root", CONTENT)
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(folder, "office")
        archive.add(folder / "photo/cat/000.png", "../../../escaped.png")
    assert ImageTree(tmp_path / "set.tar").counts() == TWO_DOMAINS
    assert not list(tmp_path.rglob("escaped.png"))


def test_a_damaged_tar_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "set.tar.gz").write_bytes(b"no tar")
    with pytest.raises(DalibError, match="not a readable tar"):
        ImageTree(tmp_path / "set.tar.gz")


def test_a_zip_with_backslashes_is_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "w.zip", {k.replace("/", "\\"): v for k, v in CONTENT.items()})
    tree = ImageTree(path)
    assert tree.counts() == TWO_DOMAINS and tree.read("photo/cat/000.png") == CONTENT["photo/cat/000.png"]
    assert tree.fingerprint() == ImageTree(write_folder(tmp_path / "f", CONTENT)).fingerprint()
    assert len(find_images(path).names) == 22


def test_a_member_that_inflates_beyond_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("photo/cat/x.png", bytes(2_000_000))
    monkeypatch.setenv("DALIB_MAX_FILE", "1M")
    with pytest.raises(ValueError, match="DALIB_MAX_FILE"):
        Listing(path).read("photo/cat/x.png")
    monkeypatch.setenv("DALIB_MAX_FILE", "3M")
    assert len(Listing(path).read("photo/cat/x.png")) == 2_000_000


def test_an_amount_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("many", "-1", "0", "1 MBit"):
        monkeypatch.setenv("DALIB_MAX_FILE", text)
        with pytest.raises(DalibError, match="is no amount"):
            amount_of("DALIB_MAX_FILE", "1M")
