"""Every registered objective keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dalib.checks.objective import OBJECTIVE_CHECKS
from dalib.core.registry import OBJECTIVES


@pytest.mark.parametrize("check", OBJECTIVE_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_objective_keeps_its_contract(name: str, check: Callable[[Any], None]) -> None:
    check(OBJECTIVES.get(name))
