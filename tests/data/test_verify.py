"""`verify_root` finds what was broken on purpose and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dalib.core.errors import DalibError
from dalib.data.suspects import describe_images, find_suspects
from dalib.data.verify import KINDS, Finding, verify_root
from tests.support.image_sets import TWO_DOMAINS, encode, members, png, write_folder, write_zip

CLEAN = members(TWO_DOMAINS)
CAT = CLEAN["photo/cat/000.png"]
PHOTO = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), "JPEG")

FAULTS = {
    "text": ("photo/cat/x.jpg", b"not an image", "unreadable", "photo", "cat"),
    "truncated": ("photo/cat/x.jpg", PHOTO[: len(PHOTO) // 2], "unreadable", "photo", "cat"),
    "no bytes": ("sketch/dog/x.jpg", b"", "empty", "sketch", "dog"),
    "tiny": ("photo/dog/x.png", png(77, side=7), "tiny", "photo", "dog"),
    "outside": ("photo/x.png", png(77), "stray", "", ""),
    "same class": ("photo/cat/x.png", CAT, "duplicate", "photo", "cat"),
    "other domain": ("sketch/cat/x.png", CAT, "duplicate across domains", "sketch", "cat"),
    "other class": ("photo/dog/x.png", CAT, "duplicate across classes", "photo", "dog"),
    "other class and domain": ("sketch/dog/x.png", CAT, "duplicate across classes", "sketch", "dog"),
}


def serious(findings: list[Finding]) -> list[Finding]:
    """Random pixels have no class, so guesses about labels mean nothing here."""
    return [f for f in findings if f.kind != "looks mislabelled"]


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_a_clean_root_has_no_findings(write: object, tmp_path: Path) -> None:
    assert serious(verify_root(write(tmp_path / "r.zip", CLEAN))) == []  # type: ignore[operator]


@pytest.mark.parametrize("write", [write_folder, write_zip])
@pytest.mark.parametrize(("file", "content", "kind", "domain", "cls"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_found_and_named(
    file: str, content: bytes, kind: str, domain: str, cls: str, write: object, tmp_path: Path
) -> None:
    root = write(tmp_path / "r.zip", {**CLEAN, file: content})  # type: ignore[operator]
    (finding,) = serious(verify_root(root))
    assert (finding.kind, finding.domain, finding.cls, finding.file) == (kind, domain, cls, file)
    assert finding.kind in KINDS and finding.detail
    if "duplicate" in kind:
        assert "photo/cat/000.png" in finding.detail


def test_an_empty_class_folder_is_found(tmp_path: Path) -> None:
    root = write_folder(tmp_path, CLEAN)
    (root / "photo" / "bird").mkdir()
    assert [(f.kind, f.domain, f.cls) for f in serious(verify_root(root))] == [("empty", "photo", "bird")]


def test_a_damaged_zip_member_is_unreadable_not_a_crash(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "r.zip", CLEAN)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("photo/dog/002.png")
    raw = bytearray(path.read_bytes())
    raw[info.header_offset + 200] ^= 255
    path.write_bytes(bytes(raw))
    (finding,) = serious(verify_root(path))
    assert (finding.kind, finding.file) == ("unreadable", "photo/dog/002.png")


def test_a_declared_data_set_is_compared_with_its_declaration(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", members({"amazon": {"mug": 2}, "webcam": {"mug": 1, "cup": 1}}))
    details = [f.detail for f in verify_root(root, "office31") if f.kind == "incomplete"]
    assert "dslr missing" in details and "amazon 2 of 2817 images" in details
    assert "webcam has 1 unknown classes (cup)" in details


def test_findings_come_gravest_first_and_progress_counts_every_file(tmp_path: Path) -> None:
    faults = {f: c for f, c, *_ in FAULTS.values()}
    seen: list[tuple[int, int]] = []
    kinds = [f.kind for f in verify_root(write_folder(tmp_path, CLEAN | faults), progress=lambda *p: seen.append(p))]
    assert kinds == sorted(kinds, key=list(KINDS).index)
    inside = len(CLEAN) + len({f for f in faults if f.count("/") == 2})
    assert seen == [(i + 1, inside) for i in range(inside)]


def test_a_missing_root_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DalibError, match="does not exist"):
        verify_root(tmp_path / "absent")


def picture(kind: int, rng: np.random.Generator) -> bytes:
    """Vertical, horizontal or diagonal stripes with noise."""
    i, j = np.mgrid[:32, :32]
    wave = 127 + 90 * np.sin((j, i, i + j)[kind] * 0.8 + rng.uniform(0, 6))
    pixels = (wave[..., None] + rng.normal(0, 12, (32, 32, 3))).clip(0, 255)
    return encode(Image.fromarray(pixels.astype(np.uint8)), "PNG")


@pytest.mark.parametrize("embedded", [False, True])
def test_wrong_labels_among_plain_classes_are_suspected_and_right_ones_are_not(embedded: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content = {f"d/{'abc'[k]}/{i:02d}.png": picture(k, rng) for k in range(3) for i in range(25)}
    content |= {"d/a/wrong.png": picture(1, rng), "d/c/wrong.png": picture(0, rng)}
    embed = (lambda x: 100 * describe_images(x)) if embedded else None
    found = verify_root(write_folder(tmp_path, content), embed=embed)
    assert {f.kind for f in found} <= {"looks mislabelled"}
    assert {f.file: f.detail.split("'")[1] for f in found} == {"d/a/wrong.png": "b", "d/c/wrong.png": "a"}


def test_suspects_need_two_classes_of_five_rows() -> None:
    x = np.random.default_rng(0).normal(size=(9, 3))
    assert find_suspects(x, np.array([0] * 5 + [1] * 4), 1.5) == []
    assert find_suspects(x, np.zeros(9, int), 1.5) == []


def test_planted_label_errors_in_real_pictures_are_found_better_than_by_chance(shared_data: Path) -> None:
    from dalib.data.catalog import load_data

    domain = load_data("office_caltech10", shared_data).domain("webcam", 64)
    rng = np.random.default_rng(0)
    wrong = rng.random(len(domain)) < 0.05
    y = np.where(wrong, (domain.labels + rng.integers(1, 10, len(domain))) % 10, domain.labels)
    rows = [s.row for s in find_suspects(describe_images(domain.x), y, 20.0)]
    assert wrong[rows].mean() > 0.5 and wrong[rows].sum() >= 0.3 * wrong.sum()
