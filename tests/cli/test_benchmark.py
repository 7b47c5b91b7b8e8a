"""The main job from the command line: run, table, export, and going on after a kill."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dalib.core.registry import ALGORITHMS, REGISTRIES

Dalib = Callable[..., Any]
FEATURES = """
title = "two domains"
dataset = "features:{w}/good.npz"
seeds = [0, 1]
[train]
steps = {steps}
evaluations = 2
[algorithms]
source_only = {{}}
dann = {{ weight = 0.5 }}
linear_probe = {{}}
"""
IMAGES = """
dataset = "image_folder"
root = "{w}/images"
tasks = ["bright->dark"]
[backbone]
name = "resnet18"
weights = "none"
[train]
steps = 2
crop = 32
batch_size = 6
[algorithms]
source_only = {{}}
dann = {{}}
"""


@pytest.fixture(scope="module")
def finished(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite, its records and its tables."""
    from dalib.cli import main

    root = tmp_path_factory.mktemp("finished")
    (root / "small.toml").write_text(FEATURES.format(w=world, steps=20))
    assert main(["run", f"{root}/small.toml", "--store", f"{root}/runs", "--tables", f"{root}/tables"]) == 0
    return root


def places(root: Path) -> tuple[object, ...]:
    return (root / "small.toml", "--store", root / "runs")


def stamps(store: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_mtime_ns for path in store.glob("??/*.json")}


def test_every_run_has_a_record_and_tables_are_written(finished: Path) -> None:
    assert len(stamps(finished / "runs")) == 2 * 3 * 2
    assert {path.name for path in (finished / "tables").iterdir()} == {"small.md", "small.csv"}


def test_a_second_call_runs_nothing_and_prints_the_table(dalib: Dalib, finished: Path) -> None:
    before = stamps(finished / "runs")
    answer = dalib("run", *places(finished), "--tables", finished / "tables")
    assert answer.status == 0
    assert stamps(finished / "runs") == before
    for part in ("source_only", "dann", "linear_probe", "L→R", "R→L", "±", "All 12 runs succeeded", "small.md"):
        assert part in answer.out
    assert any("0 runs done, 12 had a record" in line for line in answer.err)


def test_a_dry_run_writes_nothing(dalib: Dalib, finished: Path, tmp_path: Path) -> None:
    answer = dalib("run", finished / "small.toml", "--store", tmp_path / "runs", "--dry-run", "--only", "dann")
    assert answer.status == 0
    assert "4 to run" in answer.out
    assert not list(tmp_path.iterdir())


def test_every_format_holds_the_mean_of_the_records(dalib: Dalib, finished: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(dalib("table", *places(finished), "--format", "csv").out)))
    records = [json.loads(path.read_text()) for path in (finished / "runs").glob("??/*.json")]
    for row in rows:
        found = [
            r["candidates"][-1]["metrics"]["target_accuracy"]
            for r in records
            if (r["spec"]["algorithm"], r["spec"]["source"]) == (row["algorithm"], row["source"])
        ]
        mean = 100 * sum(found) / len(found)
        assert float(row["mean"]) == pytest.approx(mean, abs=1e-3)
        for kind in ("terminal", "md", "latex", "html", "rst"):
            assert f"{mean:.1f}" in dalib("table", *places(finished), "--format", kind).out
    assert {row["algorithm"] for row in rows} == {"source_only", "dann", "linear_probe"}


@pytest.mark.parametrize("rule", ["last", "oracle"])
def test_the_selection_is_named(rule: str, dalib: Dalib, finished: Path) -> None:
    assert f"Selection, {rule}" in dalib("table", *places(finished), "--select", rule, "--format", "md").out


def test_other_metrics_published_numbers_and_classes_can_be_asked_for(dalib: Dalib, finished: Path) -> None:
    macro = dalib("table", *places(finished), "--metric", "target_macro_f1", "--format", "md").out
    assert "Target macro f1" in macro
    assert "No published numbers" in dalib("table", *places(finished), "--published").out
    classes = dalib("table", *places(finished), "--per-class", "dann", "--task", "left->right").out
    assert classes.count("## dann") == 2
    assert "Recall" in classes
    assert "0 of 12 runs failed" in dalib("table", *places(finished), "--failures").out


def test_a_table_goes_to_a_file_or_a_folder(dalib: Dalib, finished: Path, tmp_path: Path) -> None:
    printed = dalib("table", *places(finished), "--format", "latex").out
    dalib("table", *places(finished), "--format", "latex", "--out", tmp_path / "deep" / "t.tex")
    assert (tmp_path / "deep" / "t.tex").read_text().strip() == printed.strip()
    for formats, endings in ((), {"md", "csv"}), (("--formats", "latex,html,md"), {"tex", "html", "md"}):
        folder = tmp_path / "-".join(sorted(endings))
        written = dalib("table", *places(finished), "--write", folder, *formats).out.splitlines()
        assert {path.suffix[1:] for path in folder.iterdir()} == {Path(line).suffix[1:] for line in written} == endings


def test_a_metric_and_a_format_of_ones_own_join_records_and_tables(
    dalib: Dalib, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_extra", dict(registry._extra))
    for kind in ("metric", "format"):
        assert dalib("new", kind, f"own_{kind}", "--folder", tmp_path).status == 0
    shutil.copytree(finished / "runs", tmp_path / "runs")
    suite = (finished / "small.toml", "--store", tmp_path / "runs")
    assert "12 records rescored" in dalib("rescore", *suite, "--plugin", tmp_path / "own_metric.py").out
    table = dalib("table", *suite, "--metric", "target_own_metric", "--format", "own_format", "--plugin",
                  tmp_path / "own_metric.py", "--plugin", tmp_path / "own_format.py")  # fmt: skip
    recall = dalib("table", *suite, "--metric", "target_macro_recall", "--format", "own_format").out
    columns = [[line.split("\t") for line in text.splitlines()[1:4]] for text in (table.out, recall)]
    for error, hit in zip(*columns, strict=True):
        assert float(error[3].split()[0]) == pytest.approx(100 - float(hit[3].split()[0]), abs=0.11)
        assert error[4] == hit[4], "ranks of an error rate are those of the recall"


def test_exported_records_give_the_same_table_without_store_and_suite(
    dalib: Dalib, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = dalib("table", *places(finished), "--format", "md").out
    out = tmp_path / "small.jsonl"
    answer = dalib("export", *places(finished), "--out", out)
    assert (answer.status, "12 records" in answer.out) == (0, True)
    monkeypatch.chdir(tmp_path)
    assert dalib("table", "small", "--records", out, "--format", "md").out == expected


def test_a_plug_in_joins_the_suite_without_an_edit(dalib: Dalib, finished: Path, tmp_path: Path) -> None:
    dalib("new", "algorithm", "guest", "--folder", tmp_path)
    options = ("--plugin", tmp_path / "guest.py", "--only", "guest", "--tables", tmp_path / "tables")
    try:
        answer = dalib("run", finished / "small.toml", "--store", tmp_path / "runs", *options)
    finally:
        ALGORITHMS.remove("guest")
    assert answer.status == 0
    assert "guest" in answer.out
    assert len(stamps(tmp_path / "runs")) == 4


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_table_fits_the_terminal_without_losing_a_column(width: int, finished: Path) -> None:
    from dalib.records.store import Store
    from dalib.report.formats.terminal import render_terminal
    from dalib.report.layout import make_sheet
    from dalib.report.table import build_table

    text = render_terminal(make_sheet(build_table(Store(finished / "runs"), "small")), width)
    assert max(map(len, text.splitlines())) <= width
    headers = "".join(line for line in text.splitlines() if line.startswith("┃"))
    for column in ("L→R", "R→L", "Average", "Rank", "vs source_only", " n ┃"):
        assert headers.count(column) == 1


def test_a_failed_run_is_status_1_and_says_why(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    text = FEATURES.format(w=world, steps=5).replace("dann = { weight = 0.5 }", "dann = { train = { lr = 1e30 } }")
    (tmp_path / "small.toml").write_text(text)
    only = ("--only", "dann", "--only", "linear_probe", "--tables", tmp_path / "tables")
    answer = dalib("run", *places(tmp_path), *only)
    assert answer.status == 1
    assert "4 runs failed" in answer.err[-1]
    assert "--failures" in answer.err[-1]
    assert "failed 2/2" in answer.out
    reasons = dalib("table", *places(tmp_path), "--failures").out
    assert reasons.count("loss term") == 4
    assert dalib("run", *places(tmp_path), "--only", "linear_probe", "--no-table").status == 0
    (tmp_path / "small.toml").write_text(text.replace("1e30", "0.01"))
    assert dalib("run", *places(tmp_path), "--only", "dann", "--no-table").status == 0


def test_images_run_from_files_to_table(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(IMAGES.format(w=world))
    answer = dalib("run", *places(tmp_path), "--tables", tmp_path / "tables")
    assert answer.status == 0
    assert "resnet18 (random weights), fine-tuned" in (tmp_path / "tables" / "small.md").read_text()
    assert len(stamps(tmp_path / "runs")) == 2


def test_ctrl_c_keeps_what_is_done(dalib: Dalib, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dalib.bench import work

    done = work.do_job

    def interrupt_third(job: Any) -> Any:
        if len(stamps(tmp_path / "runs")) == 2:
            raise KeyboardInterrupt
        return done(job)

    (tmp_path / "small.toml").write_text(FEATURES.format(w=world, steps=2))
    with monkeypatch.context() as patch:
        patch.setattr("dalib.bench.fleet.do_job", interrupt_third)
        answer = dalib("run", *places(tmp_path), "--no-table")
    assert answer.status == 130
    assert "the same command runs the 10 left" in answer.err[-1]
    before = stamps(tmp_path / "runs")
    assert dalib("run", *places(tmp_path), "--no-table").status == 0
    after = stamps(tmp_path / "runs")
    assert len(after) == 12
    assert before.items() <= after.items()


DIES_IN_A_RUN = """
import os, signal, sys
from pathlib import Path
import dalib.bench.runner
from dalib.cli import main
from dalib.train.descent import Descent
dalib.bench.execution.count_cores = lambda: 1
store, draw = Path(sys.argv[sys.argv.index("--store") + 1]), Descent.draw

def draw_or_die(self):
    if self.step == 30 and len(list(store.glob("??/*.json"))) >= 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(self)

Descent.draw = draw_or_die
main()
"""


def test_after_kill_9_the_same_command_goes_on(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(FEATURES.format(w=world, steps=60))
    command = [sys.executable, "-c", DIES_IN_A_RUN, "run", *map(str, places(tmp_path)), "--no-table"]
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    before = stamps(tmp_path / "runs")
    assert 2 <= len(before) < 12, "killed in the middle of a run"
    assert dalib("run", *places(tmp_path), "--no-table").status == 0
    after = stamps(tmp_path / "runs")
    assert len(after) == 12
    assert before.items() <= after.items(), "nothing ran twice"
    assert not list((tmp_path / "runs").rglob("*.part"))
