"""Every registered transferability measure keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dalib.checks.measure import MEASURE_CHECKS
from dalib.core.registry import MEASURES


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("check", MEASURE_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", MEASURES.names())
def test_measure_keeps_its_contract(name: str, check: Callable[[Any], None]) -> None:
    check(MEASURES.get(name))
