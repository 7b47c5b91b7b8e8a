"""Every layout that people have is read as the same domains, classes and files."""

from __future__ import annotations

import os
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.data import folders
from dalib.data.folders import ImageTree
from dalib.data.listing import UNKNOWN
from tests.support.image_sets import TWO_DOMAINS, members, png, write_folder, write_zip

CONTENT = members(TWO_DOMAINS)
LAYOUTS = {
    "plain": CONTENT,
    "images between": members(TWO_DOMAINS, "images/"),
    "wrapped": {f"office/{k}": v for k, v in CONTENT.items()},
    "wrapped and images between": {f"Original_images/{k}": v for k, v in members(TWO_DOMAINS, "images/").items()},
    "wrapped in a folder named images": {f"images/{k}": v for k, v in CONTENT.items()},
    "with rubbish": {
        **CONTENT,
        "__MACOSX/photo/cat/._000.png": b"x",
        ".git/photo/cat/000.png": b"x",
        "photo/cat/.hidden.png": b"x",
        "photo/cat/Thumbs.db": b"x",
        "photo/notes.txt": b"x",
        "README.png": png(99),
    },
}


@pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_every_layout_gives_the_same_tree(content: dict[str, bytes], write: object, tmp_path: Path) -> None:
    tree = ImageTree(write(tmp_path / "root.zip", content))  # type: ignore[operator]
    assert tree.counts() == TWO_DOMAINS
    assert [(f.domain, f.cls, f.name) for f in tree.files] == sorted(tuple(k.split("/")) for k in CONTENT)
    assert [tree.read(f.member) for f in tree.files] == [CONTENT[k] for k in sorted(CONTENT)]
    assert tree.fingerprint() == ImageTree(write_zip(tmp_path / "reference.zip", CONTENT)).fingerprint()


def test_suffixes_are_read_in_any_case_and_other_files_ignored(tmp_path: Path) -> None:
    names = ["a.JPG", "b.jpeg", "c.Png", "d.BMP", "e.webp", "f.gif", "g.TIFF", "h.jfif", "i.txt"]
    tree = ImageTree(write_folder(tmp_path, {f"d/c/{n}": b"x" for n in names}))
    assert [f.name for f in tree.files] == names[:8] and tree.left_out == {"d/c/i.txt": UNKNOWN}


def test_one_domain_with_one_class_needs_no_wrapping_folder(tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, {"photo/cat/1.png": b"x", "photo/cat/2.png": b"x"}))
    assert tree.counts() == {"photo": {"cat": 2}}


def test_folders_inside_a_class_belong_to_the_class(tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, {**CONTENT, "photo/cat/more/x.png": b"x"}))
    assert tree.counts()["photo"]["cat"] == 7 and "photo/cat/more/x.png" in [f.member for f in tree.files]


def test_empty_class_folders_and_strays_are_known(tmp_path: Path) -> None:
    write_folder(tmp_path, {**CONTENT, "photo/bird/readme.txt": b"x", "photo/lost.png": b"x"})
    tree = ImageTree(tmp_path)
    assert tree.empty == (("photo", "bird"),) and tree.strays == ("photo/lost.png",)
    assert tree.counts()["photo"] == {"bird": 0, "cat": 6, "dog": 5}


def test_a_fingerprint_follows_names_and_bytes_of_its_domains(tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, CONTENT))
    all_before, photo, sketch = tree.fingerprint(), tree.fingerprint("photo"), tree.fingerprint("sketch")
    assert ImageTree(tmp_path).fingerprint() == all_before and len({all_before, photo, sketch}) == 3
    path = tmp_path / "photo/cat/000.png"
    path.write_bytes(bytes(reversed(CONTENT["photo/cat/000.png"])))
    os.utime(path, ns=(1, 1))
    changed = ImageTree(tmp_path)
    assert changed.fingerprint("photo") != photo and changed.fingerprint("sketch") == sketch
    path.rename(path.with_name("renamed.png"))
    assert ImageTree(tmp_path).fingerprint("photo") not in (photo, changed.fingerprint("photo"))


def test_checksums_are_computed_once_per_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_RACY", 0)
    before = ImageTree(write_folder(tmp_path, CONTENT)).fingerprint()
    monkeypatch.setattr(ImageTree, "read", lambda self, member: pytest.fail(f"{member} was read again"))
    assert ImageTree(tmp_path).fingerprint() == before


def test_files_that_swap_places_change_the_fingerprint(tmp_path: Path) -> None:
    """`mv` keeps size and time, and the first reading remembers checksums."""
    write_folder(tmp_path, {f"d/{c}/{i}.bmp": f"{c}{i}".encode() for c in ("ant", "bee") for i in range(4)})
    files = sorted(tmp_path.rglob("*.bmp"))
    for path in files:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    before = ImageTree(tmp_path).fingerprint()
    for a, b in zip(files[:4], files[4:], strict=True):
        a.rename(tmp_path / "aside"), b.rename(a), (tmp_path / "aside").rename(b)
    assert ImageTree(tmp_path).fingerprint() != before


def test_a_file_written_over_with_its_old_size_and_time_is_seen(tmp_path: Path) -> None:
    write_folder(tmp_path, {"d/c/1.png": b"old", "d/c/2.png": b"two"})
    path = tmp_path / "d/c/1.png"
    before, stat = ImageTree(tmp_path).fingerprint(), path.stat()
    path.write_bytes(b"new")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert ImageTree(tmp_path).fingerprint() != before


def test_no_flip_in_the_remembered_checksums_changes_a_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(folders, "_RACY", 0)
    root = write_folder(tmp_path / "root", {"d/c/1.png": b"one", "d/c/2.png": b"two"})
    right, rng = ImageTree(root).fingerprint(), np.random.default_rng(0)
    (memo,) = (tmp_path / "cache").rglob("*.json")
    sound = memo.read_bytes()
    for _ in range(200):
        damaged = bytearray(sound)
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        memo.write_bytes(damaged)
        assert ImageTree(root).fingerprint() == right


def test_an_image_that_changes_after_its_checksum_is_refused_not_decoded_under_the_old_one(tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, {"d/c/1.png": b"one"}))
    assert tree.checksums
    (tmp_path / "d/c/1.png").write_bytes(b"two")
    with pytest.raises(DalibError, match="changed meanwhile"):
        tree.read_sound("d/c/1.png")


def test_a_zip_can_be_read_by_threads_and_by_a_forked_or_pickled_copy(tmp_path: Path) -> None:
    tree = ImageTree(write_zip(tmp_path / "root.zip", CONTENT))
    expected = [CONTENT[f.member] for f in tree.files]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(tree.read, [f.member for f in tree.files])) == expected
    copy = pickle.loads(pickle.dumps(tree))
    assert [copy.read(f.member) for f in copy.files] == expected
    child = os.fork()
    if child == 0:
        os._exit(0 if [tree.read(f.member) for f in tree.files] == expected else 1)
    assert [tree.read(f.member) for f in tree.files] == expected
    assert os.waitpid(child, 0)[1] == 0


def test_a_root_without_class_folders_says_what_is_expected(tmp_path: Path) -> None:
    write_folder(tmp_path / "flat", {"cat/1.png": b"x", "dog/1.png": b"x"})
    write_zip(tmp_path / "zips" / "a.zip", CONTENT)
    (tmp_path / "broken.zip").write_bytes(b"PK no")
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "nothing.zip", "w"):
        pass
    for name, words in {
        "flat": "give the folder above it",
        "zips": "it holds a.zip",
        "broken.zip": "not a readable zip",
        "empty": "domain/class/image.jpg",
        "nothing.zip": "domain/class/image.jpg",
        "absent": "no data at",
    }.items():
        with pytest.raises(DalibError, match=words):
            ImageTree(tmp_path / name)
