"""Every registered forecast keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dalib.checks.forecast import FORECAST_CHECKS
from dalib.core.registry import FORECASTS


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("check", FORECAST_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", FORECASTS.names())
def test_forecast_keeps_its_contract(name: str, check: Callable[[Any], None]) -> None:
    check(FORECASTS.get(name))
