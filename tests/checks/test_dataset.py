"""Every registered data set keeps the contract."""

from __future__ import annotations

import pytest

from dalib.checks import check_dataset
from dalib.checks.dataset import check_generator_makes_what_is_declared
from dalib.core.registry import DATASETS


@pytest.mark.parametrize("name", DATASETS.names())
def test_dataset_keeps_its_contract(name: str) -> None:
    assert [f"{r.name}: {r.message}" for r in check_dataset(DATASETS.get(name), name) if not r.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in DATASETS.names() if DATASETS.get(n).generator])
def test_a_generated_dataset_is_what_it_declares(name: str) -> None:
    check_generator_makes_what_is_declared(DATASETS.get(name))
