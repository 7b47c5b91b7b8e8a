"""Other systems: no `resource` or `fcntl`, terminals that are not UTF-8, devices that are not there, a full disk."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dalib.cli import main
from dalib.cli._errors import explain
from dalib.core.errors import DalibError
from dalib.core.seeds import LARGEST_SEED
from dalib.core.text import disarm, show_control
from dalib.data import unpacking
from dalib.data.listing import Listing
from dalib.records.store import Store
from dalib.report.formats.md import escape
from dalib.train.device import peak_memory, pick_device

WITHOUT = """
import sys
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
from dalib.cli import main
sys.exit(main(sys.argv[1:]))
"""
TRAIN = ["train", "--dataset", "features:toy.npz", "--source", "a", "--target", "b", "--algorithm", "dann"]


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    arrays = {f"{d}_x": chance.normal(size=(12, 4)).astype(np.float32) for d in "ab"}
    np.savez("toy.npz", **arrays, **{f"{d}_y": np.arange(12) % 2 for d in "ab"})
    suite = 'title = "a → b − ×"\ndataset = "features:toy.npz"\ntasks = ["a->b"]\n'
    suite += "[train]\nsteps = 2\n[algorithms.source_only]\n"
    Path("tiny.toml").write_text(suite, encoding="utf-8")


def test_without_the_modules_of_unix_training_and_suites_run() -> None:
    for args in ([*TRAIN, "--train.steps", "2", "--out", "m"], ["run", "tiny.toml", "--store", "runs"]):
        ran = subprocess.run([sys.executable, "-c", WITHOUT, *args], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_a_terminal_that_lacks_characters_gets_them_spelt_and_the_table_is_written(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "dalib.cli", "run", "tiny.toml", "--store", "runs", "--tables", "tables"]
    ran = subprocess.run(command, capture_output=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert b"\\u2192" in ran.stdout
    assert "a → b − ×" in Path("tables/tiny.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["mps", "xpu", "meta", "hpu", "vulkan", "privateuseone", "ipu", "xla"])
def test_a_device_that_cannot_compute_is_refused(name: str) -> None:
    if name == "mps" and torch.backends.mps.is_available():
        pytest.skip("it is there")
    with pytest.raises(DalibError, match=f"'{name}' is not available here; use auto or cpu|no device '{name}'"):
        pick_device(name)
    assert main([*TRAIN, "--device", name]) == 2


def test_the_processor_is_a_device_and_memory_is_told() -> None:
    assert pick_device("cpu").type == "cpu"
    assert set(peak_memory(torch.device("cpu"))) == {"host", "device"}


@pytest.mark.parametrize("seed", [0, 2**32, 2**53 + 1, LARGEST_SEED])
def test_every_seed_up_to_the_largest_trains(seed: int) -> None:
    assert main([*TRAIN, "--train.steps", "1", "--seed", str(seed)]) == 0


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 2**63, 2**64, 10**30])
def test_other_seeds_are_refused(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--train.steps", "1", "--seed", str(seed)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    Path("seeds.toml").write_text(f'dataset = "features:toy.npz"\nseeds = [{seed}]\n[algorithms.source_only]\n')
    assert main(["run", "seeds.toml", "--dry-run"]) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), "x: No space left on device; the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "read-only: choose another"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "check the path and its permissions"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 4e12 bytes"), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "out of memory"),
        (RuntimeError("CUDA error: out of memory"), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory"),
        (MemoryError(), "out of memory"),
        (DalibError("\x1b[31mred\x07"), "\\x1b[31mred\\x07"),
    ],
)  # fmt: skip
def test_what_the_system_says_comes_with_its_own_remedy(error: Exception, words: str) -> None:
    explained = explain(error)
    assert explained is not None and words in explained[0]


def test_escape_sequences_are_spelt_and_spreadsheets_and_markdown_disarmed() -> None:
    assert show_control("a\x1b]0;x\x07\x9b31m\u202eb\nc\td") == "a\\x1b]0;x\\x07\\x9b31m\\u202eb\nc\td"
    assert [disarm(v) for v in ("=1+1", "+x", "-x", "@x", "\tx", "-1.5", "+2", "x=1", -3, "")] == [
        "'=1+1", "'+x", "'-x", "'@x", "'\tx", "-1.5", "+2", "x=1", -3, "",
    ]  # fmt: skip
    assert escape("[x](javascript:alert(1))") == "[x\\](javascript:alert(1))"


def test_names_in_tables_are_disarmed(capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("tiny.toml").read_text(encoding="utf-8").replace("[algorithms.source_only]", "")
    text += '[algorithms."=cmd()"]\nalgorithm = "source_only"\n[algorithms."\\u001b[31mx](y)"]\nalgorithm = "dann"\n'
    Path("bad.toml").write_text(text, encoding="utf-8")
    assert main(["run", "bad.toml", "--store", "runs", "--tables", "tables"]) == 0
    out = capsys.readouterr()
    assert "\x1b[31mx" not in out.out + out.err
    sheet, page = (Path("tables/bad").with_suffix(ending).read_text() for ending in (".csv", ".md"))
    assert "\n=cmd" not in sheet and "'=cmd()" in sheet
    assert "\x1b" not in page and "31mx\\](y)" in page


def test_streams_that_are_no_text_files_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(["--version"]) == 0


def test_a_tar_of_names_that_are_one_to_this_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows `Cat` and `cat` are one folder: the second picture would take the place of the first."""

    def as_elsewhere(path: Path) -> bool:
        return any(str(p).casefold() == str(path).casefold() for p in path.parent.parent.rglob("*"))

    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("a/Cat/1.png", "a/cat/1.png", "a/cat/1.png"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"png"))
    assert Listing(tmp_path / "x.tar").images == ["a/Cat/1.png", "a/cat/1.png"], "here they are two"
    os.utime(tmp_path / "x.tar", (1, 1))
    monkeypatch.setattr(unpacking, "_is_there", as_elsewhere)
    with pytest.raises(DalibError, match=r"holds a/cat/1\.png and another file whose name is the same to this system"):
        Listing(tmp_path / "x.tar")


def test_a_zip_keeps_names_apart_that_the_system_does_not(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("a/Cat/1.png", "a/cat/1.png"):
            archive.writestr(name, name)
    found = Listing(tmp_path / "x.zip")
    assert [found.read(name).decode() for name in found.images] == ["a/Cat/1.png", "a/cat/1.png"]


def test_another_suite_s_file_is_not_taken_where_case_does_not_count() -> None:
    assert main(["run", "tiny.toml", "--store", "runs", "--no-table"]) == 0
    shutil.copy("runs/manifests/tiny.json", "runs/manifests/Tiny.json")  # what such a system finds under that name
    assert Store("runs").manifest("tiny").name == "tiny"
    with pytest.raises(DalibError, match="no suite with runs named 'Tiny'"):
        Store("runs").manifest("Tiny")


def test_workers_are_started_anew_as_other_systems_start_them() -> None:
    """Nothing that a fork would hand on is needed: neither loaded plug-ins nor patched modules."""
    code = "import multiprocessing, sys\nfrom dalib.cli import main\n"
    code += "if __name__ == '__main__':\n  multiprocessing.set_start_method('spawn')\n  sys.exit(main(sys.argv[1:]))"
    Path("start.py").write_text(code)
    command = [sys.executable, "start.py", "run", "tiny.toml", "--store", "runs", "--jobs", "2", "--no-table"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(list(Store("runs").records())) == 1
