from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dalib.data.catalog import load_data
from dalib.data.loaded import LoadedData
from tests.support.split_world import SIZES


@pytest.fixture
def data(tmp_path: Path) -> LoadedData:
    """Row i of domain a holds [i, 0], of domain b [i, 1], so that rows can be recognised."""
    arrays = {}
    for d, sizes in enumerate(SIZES.values()):
        y = np.random.default_rng(d).permutation(np.repeat(np.arange(5), sizes))
        arrays[f"{'ab'[d]}_x"] = np.stack([np.arange(len(y)), np.full(len(y), d)], 1).astype(float)
        arrays[f"{'ab'[d]}_y"] = y
        arrays[f"{'ab'[d]}_names"] = np.array([f"{'ab'[d]}{i}" for i in range(len(y))])
    np.savez(tmp_path / "f.npz", **arrays)
    return load_data(f"features:{tmp_path / 'f.npz'}")
