"""Every registered table format keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dalib.checks.format import FORMAT_CHECKS
from dalib.core.registry import FORMATS


@pytest.mark.parametrize("check", FORMAT_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", FORMATS.names())
def test_format_keeps_its_contract(name: str, check: Callable[[Any], None]) -> None:
    check(FORMATS.get(name))
