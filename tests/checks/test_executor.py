"""The executors that ship pass the checks."""

from __future__ import annotations

import sys

import pytest

from dalib.checks import check_executor
from dalib.core.registry import EXECUTORS


@pytest.mark.parametrize("name", EXECUTORS.names())
def test_every_executor_passes_its_checks(name: str) -> None:
    module = sys.modules[EXECUTORS.get(name).__module__]
    if missing := getattr(module, "find_missing", str)():
        pytest.skip(missing)
    if getattr(module, "read_queue", dict)() is None:
        pytest.skip(f"the commands of {name} are here, but nothing answers them")
    results = check_executor(EXECUTORS.get(name), name)
    assert len(results) == 4 and not [r for r in results if not r.passed]
