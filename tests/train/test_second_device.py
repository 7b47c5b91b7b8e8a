"""Nothing is left on the CPU by mistake: fits on another device, an emulated one, end as on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dalib.core.registry import ALGORITHMS
from tests.support.far_device import AVAILABLE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs a PyTorch that can register a device from Python")


def run(which: str) -> dict[str, str]:
    """What went wrong, by case; in a process of its own, since a device cannot be registered after a backward pass."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.far_fits", which], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert not done.returncode, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_every_algorithm_fits_on_a_second_device_with_the_numbers_of_the_cpu() -> None:
    found = run("algorithms")
    assert found.keys() == set(ALGORITHMS.names())
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_so_do_images_validators_model_files_fleets_and_several_tasks() -> None:
    found = run("rest")
    assert "tensors on far:0 and on the CPU" in found.pop("careless")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert len(found) == 14
