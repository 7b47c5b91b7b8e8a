"""The command line called in this process, and a folder with everything a user may point it at."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from dalib.cli import main
from tests.support.worlds import draw_shape, write_features, write_images


class Answer(NamedTuple):
    """status, stdout, and the lines of stderr."""

    status: int
    out: str
    err: list[str]


Dalib = Callable[..., Answer]


@pytest.fixture(autouse=True, scope="session")
def one_core() -> Iterator[None]:
    """Runs in this process get one thread, as the tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dalib.bench.execution.count_cores", lambda: 1)
        yield


@pytest.fixture
def dalib(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Dalib:
    """`dalib("list", "datasets")` -> Answer."""
    monkeypatch.delenv("DALIB_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*args: object) -> Answer:
        capsys.readouterr()
        status = main([str(a) for a in args])
        found = capsys.readouterr()
        return Answer(status, found.out, found.err.splitlines())

    return call


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good data, and data with every kind of fault; never written to by the commands under test."""
    root = tmp_path_factory.mktemp("world")
    write_images(root / "images")
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for file in sorted((root / "images").rglob("*.jpg")):
            archive.write(file, file.relative_to(root / "images"))
    write_features(root / "good.npz")
    good = dict(np.load(root / "good.npz"))
    nan = {k: v.copy() for k, v in good.items()}
    nan["left_x"][3, 2] = np.nan
    np.savez(root / "nan.npz", **nan)
    np.savez(root / "unlabelled.npz", **{k: v for k, v in good.items() if k != "right_y"})
    (root / "corrupt.zip").write_bytes((root / "images.zip").read_bytes()[:500])
    (root / "text.npz").write_text("not an archive")
    (root / "empty").mkdir()
    write_images(root / "damaged")
    (root / "damaged" / "dark" / "cross" / "03.jpg").write_bytes(b"\xff\xd8\xff\xe0 half a picture")
    lone = root / "partial" / "amazon" / "bike"
    lone.mkdir(parents=True)
    draw_shape("cross", "bright", 1).save(lone / "0.jpg")
    return root
