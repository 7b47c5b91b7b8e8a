"""What is read of a folder or an archive, and what is left out with a reason; nothing hangs, nothing is read twice."""

from __future__ import annotations

import errno
import gzip
import io
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from dalib.core.errors import DalibError
from dalib.core.limits import amount_of
from dalib.data.folders import ImageTree
from dalib.data.listing import CLUTTER, LOOP, UNKNOWN, Listing, is_image
from dalib.data.unlabelled import find_images
from dalib.data.unpacking import BROKEN, OUTSIDE, SPECIAL
from tests.support.image_sets import TWO_DOMAINS, members, png, write_folder, write_zip

CONTENT = members(TWO_DOMAINS)


@pytest.mark.parametrize(
    "name", ["a.TIF", "a.tiff", "a.jfif", "a.GIF", "a.avif", "a.ppm", "a.pgm", "a.jp2", "a.tga", "a.ico", "a.jpe"]
)
def test_every_format_that_pillow_reads_is_an_image(name: str) -> None:
    if name == "a.avif" and ".avif" not in Image.registered_extensions():
        pytest.skip("this Pillow reads no AVIF")
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


def test_a_file_is_the_archive_that_its_content_says(tmp_path: Path) -> None:
    content = members(TWO_DOMAINS)
    names = set(Listing(write_folder(tmp_path / "folder", content)).images)
    packed = write_zip(tmp_path / "a.zip", content)
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "folder", "")
    for source, name in ((packed, "zip_called.tar"), (tmp_path / "b.tar.gz", "tar_called.zip")):
        shutil.copy(source, tmp_path / name)
        listing = Listing(tmp_path / name)
        assert set(listing.images) == names
        assert listing.read(listing.images[0]) == content[listing.images[0]]


OTHERS = {
    "a.rar": (b"Rar!\x1a\x07\x00", "is a RAR archive; unpack it"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive; unpack it"),
    "a.tar.zst": (b"\x28\xb5\x2f\xfd", "is a Zstandard file; unpack it"),
    "a.gz": (gzip.compress(png(0)), "is a gzip file without a tar in it; unpack it"),
    "lfs.zip": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_kind_of_archive_is_called_what_it_is(name: str, tmp_path: Path) -> None:
    content, words = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DalibError, match=words):
        Listing(tmp_path / name)


def test_links_in_archives_are_followed_or_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/c/1.png", png(1))
        for name, to in {"d/e/up.png": "../c/1.png", "d/c/none.png": "2.png", "d/c/out.png": "/etc/passwd"}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, to)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind, to in (
            ("d/c/1.png", tarfile.REGTYPE, ""),
            ("d/e/up.png", tarfile.SYMTYPE, "../c/1.png"),
            ("d/e/hard.png", tarfile.LNKTYPE, "d/c/1.png"),
            ("d/c/none.png", tarfile.SYMTYPE, "2.png"),
            ("d/c/out.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("d/c/device.png", tarfile.CHRTYPE, ""),
            ("../x.png", tarfile.REGTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, to, len(png(1)) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(png(1)))
    zipped, tarred = Listing(tmp_path / "a.zip"), Listing(tmp_path / "a.tar")
    assert (zipped.images, tarred.images) == (["d/c/1.png", "d/e/up.png"], ["d/c/1.png", "d/e/hard.png", "d/e/up.png"])
    assert all(listing.read(name) == png(1) for listing in (zipped, tarred) for name in listing.images)
    assert zipped.left_out == {"d/c/none.png": BROKEN, "d/c/out.png": BROKEN}
    lost = {"d/c/none.png": BROKEN, "d/c/out.png": BROKEN, "d/c/device.png": SPECIAL, "../x.png": OUTSIDE}
    assert tarred.left_out == lost == Listing(tmp_path / "a.tar").left_out


def test_names_of_a_zip_that_keeps_silent_about_utf8_are_read_as_such(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", {"d/b\u00e9e/1.png": png(1)})
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for mark, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        content[content.find(mark) + at] &= ~8
    (tmp_path / "a.zip").write_bytes(content)
    listing = Listing(tmp_path / "a.zip")
    assert listing.images == ["d/b\u00e9e/1.png"] and listing.read(listing.images[0]) == png(1)


def test_a_zip_of_both_slashes_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("d/c/1.png", "d\\c\\2.png", "E:\\d\\c\\3.png"):
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, png(1))
    assert len(Listing(tmp_path / "a.zip").images) == 3


def test_a_full_disk_is_not_blamed_on_the_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(write_folder(tmp_path / "d", {"c/1.png": png(1)}), "d")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dalib.data.unpacking._write_members", full)
    with pytest.raises(OSError, match="No space left"):
        Listing(tmp_path / "a.tar")


def test_a_tar_whose_file_is_also_a_folder_is_one_line(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("d", "d/c/1.png"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(DalibError, match="within a file of that name"):
        Listing(tmp_path / "a.tar")


def test_hard_links_count_towards_what_a_tar_unpacks_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("d/c/0.png")
        info.size = 1000
        archive.addfile(info, io.BytesIO(b"x" * 1000))
        for k in range(1, 20):
            info = tarfile.TarInfo(f"d/c/{k}.png")
            info.type, info.linkname = tarfile.LNKTYPE, "d/c/0.png"
            archive.addfile(info)
    monkeypatch.setenv("DALIB_MAX_UNPACKED", "10K")
    with pytest.raises(DalibError, match="unpacks to more than DALIB_MAX_UNPACKED"):
        Listing(tmp_path / "a.tar")


def test_a_file_of_a_folder_has_its_own_size_and_no_more_than_the_limit_is_read(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.png").write_bytes(bytes(60_000))
    listing = Listing(tmp_path)
    assert listing.size("a.png") == 60_000 and len(listing.read("a.png")) == 60_000
    monkeypatch.setenv("DALIB_MAX_FILE", "50K")
    with pytest.raises(ValueError, match="DALIB_MAX_FILE"):
        listing.read("a.png")
