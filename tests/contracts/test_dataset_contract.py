"""Every registered data set keeps the contract."""

from __future__ import annotations

import pytest

from dalib.checks import check_dataset
from dalib.core.registry import DATASETS


@pytest.mark.parametrize("name", DATASETS.names())
def test_dataset_keeps_its_contract(name: str) -> None:
    assert [f"{r.name}: {r.message}" for r in check_dataset(DATASETS.get(name), name) if not r.passed] == []
