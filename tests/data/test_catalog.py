"""`load_data`: finding roots, checking declarations, marking partial copies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data import roots
from dalib.data.catalog import load_data
from tests.support.image_sets import TWO_DOMAINS, members, write_folder, write_zip

TOY = DatasetInfo(
    name="toy_set",
    title="two domains, two classes",
    domains=("sketch", "Real Photo"),
    classes=("dog", "tom_cat"),
    counts={"sketch": 11, "Real Photo": 11},
    source="https://example.org/toy",
    class_aliases={"cat": "tom_cat", "photo": "Real Photo", "toy_archive": "toy_set"},
)


@pytest.fixture(autouse=True)
def toy_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.delenv("DALIB_DATA", raising=False)
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path / "cache"))
    DATASETS.add("toy_set", TOY)
    yield
    DATASETS._extra.pop("toy_set")


def test_a_complete_copy_has_declared_names_orders_and_counts(tmp_path: Path) -> None:
    data = load_data("toy_set", write_folder(tmp_path / "d", members(TWO_DOMAINS)))
    assert data.domains == ("sketch", "Real Photo") and data.classes == ("dog", "tom_cat")
    assert data.counts == {"sketch": 11, "Real Photo": 11}
    assert data.tasks() == ["sketch->Real Photo", "Real Photo->sketch"]
    assert not data.partial and data.note == "" and data.kind == "images" and len(data.fingerprint) == 64
    photo = data.domain("Real Photo", 5)
    assert photo.x.shape == (11, 3, 5, 5) and photo.y is not None
    for file, label in zip(photo.files, photo.labels, strict=True):
        assert data.classes[label] == {"cat": "tom_cat", "dog": "dog"}[file.split("/")[1]]
    assert data.domain("Real Photo", 5) is photo and data.domain("Real Photo", 6) is not photo
    assert data.domain("sketch", 5).classes == photo.classes == data.classes


@pytest.mark.parametrize("spelling", ["Real Photo", "Real_Photo", "RealPhoto", "real-photo", "photo"])
def test_spellings_of_a_domain_are_one_domain(spelling: str, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", members({spelling: TWO_DOMAINS["photo"], "Sketch": TWO_DOMAINS["sketch"]}))
    assert load_data("toy_set", root).domains == ("sketch", "Real Photo")


@pytest.mark.parametrize("cat", ["tom_cat", "Tom Cat", "tomcat", "cat", "003.tom-cat"])
def test_spellings_of_a_class_are_one_class(cat: str, tmp_path: Path) -> None:
    content = members({"photo": {cat: 6, "dog": 5}, "sketch": {"cat": 4, "dog": 7}})
    data = load_data("toy_set", write_folder(tmp_path / "d", content))
    assert np.bincount(data.domain("Real Photo", 2).labels).tolist() == [5, 6]


@pytest.mark.parametrize("place", ["d", "d/toy_set", "d/toy_set_v2_64px", "d/Toy-Set", "d/toy_archive", "d/wrapping"])
@pytest.mark.parametrize("by_environment", [False, True])
def test_a_root_may_be_the_data_or_hold_it(
    place: str, by_environment: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / place, members(TWO_DOMAINS))
    (tmp_path / "d" / "other").mkdir()
    if by_environment:
        monkeypatch.setenv("DALIB_DATA", str(tmp_path / "d"))
    data = load_data("toy_set", None if by_environment else tmp_path / "d")
    assert data.counts == {"sketch": 11, "Real Photo": 11}


def test_a_zip_is_found_by_its_name_beside_others(tmp_path: Path) -> None:
    write_zip(tmp_path / "toy_set_128px.zip", members(TWO_DOMAINS))
    write_zip(tmp_path / "other_set.zip", members({"a": {"b": 1}}))
    data = load_data("toy_set", tmp_path)
    assert data.root.name == "toy_set_128px.zip"
    assert load_data("toy_set", data.root).fingerprint == data.fingerprint


def test_an_exact_name_beats_a_longer_one_and_two_long_ones_are_an_error(tmp_path: Path) -> None:
    for name in ("toy_set_small.zip", "toy_set_large.zip"):
        write_zip(tmp_path / name, members(TWO_DOMAINS))
    with pytest.raises(DalibError, match=r"several candidates .* toy_set_large\.zip, toy_set_small\.zip"):
        load_data("toy_set", tmp_path)
    write_zip(tmp_path / "toy_set.zip", members(TWO_DOMAINS))
    assert load_data("toy_set", tmp_path).root.name == "toy_set.zip"


def test_the_real_archives_in_one_folder_are_told_apart(shared_data: Path) -> None:
    office = load_data("office31", shared_data, partial=True)
    assert office.counts == {"amazon": 1000, "webcam": 795} and len(office.classes) == 31
    assert office.partial and office.note == "amazon 1000 of 2817 images, dslr missing"
    ten = load_data("office_caltech10", shared_data, partial=True)
    assert ten.counts == {"amazon": 958, "caltech": 1123, "dslr": 157, "webcam": 295} and len(ten.tasks()) == 12
    assert not ten.partial and ten.note == "", "partial=True marks only what is partial"


COPIES = {
    "fewer images": ({"photo": {"cat": 3, "dog": 5}}, "Real Photo 8 of 11 images"),
    "more images": ({"photo": {"cat": 9, "dog": 5}}, "Real Photo 14 images instead of 11 images"),
    "missing domain": ({"photo": {}}, "Real Photo missing"),
    "missing class": ({"photo": {"dog": 11}}, r"Real Photo has no images of 1 of 2 classes \(tom_cat\)"),
    "unknown class": (
        {"photo": {"cat": 6, "dog": 5, "dgo": 2}},
        r"Real Photo has 1 unknown classes \(dgo; did you mean 'dog'\?\)",
    ),
}


@pytest.mark.parametrize(("change", "words"), COPIES.values(), ids=COPIES.keys())
def test_an_incomplete_copy_needs_partial_and_is_marked(
    change: dict[str, dict[str, int]], words: str, tmp_path: Path
) -> None:
    root = write_folder(tmp_path / "d", members({**TWO_DOMAINS, **change}))
    with pytest.raises(DalibError, match=f"{words}.*--partial") as caught:
        load_data("toy_set", root)
    assert "\n" not in str(caught.value)
    data = load_data("toy_set", root, partial=True)
    assert data.partial and data.note in str(caught.value) and data.classes == ("dog", "tom_cat")
    for domain in data.domains:
        loaded = data.domain(domain, 3)
        assert len(loaded) == data.counts[domain] == len(loaded.labels) == len(loaded.files)
        assert not any("dgo" in f for f in loaded.files)


def test_image_folder_discovers_domains_and_the_union_of_classes(tmp_path: Path) -> None:
    root = write_folder(tmp_path, members({"b": {"dog": 2, "cat": 3}, "a": {"cat": 1, "dog": 1, "ant": 2}}))
    with pytest.raises(DalibError, match=r"same classes in every domain: b has no images of 1 of 3 classes \(ant\)"):
        load_data("image_folder", root)
    data = load_data("image_folder", root, partial=True)
    assert data.domains == ("a", "b") and data.classes == ("ant", "cat", "dog")
    assert data.domain("b", 2).labels.tolist() == [1, 1, 1, 2, 2] and data.partial


def test_image_folder_accepts_a_single_domain(tmp_path: Path) -> None:
    data = load_data("image_folder", write_folder(tmp_path, members({"only": {"x": 2, "y": 1}})))
    assert data.domains == ("only",) and data.tasks() == [] and len(data.domain("only", 4)) == 3


def test_a_missing_root_says_what_to_fetch_from_where_and_the_layout(tmp_path: Path) -> None:
    for root in (None, tmp_path):
        with pytest.raises(DalibError) as caught:
            load_data("toy_set", root)
        for words in ("toy_set", "https://example.org/toy", "domain/class/image.jpg", "sketch", "DALIB_DATA"):
            assert words in str(caught.value)
    with pytest.raises(DalibError, match="does not exist"):
        load_data("toy_set", tmp_path / "absent")


MISTAKES = {
    "unknown data set": (lambda root: load_data("toy_sett", root), "did you mean 'toy_set'"),
    "path for images": (lambda root: load_data("toy_set:x", root), "only features takes a path"),
    "features without path": (lambda root: load_data("features", root), "needs its file"),
    "no such feature file": (lambda root: load_data("features:no.npz", root), r"no feature file no\.npz"),
    "normalised images": (lambda root: load_data("toy_set", root, normalise=["l2"]), "for feature data only"),
    "images without size": (lambda root: load_data("toy_set", root).domain("sketch"), "give resize"),
    "unknown domain": (lambda root: load_data("toy_set", root).domain("sketsh", 4), "did you mean 'sketch'"),
    "other data": (lambda root: load_data("office_home", root), "no data for office_home"),
}


@pytest.mark.parametrize(("act", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_clear_line(act: object, words: str, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", members(TWO_DOMAINS))
    with pytest.raises(DalibError, match=words) as caught:
        act(root)  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_two_folders_for_one_name_are_an_error(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", members({**TWO_DOMAINS, "Real_Photo": {"cat": 1}}))
    with pytest.raises(DalibError, match="'Real_Photo' and 'photo' are both 'Real Photo'"):
        load_data("toy_set", root)


def test_feature_files_are_found_relative_to_the_root_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "f.npz", a_x=np.eye(3), a_y=np.arange(3))
    monkeypatch.chdir(tmp_path.parent)
    for root in (tmp_path, None):
        monkeypatch.setenv("DALIB_DATA", str(tmp_path))
        data = load_data("features:f.npz", root, normalise=["zscore"])
        assert data.name == "features:f.npz" and data.domain("a").x.mean() == pytest.approx(0)
    with pytest.raises(DalibError, match="no normalisation named 'zscor'; did you mean 'zscore'"):
        load_data("features:f.npz", normalise=["zscor"])


def test_normalisation_enters_the_domains_fingerprint_not_the_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", a_x=np.eye(3), a_y=np.arange(3))
    plain, unit = (load_data("features:f.npz", tmp_path, normalise=n) for n in ((), ("l2",)))
    assert plain.fingerprint == unit.fingerprint
    assert plain.domain("a").fingerprint != unit.domain("a").fingerprint


def test_a_generated_set_is_made_in_the_cache_without_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def draw(root: Path, progress: object = None) -> None:
        if not root.exists():
            write_folder(root, members({d: dict.fromkeys(info.classes, 2) for d in info.domains}))
            progress(1, 1)  # type: ignore[operator]

    info = DATASETS.get("mini_office")
    monkeypatch.setattr("dalib.data.cache.generator_for_tests", draw, raising=False)
    DATASETS.add(
        "drawn",
        DatasetInfo(
            "drawn",
            "t",
            domains=info.domains,
            classes=info.classes,
            source="here",
            generator="dalib.data.cache:generator_for_tests",
        ),
    )
    for _ in range(2):
        data = load_data("drawn", progress=lambda done, total: seen.append((done, total)))
        assert data.counts == {"amazon": 62, "dslr": 62, "webcam": 62} and not data.partial
    assert seen == [(1, 1)] and data.root == tmp_path / "cache" / "generated" / "drawn"
    monkeypatch.setenv("DALIB_DATA", str(tmp_path / "empty"))
    assert load_data("drawn").root == data.root, "DALIB_DATA without the set does not stop it from being made"
    with pytest.raises(DalibError, match="no data for drawn"):
        load_data("drawn", tmp_path / "empty")
    DATASETS._extra.pop("drawn")


@pytest.mark.parametrize("name", list(DATASETS.files()))
def test_every_declaration_is_consistent(name: str) -> None:
    info = DATASETS.get(name)
    assert info.name == name and info.title and info.source and info.licence
    assert set(info.counts) <= set(info.domains) and all(n > 0 for n in info.counts.values())
    for names in (info.domains, info.classes):
        assert len({roots.plain(n) for n in names}) == len(names)
    known = {*info.domains, *info.classes, info.name}
    assert set(info.class_aliases.values()) <= known and not known & set(info.class_aliases)


def test_the_declared_class_counts_are_the_published_ones() -> None:
    expected = {"office31": (31, 4110), "office_caltech10": (10, 2533), "office_home": (65, 15588)}
    for name, (classes, images) in expected.items():
        info = DATASETS.get(name)
        assert (len(info.classes), sum(info.counts.values())) == (classes, images)
        assert list(info.classes) == sorted(info.classes)
