"""Images that cannot be read: refused with the remedy, skipped where that is asked, and counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dalib.core.errors import DalibError
from dalib.data import unreadable
from dalib.data.cache import cache_root
from dalib.data.catalog import load_data
from dalib.data.folders import ImageTree
from dalib.data.unreadable import find_unreadable, skip_unreadable
from dalib.data.verify import SKIPPED
from dalib.verification import verify
from tests.support.image_sets import members, png, write_folder, write_zip

COUNTS = {"src": {"ant": 4, "bee": 4}, "tgt": {"ant": 4, "bee": 4}}
DAMAGE = {
    "src/ant/001.png": b"",
    "src/bee/zz.jpg": b"<html>no picture</html>",
    "tgt/bee/003.png": png(7, 40)[:900],
}


def damaged(root: Path, write: object = write_folder) -> Path:
    return write(root, members(COUNTS) | DAMAGE)  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize(("write", "name"), [(write_folder, "in"), (write_zip, "in.zip")])
def test_what_cannot_be_read_is_skipped_where_that_is_asked_and_counted(
    write: object, name: str, tmp_path: Path
) -> None:
    root = damaged(tmp_path / name, write)
    with pytest.raises(DalibError, match=r"--skip-unreadable \(skip_unreadable=True\) leaves them out"):
        load_data("image_folder", root).domain("src", 8)
    data = load_data("image_folder", root, skip_unreadable=True)
    assert data.counts == {"src": 7, "tgt": 7}
    assert (data.partial, data.note) == (True, "3 unreadable images skipped (src 2, tgt 1)")
    assert [len(data.domain(d, 8)) for d in data.domains] == [7, 7]
    assert "skipped tgt/bee/003.png: image file is truncated" in data.remarks


def test_the_fingerprint_is_that_of_the_images_that_are_used(tmp_path: Path) -> None:
    whole = load_data("image_folder", write_folder(tmp_path / "a", members(COUNTS)), skip_unreadable=True)
    assert (whole.partial, whole.note) == (False, "")
    more = write_folder(tmp_path / "b", members(COUNTS) | {"src/bee/zz.jpg": b"<html>"})
    assert load_data("image_folder", more, skip_unreadable=True).fingerprint == whole.fingerprint
    assert load_data("image_folder", more).fingerprint != whole.fingerprint


def test_an_unlabelled_target_is_skipped_through_too(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", members({"src": COUNTS["src"]}))
    write_folder(tmp_path, {"new/1.png": png(1), "new/2.png": b"no", "new/deep/3.png": png(3)})
    data = load_data("image_folder", root, skip_unreadable=True).with_target(str(tmp_path / "new"))
    assert data.unlabelled == {str(tmp_path / "new"): 2} and "1 unreadable images skipped" in data.note
    assert len(data.domain(str(tmp_path / "new"), 8)) == 2
    beside = write_folder(root, {"flat/1.png": png(1), "flat/2.png": b"no"})
    assert load_data("image_folder", beside, skip_unreadable=True).unlabelled == {"flat": 1}


def test_a_class_of_which_nothing_can_be_read_is_not_skipped(tmp_path: Path) -> None:
    bad = {f"tgt/bee/{i:03d}.png": b"no" for i in range(4)}
    with pytest.raises(DalibError, match="none of the 4 images of tgt/bee"):
        load_data("image_folder", write_folder(tmp_path, members(COUNTS) | bad), skip_unreadable=True)


def test_each_image_is_tried_once_and_a_damaged_memo_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = ImageTree(damaged(tmp_path))
    found = find_unreadable(tree)
    assert sorted(found) == sorted(DAMAGE)
    monkeypatch.setattr(unreadable, "decode_image", lambda content, side: pytest.fail("decoded again"))
    assert find_unreadable(tree) == found
    monkeypatch.undo()
    for memo in (cache_root() / "unreadable").iterdir():
        memo.write_bytes(memo.read_bytes().replace(b"png", b"jpg"))
    assert find_unreadable(tree) == found
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # dalib sets it, for tests after this too
    monkeypatch.setenv("DALIB_MAX_PIXELS", "100")
    assert len(find_unreadable(tree)) == 17  # every image is larger than that


def test_running_out_of_memory_is_no_fault_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(content: bytes, side: int) -> None:
        raise MemoryError

    monkeypatch.setattr(unreadable, "decode_image", decode)
    tree = ImageTree(write_folder(tmp_path, {**members(COUNTS), "src/ant/other.png": png(99)}))
    with pytest.raises(MemoryError):
        skip_unreadable(tree)


def test_rows_in_arrays_have_nothing_to_skip(tmp_path: Path) -> None:
    with pytest.raises(DalibError, match="skip_unreadable is for image files only"):
        load_data("features:x.npz", tmp_path, skip_unreadable=True)


def test_verify_names_them_as_skipped(tmp_path: Path) -> None:
    found = verify(damaged(tmp_path), skip_unreadable=True)
    assert [f.kind for f in found] == [SKIPPED] * 3
    assert {f.kind for f in verify(tmp_path)} == {"unreadable", "empty"}
