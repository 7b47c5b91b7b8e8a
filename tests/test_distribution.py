"""What is built and installed: the wheel has all that the package reads, works alone, and notices another `dalib`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import dalib
from dalib.core.registry import REGISTRIES

ROOT = Path(__file__).resolve().parents[1]
BUILD = "from setuptools import build_meta as b; b.build_wheel({0!r}); b.build_sdist({0!r})"
UNBUILT = ("__pycache__", "*.pyc", "*.egg-info", "build")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of a copy of the checkout."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in ("dalib", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns(*UNBUILT))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    done = subprocess.run([sys.executable, "-c", BUILD.format(str(out))], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel would put beside the other packages."""
    place = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(place)
    return place


def run(place: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command `dalib`, as the installed script starts it."""
    start = f"import sys; sys.path.insert(0, {str(place)!r}); from dalib_toolkit import main; sys.exit(main())"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", start, *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def files_of_the_package() -> set[str]:
    paths = [p for p in (ROOT / "dalib").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return {p.relative_to(ROOT).as_posix() for p in paths}


def test_the_wheel_has_every_file_of_the_package_the_suites_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("dalib_toolkit-*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
        told = wheel.read(metadata).decode()
    suites = {f"dalib/suites/{path.name}" for path in (ROOT / "benchmarks").glob("*.toml")}
    assert names == files_of_the_package() | suites | {"dalib_toolkit.py"}
    assert len(suites) > 10 and {"dalib/py.typed", "dalib/__init__.pyi", "dalib/advice/evidence.csv"} <= names
    assert f"\nName: dalib-toolkit\nVersion: {dalib.__version__}\n" in told and "\nRequires-Python: >=3.10\n" in told


def test_the_sdist_has_what_the_wheel_is_built_from_and_no_results(built: Path) -> None:
    with tarfile.open(next(built.glob("dalib_toolkit-*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert files_of_the_package() | {"setup.py", "pyproject.toml", "LICENSE", "CITATION.cff"} <= names
    assert {f"benchmarks/{path.name}" for path in (ROOT / "benchmarks").glob("*.toml")} <= names
    assert not [name for name in names if name.partition("/")[0] in ("tests", "results", "docs", ".venv")]


def test_what_is_installed_works_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    chance, labels = np.random.default_rng(0), np.arange(60) % 3
    rows = {f"{d}_x": (labels[:, None] + chance.normal(0.2 * i, 1, (60, 8))).astype("f4") for i, d in enumerate("ab")}
    np.savez(tmp_path / "rows.npz", **rows, a_y=labels, b_y=labels)
    listed = run(installed, "list", "algorithms", cwd=tmp_path)
    assert set(REGISTRIES["algorithms"].files()) <= set(listed.stdout.split())
    planned = run(installed, "run", "demo", "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0 and str(ROOT) not in planned.stdout, planned.stderr
    advised = run(installed, "advise", "features:rows.npz", cwd=tmp_path)
    assert advised.returncode == 0 and re.search(r"measured: .*demo", advised.stdout), advised.stderr


def test_the_other_package_over_ours_is_noticed_by_the_command_and_by_every_room(
    installed: Path, tmp_path: Path
) -> None:
    place = tmp_path / "site"
    shutil.copytree(installed, place)
    (place / "dalib/__init__.py").write_text("__version__ = '0.2'\n")
    told = run(place, "list", cwd=tmp_path)
    assert told.returncode == 2 and told.stdout == "" and len(told.stderr.splitlines()) == 1
    assert re.search(r"not dalib-toolkit but another package .* pip uninstall -y dalib dalib-toolkit", told.stderr)
    code = f"import sys; sys.path.insert(0, {str(place)!r}); import dalib.records.sections"
    done = subprocess.run([sys.executable, "-P", "-c", code] if sys.version_info >= (3, 11) else
                          [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)  # fmt: skip
    assert "ImportError: dalib 0.2 at" in done.stderr and "is not dalib-toolkit" in done.stderr
    (place / "dalib/__init__.py").unlink()
    told = run(place, "list", cwd=tmp_path)
    assert told.returncode == 2 and "a folder without __init__.py" in told.stderr


def test_ours_over_the_other_package_is_refused_on_import(installed: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    shutil.copytree(installed, place)
    for room in ("modules", "vision"):
        (place / "dalib" / room).mkdir()
        (place / "dalib" / room / "__init__.py").touch()
        told = run(place, "list", cwd=tmp_path)
        assert told.returncode == 2 and "files of another package named dalib lie among" in told.stderr
        shutil.rmtree(place / "dalib" / room)
    assert run(place, "--version", cwd=tmp_path).stdout == f"dalib {dalib.__version__}\n"


def test_nothing_tells_people_to_install_the_other_package() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "dalib").rglob("*.py")]
    wrong = re.compile(r"pip install [\"']?dalib(?!-toolkit)\b")
    assert [path.name for path in pages if wrong.search(path.read_text(encoding="utf-8"))] == []


def test_the_citation_has_the_version_and_the_licence_of_the_package() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {dalib.__version__}\n" in text and "\nlicense: Apache-2.0\n" in text
    assert text.startswith("cff-version: 1.2.0\n")
