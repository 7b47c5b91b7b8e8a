"""Every registered validator keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dalib.checks.validator import VALIDATOR_CHECKS
from dalib.core.registry import VALIDATORS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", VALIDATOR_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", VALIDATORS.names())
def test_validator_keeps_its_contract(name: str, check: Callable[[Any], None]) -> None:
    check(VALIDATORS.get(name))
