"""With several workers the longest runs start first; GPUs are taken in turn; no record depends on it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from dalib.bench.plan import plan
from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.bench.schedule import assign_devices, expected_cost, longest_first
from dalib.records.store import Store


def test_the_longest_runs_come_first_and_equal_ones_stay_in_order(suite: Any) -> None:
    runs = plan(suite).runs
    ordered = longest_first(runs, jobs=2)
    assert [r.label for r in ordered] == ["strong"] * 6 + ["source_only"] * 6
    assert [r for r in ordered if r.label == "strong"] == [r for r in runs if r.label == "strong"]
    assert longest_first(runs, jobs=1) == runs


def test_cost_grows_with_steps_rows_and_a_trained_network(suite: Any) -> None:
    spec = plan(suite).runs[0].spec
    base = expected_cost(spec)
    assert expected_cost(spec.model_copy(update={"train": spec.train.model_copy(update={"steps": 14})})) == 2 * base
    assert (
        expected_cost(spec.model_copy(update={"train": spec.train.model_copy(update={"batch_size": 64})})) == 2 * base
    )
    resnet = spec.backbone.model_copy(update={"name": "resnet18"})
    assert expected_cost(spec.model_copy(update={"backbone": resnet})) > 50 * base
    frozen = resnet.model_copy(update={"frozen": True})
    assert expected_cost(spec.model_copy(update={"backbone": frozen})) == base


def test_a_solved_method_takes_no_steps(suite: Any) -> None:
    spec = plan(suite).runs[0].spec.model_copy(update={"algorithm": "coral"})
    assert expected_cost(spec) == expected_cost(
        spec.model_copy(update={"train": spec.train.model_copy(update={"steps": 10**6})})
    )


def test_gpus_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert assign_devices("auto", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert assign_devices("cuda", 2) == ["cuda:0", "cuda:1"]
    assert assign_devices("cuda:1", 2) == ["cuda:1", "cuda:1"]
    assert assign_devices("cpu", 2) == ["cpu", "cpu"]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert assign_devices("auto", 2) == ["auto", "auto"]


def test_workers_start_the_longest_and_records_are_those_of_one_worker(suite: Any, tmp_path: Path) -> None:
    def go(jobs: int) -> dict[str, dict[str, float]]:
        store = tmp_path / f"store{jobs}"
        quiet = LineProgress(io.StringIO())
        run_suite(
            suite, store=store, jobs=jobs, run="tests.support.fake_runs:sleep_briefly", progress=quiet, device="cpu"
        )
        return {r.key: r.candidates[-1].metrics for r in Store(store).records()}

    log = tmp_path / "log"
    two = go(2)
    order = [line.split()[0] for line in log.read_text().splitlines()]
    labels = {r.key: r.label for r in plan(suite).runs}
    early, late = ([labels[key] for key in part].count("strong") for part in (order[:6], order[6:]))
    assert early >= 5
    assert late <= 1, "only a run that the other worker was at meanwhile"
    assert go(1) == two
