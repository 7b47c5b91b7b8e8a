"""Every declared data set in small, as its archives unpack: found, read, and held to its declaration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.catalog import load_data
from dalib.data.file_kinds import pack_files
from dalib.data.packing import pack
from dalib.data.shared_formats import arrays_of_digit_five
from tests.support.image_sets import png, write_folder

DECLARED = [n for n in DATASETS.names() if n not in ("features", "image_folder", "mask_folder", "box_folder")]
IMAGES = [name for name in DECLARED if DATASETS.get(name).kind == "images" and not DATASETS.get(name).generator]
FEATURES = [n for n in DECLARED if DATASETS.get(n).kind == "features" and not DATASETS.get(n).generator]
"""What dalib makes itself is read by tests of its own."""
PICTURES = [png(i, 4) for i in range(7)]
CUT = {"domainnet126": "{d}_list.txt", "mini_domainnet": "splits_mini/{d}_{split}.txt"}


def _small(info: DatasetInfo, classes: tuple[str, ...]) -> dict[str, bytes]:
    """Two images of every class in every domain, `domain/class/N.png`."""
    pairs = [(d, c) for d in info.domains for c in classes]
    return {f"{d}/{c}/{i}.png": PICTURES[(k + i) % 7] for k, (d, c) in enumerate(pairs) for i in range(2)}


def _declare(name: str, monkeypatch: pytest.MonkeyPatch, **changes: object) -> tuple[DatasetInfo, tuple[str, ...]]:
    """The declaration with the counts of the small copy; its classes, or as many as it declares."""
    info = DATASETS.get(name)
    classes = info.classes or tuple(f"class{k:04d}" for k in range(info.class_count or 3))
    if len(classes) > 40:  # a part of them is enough of a copy
        classes, changes = classes[:5], {"class_count": 0, "classes": info.classes and info.classes[:5], **changes}
    small = replace(info, counts=dict.fromkeys(info.counts, 2 * len(classes)), editions={}, **changes)  # type: ignore[arg-type]
    get = type(DATASETS).get
    monkeypatch.setattr(type(DATASETS), "get", lambda self, key: small if key == name else get(self, key))
    return small, classes


@pytest.mark.parametrize("name", DECLARED)
def test_what_is_declared_names_its_source_its_licence_and_where_it_was_read(name: str) -> None:
    info = DATASETS.get(name)
    assert info.title and info.source and info.licence and (info.domains or info.kind == "features")
    assert len(set(info.classes)) == len(info.classes) and set(info.counts) <= set(info.domains)
    for download in info.downloads:
        assert not download.tried and re.search(r"[0-9a-f]{7}\)$", download.stated), download.stated
    assert info.downloads or info.by_hand or info.generator or name == "digits"


@pytest.mark.parametrize("layout", ["beside", "wrapped", "inside"])
@pytest.mark.parametrize("name", IMAGES)
def test_a_small_copy_is_found_and_read(
    name: str, layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, classes = _declare(name, monkeypatch)
    content = _small(info, classes)
    for d in info.domains if name in CUT else ():
        lines = "\n".join(f"{member} 0" for member in content if member.startswith(f"{d}/"))
        content[CUT[name].format(d=d, split="train")] = lines.encode()
    around = {"beside": "", "wrapped": "archive/", "inside": f"{name}/"}[layout]
    root = write_folder(tmp_path, {around + member: data for member, data in content.items()})
    data = load_data(name, root)
    assert data.domains == info.domains and set(data.classes) == set(classes) and not data.partial
    assert data.counts == dict.fromkeys(info.domains, 2 * len(classes))
    first = data.domain(info.domains[0], 4)
    assert sorted(first.labels.tolist()) == sorted(2 * list(range(len(classes))))
    assert not info.metric or any(info.metric in line for line in data.remarks)


def _rows(info: DatasetInfo, classes: int) -> dict[str, np.ndarray]:
    domains = info.domains or ("0", "11")
    series = not info.domains
    names = np.array(info.classes) if info.classes and "0" not in info.class_aliases else np.arange(classes)
    arrays = {f"{d}_y": names[np.arange(2 * classes) % classes] for d in domains}
    shape = (2 * classes, 3, 8) if series else (2 * classes, 6)
    return {**arrays, **{f"{d}_x": np.random.default_rng(0).normal(size=shape).astype(np.float32) for d in domains}}


@pytest.mark.parametrize("name", FEATURES)
def test_a_small_feature_file_of_a_declared_set_is_found_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, classes = _declare(name, monkeypatch)
    K = len(classes)
    pack(_rows(info, K), tmp_path / f"{name}.npz")
    data = load_data(name, tmp_path)
    assert set(data.domains) == set(info.domains or ("0", "11")) and len(data.classes) == K
    assert not info.classes or data.classes == info.classes
    assert set(data.domain(data.domains[0]).labels.tolist()) == set(range(K))


@pytest.mark.parametrize("name", [n for n in DECLARED if DATASETS.get(n).kind == "arrays"])
def test_small_images_in_an_npz_are_found_and_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, classes = _declare(name, monkeypatch)
    arrays = {f"{d}_x": np.zeros((2 * len(classes), 5, 5, 3), np.uint8) for d in info.domains}
    arrays.update({f"{d}_y": np.arange(2 * len(classes)) % len(classes) for d in info.domains})
    np.savez(tmp_path / f"{name}.npz", **arrays)
    data = load_data(name, tmp_path)
    assert data.domains == info.domains and data.counts == dict.fromkeys(info.domains, 2 * len(classes))


def test_lists_choose_the_images_of_a_cut_and_their_absence_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, classes = _declare("mini_domainnet", monkeypatch)
    content = _small(info, classes)
    with pytest.raises(
        DalibError, match=r"splits_mini/clipart_train\.txt, which says which, is not in .*; get domainnet"
    ):
        load_data("mini_domainnet", write_folder(tmp_path / "bare", content))
    for d in info.domains:
        half = [m for m in content if m.startswith(f"{d}/")][:3]
        content[f"splits_mini/{d}_train.txt"] = f"{half[0]} 0\n{half[1]} 0".encode()
        content[f"splits_mini/{d}_test.txt"] = f"{half[2]} 1".encode()
    data = load_data("mini_domainnet", write_folder(tmp_path / "cut", content))
    assert data.counts == dict.fromkeys(info.domains, 3) and data.classes == classes[:2]


def test_splits_of_a_declared_domain_are_the_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, classes = _declare("cifar_stl", monkeypatch)
    names = [alias for alias, name in info.class_aliases.items() if name in classes][: len(classes)]
    content = {
        f"cifar_stl/{d}/{part}/{c}/{k}.png": PICTURES[(k + i) % 7]
        for d in info.domains for k, c in enumerate(names) for i, part in enumerate(("train", "test"))
    }  # fmt: skip
    root = write_folder(tmp_path, content)
    data = load_data("cifar_stl", root)
    assert data.counts == dict.fromkeys(info.domains, 2 * len(classes)) and data.classes == classes
    stl = data.domain("stl", 4)
    assert (
        stl.labels.tolist() == sorted(2 * list(range(len(classes)))) and "stl/test/000_airplane/0.png" in stl.files[0]
    )
    write_folder(root, {"cifar_stl/cifar/other/9.png": PICTURES[0]})
    with pytest.raises(DalibError, match="cifar has no images of 9 of 9 classes"):
        load_data("cifar_stl", root)


def test_the_other_edition_of_terra_incognita_is_read_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, classes = _declare("terra_incognita", monkeypatch)
    total = 2 * len(classes) * len(info.domains)
    other = replace(info, counts={**info.counts, "location_38": 99}, editions={total: "a later cut"})
    monkeypatch.setattr(type(DATASETS), "get", lambda self, key: other)
    root = write_folder(tmp_path, _small(info, classes))
    data = load_data("terra_incognita", root)
    assert not data.partial and any(f"with {total} images (a later cut)" in line for line in data.remarks)
    (root / "location_38" / "dog" / "0.png").unlink()
    with pytest.raises(DalibError, match="location_38 19 of 99 images"):
        load_data("terra_incognita", root)


def test_classes_of_a_larger_set_are_left_out_where_that_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, classes = _declare("imagenet_r", monkeypatch)
    content = {m.replace("imagenet/", "train/"): data for m, data in _small(info, classes).items()}
    content["train/n99999999/0.png"] = PICTURES[0]
    data = load_data("imagenet_r", write_folder(tmp_path, content))
    assert data.counts == dict.fromkeys(info.domains, 2 * len(classes)) and data.classes == classes


def test_domains_whose_images_nobody_states_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, classes = _declare("imagenet_r", monkeypatch)
    assert set(info.counts) == {"imagenet-r"}
    root = write_folder(tmp_path, _small(info, classes))
    (root / "imagenet" / classes[0] / "0.png").unlink()
    assert load_data("imagenet_r", root).counts == {"imagenet": 2 * len(classes) - 1, "imagenet-r": 2 * len(classes)}
    (root / "imagenet-r" / classes[0] / "0.png").unlink()
    with pytest.raises(DalibError, match=f"imagenet-r {2 * len(classes) - 1} of {2 * len(classes)} images"):
        load_data("imagenet_r", root)


def test_a_copy_that_lacks_classes_is_no_complete_one(tmp_path: Path) -> None:
    info = DATASETS.get("image_clef")
    root = write_folder(tmp_path, _small(info, tuple(f"class{k}" for k in range(11))))
    with pytest.raises(DalibError, match=r"c 22 of 600 images, .* 11 classes of 12"):
        load_data("image_clef", root)


def _mat(folder: Path, content: Mapping[str, dict[str, np.ndarray]]) -> Path:
    from scipy.io import savemat

    folder.mkdir(exist_ok=True)
    for name, arrays in content.items():
        savemat(folder / name, arrays)
    return folder


def digit_five(folder: Path) -> Path:
    """The five files in small: three training and two test images of each domain."""
    rng = np.random.default_rng(0)

    def image(n: int, *shape: int) -> np.ndarray:
        return rng.integers(0, 256, (n, *shape), dtype=np.uint8)

    one_hot = np.eye(10)
    usps = np.empty((2, 2), object)
    for part, n in enumerate((3, 2)):
        usps[part, 0], usps[part, 1] = rng.random((n, 1, 28, 28)), np.full((n, 1), 7)
    return _mat(
        folder,
        {
            "mnist_data.mat": {"train_32": image(3, 32, 32), "test_32": image(2, 32, 32),
                               "label_train": one_hot[[1, 2, 3]], "label_test": one_hot[[4, 5]]},
            "mnistm_with_label.mat": {"train": image(3, 32, 32, 3), "test": image(2, 32, 32, 3),
                                      "label_train": one_hot[[1, 2, 3]], "label_test": one_hot[[4, 5]]},
            "svhn_train_32x32.mat": {"X": image(32, 32, 3, 3), "y": np.array([[10], [1], [2]])},
            "svhn_test_32x32.mat": {"X": image(32, 32, 3, 2), "y": np.array([[3], [4]])},
            "syn_number.mat": {"train_data": image(3, 32, 32, 3), "test_data": image(2, 32, 32, 3),
                               "train_label": np.array([[0], [1], [2]]), "test_label": np.array([[3], [4]])},
            "usps_28x28.mat": {"dataset": usps},
        },
    )  # fmt: skip


def test_digit_five_of_its_mat_files_is_the_declared_set(tmp_path: Path) -> None:
    folder = digit_five(tmp_path / "Digit-Five")
    assert pack_files([folder], tmp_path / "digit_five.npz").labelled == dict.fromkeys(
        DATASETS.get("digit_five").domains, 5
    )
    made = arrays_of_digit_five(folder)
    assert made["svhn_y"].tolist() == [0, 1, 2, 3, 4]
    assert made["svhn_x"].shape == (5, 32, 32, 3) and made["mnist_y"].tolist() == [1, 2, 3, 4, 5]
    data = load_data("digit_five", tmp_path / "digit_five.npz", partial=True)  # five images hold no ten classes
    assert data.counts == dict.fromkeys(data.info.domains, 5)
    assert data.domain("usps", 8).x[0].shape == (3, 8, 8)
