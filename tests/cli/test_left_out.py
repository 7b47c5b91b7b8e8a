"""What was left out of the data is said by every command, with its number; so is what a target without labels means."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import HANG
from tests.support.worlds import write_images

Dalib = Callable[..., Any]
NETWORK = ("--backbone", "tiny", "--backbone.frozen", "--steps", "2")
SUITE = """
dataset = "image_folder"
{tasks}
validators = ["source_accuracy"]
backbone = {{ name = "tiny", weights = "pretrained", frozen = true }}
train = {{ steps = 2 }}
algorithms = ["source_only"]
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Domains bright and dark; of dark one picture is no image, and one file is none that is read."""
    root = write_images(tmp_path / "images")
    first = sorted((root / "dark").rglob("*.jpg"))[0]
    first.write_bytes(b"<html>")
    (first.parent / "film.mp4").write_bytes(b"x")
    return root


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Path]:
    def write(tasks: str = 'tasks = ["bright->dark"]') -> Path:
        path = tmp_path / "small.toml"
        path.write_text(SUITE.format(tasks=tasks))
        return path

    return write


def test_train_skips_what_cannot_be_read_only_where_that_is_asked(dalib: Dalib, images: Path, tmp_path: Path) -> None:
    task = ("--dataset", "image_folder", "--data-root", images, "--source", "bright", "--target", "dark")
    refused = dalib("train", *task, *NETWORK, "--algorithm", "source_only")
    assert refused.status == 2 and "--skip-unreadable (skip_unreadable=True) leaves them out" in refused.err[-1]
    answer = dalib("train", *task, *NETWORK, "--algorithm", "source_only", "--skip-unreadable", "--out", tmp_path / "m")
    assert answer.status == 0 and "partial data: 1 unreadable images skipped (dark 1)" in answer.out
    assert re.search(r"note: 1 left out: .*\.mp4 1", answer.out)
    model = tmp_path / "m.safetensors"
    asked = [dalib("predict", model, images / "dark", *more) for more in ((), ("--skip-unreadable",))]
    assert [a.status for a in asked] == [1, 0] and asked[0].out == asked[1].out
    assert "left out 2 files" in asked[1].err[-1]
    measured = dalib("evaluate", model, images, "--domain", "dark", "--skip-unreadable")
    assert measured.status == 0 and "1 unreadable images skipped" in measured.out
    ranked = dalib("rank", "--dataset", "image_folder", "--data-root", images, "--target", "dark", "--skip-unreadable")
    assert ranked.status == 0 and "1 unreadable images skipped (dark 1)" in ranked.out.replace("\n", " ")


def test_run_says_what_was_left_out_and_the_table_how_many(
    dalib: Dalib, images: Path, suite: Callable[..., Path], tmp_path: Path
) -> None:
    where = ("--data-root", images, "--store", tmp_path / "runs", "--tables", tmp_path / "tables")
    planned = dalib("run", suite(), *where, "--dry-run")
    assert "note: read as domain/class/image" in planned.out and ".mp4 1" in planned.out
    answer = dalib("run", suite(), *where, "--skip-unreadable")
    said = [line for line in answer.err if line.startswith("note: ")]
    assert any("skipped dark/" in line for line in said) and any(".mp4 1" in line for line in said)
    assert answer.status == 0 and "1 unreadable images skipped (dark 1)" in " ".join(answer.out.split())
    assert "1 unreadable images skipped" in (tmp_path / "tables" / "small.md").read_text(encoding="utf-8")


def test_verify_and_info_count_what_is_skipped(dalib: Dalib, images: Path) -> None:
    (next((images / "dark").rglob("film.mp4"))).unlink()
    plain, skipping = dalib("data", "verify", images), dalib("data", "verify", images, "--skip-unreadable")
    assert (plain.status, "unreadable  1" in plain.out) == (1, True)
    assert (skipping.status, "skipped  1" in skipping.out) == (0, True)
    info = dalib("data", "info", "image_folder", "--data-root", images, "--skip-unreadable")
    assert "1 unreadable images skipped (dark 1)" in info.out


@pytest.mark.parametrize("tasks", ['tasks = ["bright->new"]', 'tasks = "all"'])
def test_a_suite_says_why_a_target_without_labels_is_in_no_table(
    tasks: str, dalib: Dalib, suite: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_images(tmp_path / "images")
    (root / "new").mkdir()
    for number, picture in enumerate(sorted((root / "dark").rglob("*.jpg"))):
        shutil.copy(picture, root / "new" / f"{number}.jpg")
    shutil.rmtree(root / "dark")
    answer = dalib("run", suite(tasks), "--data-root", root, "--store", tmp_path / "runs")
    assert answer.status == 2 and len(answer.err) == 1
    assert re.search(r"new has no labels, so no table .* dalib train \(dalib\.fit\)", answer.err[0])


def test_a_target_without_labels_goes_from_train_to_predict_and_advise(dalib: Dalib, tmp_path: Path) -> None:
    root = write_images(tmp_path / "images")
    new = tmp_path / "new pictures"
    new.mkdir()
    for number, picture in enumerate(sorted((root / "dark").rglob("*.jpg"))):
        shutil.copy(picture, new / f"{number}.jpg")
    task = ("--dataset", "image_folder", "--data-root", root, "--source", "bright", "--target", new)
    answer = dalib("train", *task, *NETWORK, "--algorithm", "mcc", "--out", tmp_path / "m")
    n = len(list(new.iterdir()))
    assert answer.status == 0 and re.search(rf"accuracy on target +unknown +n = {n}, without labels", answer.out)
    rows = dalib("predict", tmp_path / "m.safetensors", new).out.splitlines()
    assert len(rows) == n + 1
    new.rename(root / "new")
    advice = dalib("advise", root, "--source", "bright", "--target", "new", "--backbone", "tiny")
    assert advice.status == 0 and "--target new" in advice.out and "no suite yet" in advice.out


def test_a_class_called_unknown_is_told_from_rows_that_are_rejected(dalib: Dalib, tmp_path: Path) -> None:
    root = write_images(tmp_path / "images")
    names = sorted(p.name for p in (root / "bright").iterdir())
    for domain in ("bright", "dark"):
        (root / domain / names[0]).rename(root / domain / "unknown")
    task = ("--dataset", "image_folder", "--data-root", root, "--source", "bright", "--target", "dark")
    how = (*NETWORK, "--algorithm", "source_only", "--protocol.reject", "0.01", "--out", tmp_path / "m")
    answer = dalib("train", *task, *how)
    assert "a class is called 'unknown'; rows of none of the classes are called '(unknown)'" in answer.out
    rows = dalib("predict", tmp_path / "m.safetensors", root / "dark").out.splitlines()[1:]
    assert all(row.endswith("(unknown),") for row in rows)


def test_the_command_to_use_a_plugins_model_names_the_plugin(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    from dalib.core.registry import ALGORITHMS

    plugin = tmp_path / "my_idea.py"
    assert dalib("new", "algorithm", "my_idea", "--folder", tmp_path).status == 0
    task = ("--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right", "--steps", "2")
    answer = dalib("train", *task, "--algorithm", "my_idea", "--plugin", plugin, "--out", tmp_path / "m")
    model = tmp_path / "m.safetensors"
    assert answer.out.splitlines()[-1].endswith(f"dalib predict {model} PATH --plugin {plugin}")
    ALGORITHMS.remove("my_idea")
    lacking = dalib("predict", model, f"{world}/good.npz", "--domain", "right")
    assert lacking.status == 2 and "--plugin my_idea.py (dalib.load_plugin)" in lacking.err[0]
    assert dalib("predict", model, f"{world}/good.npz", "--domain", "right", "--plugin", plugin).status == 0
    ALGORITHMS.remove("my_idea")


def test_names_that_are_no_text_go_from_train_to_the_file_of_predictions(dalib: Dalib, tmp_path: Path) -> None:
    root = write_images(tmp_path / "images")
    picture = sorted((root / "dark").rglob("*.jpg"))[0]
    try:
        picture.rename(picture.with_name(os.fsdecode(b"caf\xe9.jpg")))
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    task = ("--dataset", "image_folder", "--data-root", root, "--source", "bright", "--target", "dark")
    assert dalib("train", *task, *NETWORK, "--algorithm", "source_only", "--out", tmp_path / "m").status == 0
    assert dalib("predict", tmp_path / "m.safetensors", root / "dark", "--out", tmp_path / "x.csv").status == 0
    assert b"caf\xe9.jpg," in (tmp_path / "x.csv").read_bytes()
    assert dalib("data", "verify", root).status in (0, 1)


SCRIPT = """
import dalib
dalib.run_suite({suite!r}, root={root!r}, store={store!r}, jobs=2)
"""


def test_several_jobs_in_a_script_without_the_main_guard_say_what_is_missing(
    suite: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_images(tmp_path / "images")
    script = tmp_path / "script.py"
    how = {"root": str(root), "store": str(tmp_path / "runs")}
    script.write_text(SCRIPT.format(suite=str(suite('tasks = "all"')), **how))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=HANG)
    words = "worker processes do not start; in a script, call run_suite below `if __name__ == '__main__':`"
    assert done.returncode == 1 and words in done.stderr.splitlines()[-1]


def test_the_same_command_writes_the_same_bytes_whatever_the_hashes_and_the_cache(tmp_path: Path) -> None:
    root = write_images(tmp_path / "images")
    task = ["--dataset", "image_folder", "--data-root", str(root), "--source", "bright", "--target", "dark"]
    recipe = ["--algorithm", "dann", "--backbone", "tiny", "--crop", "32", "--steps", "2", "--batch-size", "4"]
    models = set()
    for number, changed in enumerate(
        ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "DALIB_CACHE": f"{tmp_path}/c"})
    ):
        out = tmp_path / f"m{number}.safetensors"
        command = [sys.executable, "-m", "dalib.cli", "train", *task, *recipe, "--out", str(out)]
        subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1", **changed}, check=True, timeout=HANG)
        models.add(out.read_bytes())
    assert len(models) == 1
