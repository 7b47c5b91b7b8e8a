"""Peak memory is of a process alone, not of what the one that started it had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CHILD = "import torch; from dalib.train.device import peak_memory; print(peak_memory(torch.device('cpu'))['host'])"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells a peak that a child inherits")
def test_a_large_parent_adds_nothing_to_the_peak_of_its_child() -> None:
    def ask() -> int:
        told = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, timeout=120)
        return int(told.stdout)

    before = ask()
    assert before > 20e6
    large = np.ones(150_000_000)  # 1.2 GB
    assert large[-1] == 1 and ask() == pytest.approx(before, rel=0.2)
