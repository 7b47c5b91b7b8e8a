"""data info, verify and make."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dalib.core.registry import DATASETS
from tests.support.loopback import serving
from tests.support.newsgroups import newsgroup_files

Dalib = Callable[..., Any]


def test_info_counts_what_is_there(dalib: Dalib, world: Path) -> None:
    folder = dalib("data", "info", "image_folder", "--data-root", world / "images")
    archive = dalib("data", "info", "image_folder", "--data-root", world / "images.zip")
    for fact in ("3: circle, cross, square", "bright  18", "dark    18", "total   36"):
        assert fact in folder.out
    prints = [next(x for x in a.out.splitlines() if x.startswith("fingerprint")) for a in (folder, archive)]
    assert prints[0] == prints[1]
    assert len(prints[0].split()[1]) == 64


def test_info_of_a_partial_copy_says_what_is_missing(dalib: Dalib, world: Path) -> None:
    answer = dalib("data", "info", "office31", "--data-root", world / "partial", "--partial")
    assert answer.status == 0
    assert "dslr missing" in answer.out
    assert "amazon  1       2817" in answer.out


def test_a_sound_root_has_no_findings(dalib: Dalib, world: Path) -> None:
    answer = dalib("data", "verify", world / "images")
    assert (answer.status, answer.out) == (0, f"{world}/images: nothing found\n")


def test_faults_are_found_and_make_status_1(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    root = shutil.copytree(world / "damaged", tmp_path / "root")
    shutil.copy(root / "bright" / "circle" / "00.jpg", root / "bright" / "square" / "99.jpg")
    (root / "dark" / "circle" / "empty.jpg").touch()
    answer = dalib("data", "verify", root)
    assert answer.status == 1
    for kind, file in (
        ("unreadable", "dark/cross/03.jpg"),
        ("empty", "dark/circle/empty.jpg"),
        ("duplicate across classes", "bright/square/99.jpg"),
    ):
        assert any(line.startswith(kind) and file in line for line in answer.out.splitlines()), answer.out


@pytest.mark.slow
def test_mini_office_is_made_and_is_complete(dalib: Dalib, tmp_path: Path) -> None:
    answer = dalib("data", "make", "mini_office", "--out", tmp_path / "mini_office")
    assert answer.status == 0
    assert dalib("data", "info", "mini_office", "--data-root", tmp_path / "mini_office").status == 0


@pytest.mark.parametrize(("name", "told"), [("mini_shifts", "2500 rows in 5"), ("diabetes", "442 rows in 2")])
def test_sets_of_numbers_are_made_and_counted(name: str, told: str, dalib: Dalib, tmp_path: Path) -> None:
    answer = dalib("data", "make", name, "--out", tmp_path / "made")
    assert answer.status == 0 and answer.out.strip().endswith(f"{told} domains")


def test_a_table_is_packed_and_trained_on(dalib: Dalib, tmp_path: Path) -> None:
    rows = [f"{i % 2 + 0.1 * (i % 7)},{i % 3},{('lab', 'field')[i % 4 > 1]},{('mug', 'pen')[i % 2]}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,site,kind", *rows]))
    out = tmp_path / "t.npz"
    answer = dalib("data", "pack", tmp_path / "t.csv", "--domain", "site", "--label", "kind", "--out", out)
    assert answer.status == 0 and "lab: 20 rows" in answer.out and "2 domains, 2 classes" in answer.out
    trained = dalib(
        "train", "--dataset", f"features:{out}", "--source", "lab", "--target", "field", "--algorithm", "coral"
    )
    assert trained.status == 0


def test_a_set_that_no_address_serves_is_told_with_what_to_do(dalib: Dalib, tmp_path: Path) -> None:
    answer = dalib("data", "get", "terra_incognita", "--out", tmp_path)
    assert answer.status == 2 and "Caltech Camera Traps" in answer.err[0]


def test_a_declared_set_is_fetched_checked_packed_and_trained_on(
    dalib: Dalib, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in newsgroup_files().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    content, info, known = packed.getvalue(), DATASETS.get("twenty_newsgroups"), type(DATASETS).get
    with serving({"20news-bydate.tar.gz": content}) as shelf:
        mirrors = tuple(f"{shelf.address}/{fault}/20news-bydate.tar.gz" for fault in ("missing", "cut"))
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        here = (replace(info.downloads[0], mirrors=mirrors, digest=digest),)
        small = replace(info, downloads=here, counts={**dict.fromkeys(info.domains, 8)})
        monkeypatch.setattr(type(DATASETS), "get", lambda self, key: small if key == info.name else known(self, key))
        answer = dalib("data", "get", info.name, "--out", tmp_path)
    assert answer.status == 0 and answer.out.endswith("twenty_newsgroups.npz: 32 rows in 4 domains, as declared\n")
    assert "1 with a stated hash (stated upstream, not tried by dalib)" in answer.out
    told = dalib("data", "info", info.name, "--data-root", tmp_path)
    assert "fourth   8     8" in told.out and "total   32    32" in told.out
    two = ("--protocol.source_classes", "comp,rec", "--protocol.target_classes", "comp,rec")
    ways = (
        "--source",
        "first+second+third",
        "--target",
        "fourth",
        "--algorithm",
        "coral",
        "--protocol.validation",
        "0",
    )
    trained = dalib("train", "--dataset", info.name, "--data-root", tmp_path, *ways, *two)
    assert trained.status == 0, trained.err
    monkeypatch.setattr(
        type(DATASETS),
        "get",
        lambda self, key: replace(small, counts={"first": 8}) if key == info.name else known(self, key),
    )
    told = dalib("data", "info", info.name, "--data-root", tmp_path)
    assert "first    8    8" in told.out and "total   32\n" in told.out + "\n"
