"""A row with `devices = N`: each of its runs is shared by processes, and its record is that of one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from dalib.assemble import RunContext
from dalib.bench.describe import describe_run
from dalib.bench.runner import run_suite
from dalib.bench.shared import SIGNALS, run_shared
from dalib.bench.suite import load_suite
from dalib.records.store import Store
from tests.support.worlds import write_features

PLUGIN = """
import os
import signal
import time
import torch.distributed as dist
from dalib import Algorithm
from dalib.core.hyper import choice

class Failing(Algorithm):
    way: str = choice(default="raise", options=("raise", "kill"), doc="how")

    def adapt(self, source, target, progress):
        if dist.is_initialized() and dist.get_rank() == 1:
            if self.way == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("the second process stumbles")
        if self.way == "kill":
            time.sleep(60)  # so that this process is ended by the launcher, and is not the one to be named
        return {}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_features(tmp_path / "rows.npz")


def test_a_suites_shared_runs_have_the_records_of_one_process(data: Path, tmp_path: Path) -> None:
    text = f'dataset = "features:{data}"\ntasks = ["left->right"]\nseeds = [0]\n[train]\nsteps = 12\n[algorithms]\n'
    records = []
    for name, row in (("alone", "dann = {}"), ("shared", "dann = { devices = 2 }")):
        suite = tmp_path / f"{name}.toml"
        suite.write_text(text + row + "\n")
        summary = run_suite(suite, store=tmp_path / name, device="cpu")
        assert (summary.done, summary.failed) == (1, 0)
        records += list(Store(tmp_path / name).records())
    alone, shared = records
    assert shared.key == alone.key and shared.provenance["processes"] == 2 and "processes" not in alone.provenance
    assert [c.metrics for c in shared.candidates] == [c.metrics for c in alone.candidates]
    assert shared.counts == alone.counts and len(shared.curve["step"]) == len(alone.curve["step"])
    assert shared.curve["classification"] == pytest.approx(alone.curve["classification"], rel=1e-4)


@pytest.mark.parametrize(("way", "type_", "words"), [
    ("raise", "RuntimeError", "the second process stumbles"),
    ("kill", "WorkerDied", "no word from process 1 of 2"),
])  # fmt: skip
def test_one_process_that_fails_or_dies_is_the_runs_failure(
    data: Path, tmp_path: Path, way: str, type_: str, words: str
) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(PLUGIN)
    spec = describe_run(f"features:{data}", "left", "right", "source_only", train={"steps": 3})
    spec = spec.model_copy(update={"algorithm": "failing", "hparams": {"way": way}})
    record, _ = run_shared(spec, RunContext(device="cpu", plugins=(str(plugin),), processes=2))
    assert record.status == "failed" and record.error is not None
    assert record.error.type == type_ and words in record.error.message


def test_a_row_asks_for_one_device_or_more(data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(f'dataset = "features:{data}"\n[algorithms]\ndann = {{ devices = 0 }}\n')
    with pytest.raises(Exception, match="devices"):
        load_suite(tmp_path / "bad.toml")


def test_after_a_shared_run_signals_are_those_of_before(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    spec = describe_run(f"features:{data}", "left", "right", "source_only", train={"steps": 3})
    bad = spec.model_copy(update={"train": spec.train.model_copy(update={"batch_size": 1})})
    record, _ = run_shared(bad, RunContext(device="cpu", processes=2))
    assert record.status == "failed" and record.error is not None and "batches of 1 rows" in record.error.message
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert "Traceback" not in capfd.readouterr().err
