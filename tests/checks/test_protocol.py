"""Every registered protocol keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dalib.checks.protocol import PROTOCOL_CHECKS
from dalib.core.registry import PROTOCOLS


@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", PROTOCOLS.names())
def test_protocol_keeps_its_contract(name: str, check: Callable[[Any], None]) -> None:
    check(PROTOCOLS.get(name))
