"""What an executor is handed of each run: its place, its device, its processes, who judges it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dalib.bench.jobs import RUN_SHARED, RunOptions, make_jobs, pick_judges
from dalib.bench.plan import plan
from dalib.bench.runner import run_suite
from dalib.core.errors import DalibError
from dalib.records.store import Store
from tests.support.box_folders import write_box_folder
from tests.support.worlds import write_features


def test_a_job_has_its_checkpoint_stamp_and_plugins_and_rows_with_devices_are_shared(
    suite: Any, tmp_path: Path
) -> None:
    runs, store = plan(suite).runs[:2], Store(tmp_path / "runs")
    stamps = {run.key: number for number, run in enumerate(runs, 5)}
    how = RunOptions(device="cpu", plugins=("mine.py",), detach=True)
    jobs = make_jobs(runs, stamps, store, how, ("entropy",), suite)
    assert [(j.key, j.label, j.stamp) for j in jobs] == [(r.key, r.label, stamps[r.key]) for r in runs]
    for job in jobs:
        where = job.context
        assert where.checkpoint == str(store.checkpoint(job.key)) and where.plugins == (str(Path("mine.py").resolve()),)
        assert (where.validators, where.track, where.label) == (
            ("entropy",), (), "",
        )  # fmt: skip
        assert where.processes == 1 and job.run != RUN_SHARED
    rows = {label: row.model_copy(update={"devices": 3}) for label, row in suite.algorithms.items()}
    shared = suite.model_copy(update={"algorithms": rows})
    deep = [run for run in plan(shared).runs if run.label == "source_only"][:1]
    (job,) = make_jobs(deep, {deep[0].key: 0}, store, how, None, shared)
    assert (job.context.processes, job.run) == (3, RUN_SHARED)
    (job,) = make_jobs(deep, {deep[0].key: 0}, store, RunOptions(run="mine:run", device="cpu"), None, shared)
    assert (job.context.processes, job.run) == (3, "mine:run")


def test_all_validators_judge_or_those_that_are_named_and_known(suite: Any) -> None:
    assert pick_judges(suite.model_copy(update={"validators": "all"})) is None
    assert pick_judges(suite.model_copy(update={"validators": ["entropy"]})) == ("entropy",)
    with pytest.raises(DalibError, match="no validator named 'entropie'"):
        pick_judges(suite.model_copy(update={"validators": ["entropie"]}))


@pytest.mark.parametrize("row", ["sdat = { devices = 2 }", "coral = { devices = 2 }", "dann = { devices = 65 }"])
def test_what_processes_cannot_share_is_refused_before_anything_runs(tmp_path: Path, row: str) -> None:
    data = write_features(tmp_path / "rows.npz")
    text = (
        f'dataset = "features:{data}"\ntasks = ["left->right"]\nseeds = [0]\n[train]\nbatch_size = 64\n[algorithms]\n'
    )
    (tmp_path / "bad.toml").write_text(f"{text}source_only = {{}}\n{row}\n")
    for dry_run in (True, False):
        with pytest.raises(DalibError, match=rf"suite bad: row {row.split()[0]}: devices = \d+: .*; start "):
            run_suite(tmp_path / "bad.toml", store=tmp_path / "runs", device="cpu", dry_run=dry_run)
    assert not list(Store(tmp_path / "runs").records())


def test_detection_over_processes_is_refused_before_anything_runs(tmp_path: Path) -> None:
    root = write_box_folder(tmp_path / "boxes")
    text = 'dataset = "box_folder"\nseeds = [0]\n[backbone]\nname = "tiny"\nweights = "pretrained"\n[algorithms]\n'
    (tmp_path / "bad.toml").write_text(f"{text}source_only = {{}}\ndann = {{ devices = 2 }}\n")
    with pytest.raises(DalibError, match=r"suite bad: row dann: devices = 2: .* detection .*; leave devices out"):
        run_suite(tmp_path / "bad.toml", root=root, store=tmp_path / "runs", device="cpu", dry_run=True)
