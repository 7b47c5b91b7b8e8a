"""A tiny suite of fake runs, and a count of how often each was started."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dalib.bench.suite import load_suite

TEXT = """
dataset = "features:toy.npz"
seeds = [0, 1, 2]
tasks = ["a->b", "b->a"]
[train]
steps = 7
lr = 0.02
[algorithms.source_only]
[algorithms.strong]
algorithm = "dann"
weight = 0.5
train = { lr = 0.003 }
"""


@pytest.fixture
def suite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tasks × two rows × three seeds = 12 runs on a tiny feature file; FAKE_LOG is set."""
    rng = np.random.default_rng(0)
    arrays = {f"{d}_x": rng.normal(size=(8, 4)).astype(np.float32) for d in "abc"}
    np.savez(tmp_path / "toy.npz", **arrays, **{f"{d}_y": np.arange(8) % 2 for d in "abc"})
    (tmp_path / "demo.toml").write_text(TEXT)
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    return tmp_path / "demo.toml"


@pytest.fixture
def suite(suite_file: Path):
    return load_suite(suite_file)


@pytest.fixture
def starts(tmp_path: Path):
    """How often each key was run."""

    def count() -> Counter:
        log = tmp_path / "log"
        return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()

    return count
