"""Lists `path label` beside flat folders are read as domains; what they name and nobody has is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from dalib.core.errors import DalibError
from dalib.data.catalog import load_data
from dalib.data.folders import ImageTree
from dalib.data.lists import MISSING
from tests.support.image_sets import png, write_folder

FLAT = {f"{d}/{i:02d}.png": png(i + 100 * k) for k, d in enumerate(("src", "tgt")) for i in range(12)}


def listed(form: str) -> dict[str, bytes]:
    return {
        f"image_list/{d}{'_list' if d == 'tgt' else ''}.txt": "\n".join(
            form.format(d=d, i=i, k=i % 11) for i in range(12)
        ).encode()
        for d in ("src", "tgt")
    }


@pytest.mark.parametrize(
    "form",
    ["{d}/{i:02d}.png {k}", "./{d}/{i:02d}.png\t{k}", "/data/office/{d}/{i:02d}.png {k}", "{d}\\{i:02d}.png {k}",
     "{d}/{i:02d}.png,{k}", "../{d}/{i:02d}.png {k}"],
)  # fmt: skip
def test_lists_give_domains_and_labels(form: str, tmp_path: Path) -> None:
    data = load_data("image_folder", write_folder(tmp_path, {**FLAT, **listed(form)}))
    assert data.domains == ("src", "tgt") and data.counts == {"src": 12, "tgt": 12}
    assert data.classes == tuple(f"{k:02d}" for k in range(11))
    tgt = data.domain("tgt", 4)
    assert dict(zip(tgt.files, tgt.labels.tolist(), strict=True)) == {f"tgt/{i:02d}.png": i % 11 for i in range(12)}
    assert "lists of images (src, tgt)" in data.remarks[0]


def test_a_list_as_windows_writes_it_begins_with_its_first_image(tmp_path: Path) -> None:
    content = {name: b"\xef\xbb\xbf" + c.replace(b"\n", b"\r\n") for name, c in listed("{d}/{i:02d}.png {k}").items()}
    data = load_data("image_folder", write_folder(tmp_path, {**FLAT, **content}))
    assert data.counts == {"src": 12, "tgt": 12} and not any("left out" in line for line in data.remarks)


@pytest.mark.parametrize(
    "names", [("_train", "_test"), ("_train_kfold", "_crossval_kfold", "_test_kfold"), ("", "_test")]
)
def test_lists_that_split_a_domain_are_that_domain(names: tuple[str, ...], tmp_path: Path) -> None:
    lists = {
        f"splits/{d}{name}.txt": "\n".join(
            f"{d}/{i:02d}.png {i % 3 + 1}" for i in range(12) if i % len(names) >= k
        ).encode()
        for d in ("src", "tgt")
        for k, name in enumerate(names)
    }
    data = load_data("image_folder", write_folder(tmp_path, {**FLAT, **lists}))
    assert data.domains == ("src", "tgt") and data.counts == {"src": 12, "tgt": 12} and data.classes == ("1", "2", "3")
    joined = " + ".join(sorted(f"src{name}" for name in names))
    assert f"src = {joined}" in data.remarks[0]
    (tmp_path / f"splits/tgt{names[-1]}.txt").write_text("tgt/11.png 1\ntgt/10.png 2")
    with pytest.raises(DalibError, match=r"lists of 'tgt' differ: tgt/1[01]\.png has the label \d, and \d in tgt"):
        ImageTree(tmp_path)


def test_one_list_of_a_split_keeps_its_name_and_so_do_domains_called_train(tmp_path: Path) -> None:
    lines = {d: "\n".join(f"{d}/{i:02d}.png {i % 3}" for i in range(12)).encode() for d in ("src", "tgt")}
    root = write_folder(tmp_path, {**FLAT, "src_train.txt": lines["src"], "validation_list.txt": lines["tgt"]})
    assert load_data("image_folder", root).domains == ("src_train", "validation")


def test_images_that_are_named_and_not_there_are_told(tmp_path: Path) -> None:
    write_folder(tmp_path, {**FLAT, **listed("{d}/{i:02d}.png {k}")})
    (tmp_path / "tgt/03.png").unlink()
    tree = ImageTree(tmp_path)
    assert tree.left_out == {"tgt/03.png": MISSING} and len(tree.of_domain("tgt")) == 11


def test_a_text_that_is_no_list_is_none(tmp_path: Path) -> None:
    write_folder(tmp_path, {**FLAT, "README.txt": b"pictures of 3\nkinds, taken in 2019\nby hand"})
    with pytest.raises(DalibError, match="no images in class folders"):
        ImageTree(tmp_path)
