"""What inflates hugely, or describes more than it holds, is refused before anything is allocated or written."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import dalib
from dalib.core.errors import DalibError
from dalib.core.limits import may_unpack
from dalib.data.features import load_features
from dalib.data.listing import Listing
from dalib.records.archive import Archive
from dalib.train.model_file import load_model, read_facts, save_model
from tests.support.peak import Peak


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DALIB_MAX_FILE", "1M")


def test_a_hundred_times_the_size_or_the_limit_is_allowed() -> None:
    assert (may_unpack(10), may_unpack(10_000), may_unpack(50_000)) == (1_000_000, 1_000_000, 5_000_000)


def test_a_tar_that_inflates_hugely_is_not_unpacked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("a/c/x.bin")
        info.size = 5_000_000
        archive.addfile(info, io.BytesIO(bytes(5_000_000)))
    with pytest.raises(DalibError, match=r"would unpack to more than 1 MB; if you trust it, set DALIB_MAX_FILE=6M"):
        Listing(tmp_path / "x.tar.gz")
    (tmp_path / "y.tar").write_bytes(gzip.decompress((tmp_path / "x.tar.gz").read_bytes()))
    assert Listing(tmp_path / "y.tar").ignored


def test_a_zip_of_many_pictures_that_inflate_together_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"a/c/{number}.png", bytes(900_000))
    with pytest.raises(DalibError, match="would unpack to more than"):
        Listing(tmp_path / "x.zip")


def test_no_more_of_a_zip_is_read_than_its_directory_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/c/x.png", bytes(700_000))
    content = (tmp_path / "x.zip").read_bytes().replace(struct.pack("<I", 700_000), struct.pack("<I", 1000))
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        Listing(tmp_path / "x.zip").read("a/c/x.png")


def _npz(path: Path, shape: tuple[int, ...], numbers: int) -> Path:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})  # type: ignore[arg-type]
    labels = io.BytesIO()
    np.save(labels, np.zeros(4, np.int64))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for domain in "ab":
            archive.writestr(f"{domain}_x.npy", head.getvalue() + bytes(4 * numbers))
            archive.writestr(f"{domain}_y.npy", labels.getvalue())
    return path


@pytest.mark.parametrize("shape", [(10**6, 10**6), (2**31, 2), (4, 2**40), (2**62, 8)])
def test_an_array_that_says_it_is_larger_than_it_is_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(DalibError, match=r"a_x of shape \(.*\) needs \d+ bytes, and \d+ are there; write it again"):
        load_features(_npz(tmp_path / "x.npz", shape, 16))


def test_a_feature_file_that_inflates_hugely_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _npz(tmp_path / "x.npz", (4, 200_000), 800_000)
    with pytest.raises(DalibError, match="would unpack to more than 1 MB"):
        load_features(path)
    monkeypatch.setenv("DALIB_MAX_FILE", "10M")
    assert load_features(path).x["a"].shape == (4, 200_000)


def test_packed_records_that_inflate_hugely_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b" " * 3_000_000))
    with pytest.raises(DalibError, match="would unpack to more than 1 MB"):
        Archive(tmp_path / "x.jsonl.gz")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    arrays = {f"{d}_x": np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32) for d in "ab"}
    np.savez(tmp_path / "toy.npz", **arrays, **{f"{d}_y": np.arange(12) % 2 for d in "ab"})
    data, backbone = dalib.load_data(f"features:{tmp_path / 'toy.npz'}"), dalib.load_backbone("identity", "none", dim=4)
    recipe = dalib.TrainConfig(steps=1, batch_size=4, bottleneck=8)
    fitted = dalib.Trainer(recipe, device="cpu").fit(dalib.DANN(hidden=8), dalib.make_task(data, "a", "b"), backbone)
    return save_model(fitted, tmp_path / "model")


def _change(model: Path, section: str, key: str, value: Any, **tensors: torch.Tensor) -> Path:
    facts = read_facts(model) | {"format": 1}
    facts |= {section: {**facts[section], key: value} if key else value}
    save_file(load_file(model) | tensors, model, metadata={"dalib": json.dumps(facts)})
    return model


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("hparams", "hidden", 2**20),
        ("hparams", "hidden", 30_000),
        ("config", "bottleneck", 2**20),
        ("hparams", "hidden", 2**17),
    ],
)
def test_a_network_larger_than_its_file_is_measured_and_not_allocated(
    model: Path, section: str, key: str, value: int
) -> None:
    path = _change(model, section, key, value)
    with Peak() as peak, pytest.raises(DalibError, match=r"but what it says of itself needs"):
        load_model(path, "cpu")
    assert peak.on_the_host < 1e6


def test_an_empty_tensor_of_a_huge_shape_lifts_no_limit(model: Path) -> None:
    path = _change(model, "hparams", "hidden", 2**40, x=torch.zeros(0, 2**40))
    with pytest.raises(DalibError, match="hidden is 1099511627776"):
        load_model(path, "cpu")


def test_a_thousand_sources_are_the_most(model: Path) -> None:
    with pytest.raises(DalibError, match="origins are 1048576, more than 1000"):
        load_model(_change(model, "origins", "", 2**20), "cpu")


def test_a_large_network_whose_tensors_are_there_is_read(tmp_path: Path, model: Path) -> None:
    data = dalib.load_data(f"features:{tmp_path / 'toy.npz'}")
    backbone = dalib.load_backbone("identity", "none", dim=4)
    recipe = dalib.TrainConfig(steps=1, batch_size=4, bottleneck=5000)
    task = dalib.make_task(data, "a", "b")
    fitted = dalib.Trainer(recipe, device="cpu").fit(dalib.DANN(hidden=8), task, backbone)
    loaded = load_model(save_model(fitted, tmp_path / "large"), "cpu")
    assert torch.equal(loaded.outputs(task.test).logits, fitted.outputs(task.test).logits)


@pytest.mark.parametrize("length", [16_000_001, 2**62])
def test_a_header_that_is_a_bomb_is_not_read(model: Path, length: int) -> None:
    model.write_bytes(struct.pack("<Q", length) + model.read_bytes()[8:])
    with pytest.raises(DalibError, match=f"damaged \\(a header of {length} bytes\\)"):
        load_model(model, "cpu")


@pytest.mark.parametrize("told", [1000, 0, 3_000_000])
def test_advise_names_a_picture_that_cannot_be_read_out_of_a_zip(tmp_path: Path, told: int) -> None:
    """Its directory lies about its size, or it is larger than a file may be."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    size = 3_000_000 if told == 3_000_000 else 700_000
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_STORED) as archive:
        for domain in "ab":
            for number in range(4):
                archive.writestr(f"{domain}/c{number % 2}/{number}.png", picture.getvalue())
        archive.writestr("b/c0/bomb.png", bytes(size))
    content = (tmp_path / "x.zip").read_bytes().replace(struct.pack("<I", size), struct.pack("<I", told))
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DalibError, match=r"cannot read image b/c0/bomb.png in .*; dalib data verify"):
        dalib.advise(str(tmp_path / "x.zip"), backbone="tiny")


@pytest.mark.parametrize("header", [b"[" * 16, b"{" * 16, b"(((((((((((((((\n", b"\x00" * 16, b"{'descr': '<f4'}"])
def test_a_header_that_cannot_be_parsed_is_one_line(tmp_path: Path, header: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a_x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(DalibError, match="cannot read feature file"):
        load_features(tmp_path / "x.npz")
