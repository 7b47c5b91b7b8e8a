"""Shared fixtures: one thread per worker, the real data where there is some, and a suite of fake runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.suites"]
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real test data (`DALIB_DATA`, or ../shared/data beside the checkout)."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    for root in (Path(os.environ["DALIB_DATA"]) if "DALIB_DATA" in os.environ else beside, beside):
        if (root / "office_caltech10_surf.npz").is_file():
            return root
    pytest.skip(f"real data not found: set DALIB_DATA or put it in {beside}")


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests never write to the user's cache."""
    before = os.environ.get("DALIB_CACHE")
    os.environ["DALIB_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["DALIB_CACHE"]
    else:
        os.environ["DALIB_CACHE"] = before
