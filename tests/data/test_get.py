"""Declared data sets fetched from a loopback server, in the layouts that their upstream archives have."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dalib
from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.catalog import load_data
from dalib.data.get import unpack_archive
from tests.support.loopback import serving
from tests.support.newsgroups import newsgroup_files

FETCHED = [n for n in DATASETS.names() if DATASETS.get(n).downloads and not DATASETS.get(n).packed]
INNER = {"office31": "images/", "office_caltech10": "images/"}
"""What upstream puts between a domain and its classes."""


def _picture(i: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), i % 256, np.uint8)).save(file, "PNG")
    return file.getvalue()


def _tar(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _archives(info: DatasetInfo) -> dict[str, bytes]:
    """A picture of every class and domain, packed as upstream packs them."""
    made: dict[str, dict[str, bytes]] = {d.name: {} for d in info.downloads}
    for j, domain in enumerate(info.domains):
        folder = domain.replace(" ", "_")
        alone = f"{folder}.tgz" in made
        members = made[f"{folder}.tgz" if alone else info.downloads[0].name]
        for i, cls in enumerate(info.classes):
            wrap = "VLCS/" if info.name == "vlcs" else ""
            members[f"{wrap}{folder}/{INNER.get(info.name, '')}{cls}/{i}.png"] = _picture(40 * j + i)
    return {name: _tar(members) for name, members in made.items()}


@pytest.mark.parametrize("name", FETCHED)
def test_a_declared_data_set_is_fetched_unpacked_and_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = DATASETS.get(name)
    classes = info.classes[:12] or tuple(f"class{k:02d}" for k in range(12))
    info = replace(info, classes=classes, class_aliases={} if name == "office_home" else info.class_aliases)
    with serving(_archives(info)) as shelf:
        here = tuple(replace(d, mirrors=(f"{shelf.address}/good/{d.name}",), digest="") for d in info.downloads)
        small = replace(info, downloads=here, counts={}, class_count=0)
        monkeypatch.setattr(DATASETS, "get", lambda _: small)
        seen: list[tuple[str, int, int]] = []
        data = dalib.get_data(name, tmp_path, lambda *told: seen.append(told))
        asked = len(shelf.asked)
        again = dalib.get_data(name, tmp_path)
        assert len(shelf.asked) == asked and again.fingerprint == data.fingerprint
    assert tuple(data.counts) == info.domains and set(data.counts.values()) == {len(info.classes)}
    assert data.classes == info.classes
    assert {d.name for d in info.downloads} == {file for file, _, _ in seen}
    y = data.domain(info.domains[0], 8).labels
    assert sorted(y) == list(range(len(info.classes)))


def _packed_archives() -> dict[str, bytes]:
    """The archives of sets of rows, laid out as upstream's are: two rows of every class of a domain."""
    from scipy.io import savemat

    reviews = io.BytesIO()
    with zipfile.ZipFile(reviews, "w") as archive:
        for i, domain in enumerate(("books", "dvd", "elec", "kitchen")):
            content = io.BytesIO()
            savemat(content, {"fts": np.full((4, 6), i, np.uint8), "labels": np.array([[0], [1], [0], [1]])})
            archive.writestr(f"amazon_review/{domain}_400.mat", content.getvalue())
    return {"amazon_review.zip": reviews.getvalue(), "20news-bydate.tar.gz": _tar(newsgroup_files())}


@pytest.mark.parametrize("name", [n for n in DATASETS.names() if DATASETS.get(n).packed])
def test_a_declared_set_of_rows_is_fetched_unpacked_and_packed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = DATASETS.get(name)
    with serving(_packed_archives()) as shelf:
        here = tuple(replace(d, mirrors=(f"{shelf.address}/good/{d.name}",), digest="") for d in info.downloads)
        K = len(info.classes) or info.class_count
        small = replace(info, downloads=here, counts=dict.fromkeys(info.domains, 2 * K))
        monkeypatch.setattr(DATASETS, "get", lambda _: small)
        data = dalib.get_data(name, tmp_path)
        packed = tmp_path / name / f"{name}.npz"
        packed.unlink()  # somebody tidies up: made again of what was fetched
        assert dalib.get_data(name, tmp_path).fingerprint == data.fingerprint and packed.is_file()
        assert len(shelf.asked) == 1
    assert data.domains == info.domains and data.counts == small.counts and len(data.classes) == K
    assert load_data(name, tmp_path).fingerprint == data.fingerprint


def test_an_archive_without_the_rows_that_are_declared_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = DATASETS.get("amazon_reviews")
    with serving({"amazon_review.zip": _zip("other.txt")}) as shelf:
        here = (replace(info.downloads[0], mirrors=(f"{shelf.address}/good/amazon_review.zip",), digest=""),)
        monkeypatch.setattr(DATASETS, "get", lambda _: replace(info, downloads=here))
        with pytest.raises(DalibError, match=r"holds no \*_400\.mat, which amazon_reviews is packed of"):
            dalib.get_data("amazon_reviews", tmp_path)


def test_a_set_that_is_not_what_is_declared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = DATASETS.get("pacs")
    with serving(_archives(info)) as shelf:
        here = tuple(replace(d, mirrors=(f"{shelf.address}/good/{d.name}",)) for d in info.downloads)
        declared = replace(info, downloads=here, counts=dict.fromkeys(info.domains, 9))
        monkeypatch.setattr(DATASETS, "get", lambda _: declared)
        with pytest.raises(DalibError, match="9"):
            dalib.get_data("pacs", tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("terra_incognita", "cannot be fetched by a program: its folders are cut out of Caltech Camera Traps"),
        ("mini_office", "is made by dalib, not fetched: dalib data make mini_office"),
        ("image_folder", "stands for data of your own"),
        ("digits", "cannot be fetched by a program: fetch it from"),
    ],
)
def test_what_no_address_serves_says_what_a_person_does(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DalibError, match=words):
        dalib.get_data(name, tmp_path)


def test_a_folder_must_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DALIB_DATA", raising=False)
    with pytest.raises(DalibError, match="where should pacs go"):
        dalib.get_data("pacs")


def _zip(name: str, mode: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, b"x")
    return file.getvalue()


ESCAPES: dict[str, Any] = {
    "up.zip": _zip("a/../../out.txt"),
    "back.zip": _zip("a\\..\\..\\out.txt"),
    "link.zip": _zip("a/link", 0o120777),
    "up.tar.gz": _tar({"../out.txt": b"x"}),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_is_written_outside_the_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(ESCAPES[name])
    with pytest.raises(DalibError, match="leads out of the folder"):
        unpack_archive(tmp_path / name, tmp_path / "in" / "side")
    assert not list(tmp_path.rglob("out.txt"))


def test_absolute_paths_and_zips_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(_tar({"/etc/inside.txt": b"x"}))
    (tmp_path / "b.zip").write_bytes(_zip("/etc/other.txt"))
    for name in ("a.tar.gz", "b.zip"):
        unpack_archive(tmp_path / name, tmp_path / "in")
    assert sorted(p.name for p in (tmp_path / "in" / "etc").iterdir()) == ["inside.txt", "other.txt"]
