"""Every registered listener that can be asked for keeps the contract; the others are parts of the trainer."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from dalib.checks.listener import LISTENER_CHECKS
from dalib.core.registry import LISTENERS
from dalib.train.tracking import Tracker
from dalib.train.trainer import OWN_LISTENERS


@pytest.mark.parametrize("check", LISTENER_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", [n for n in LISTENERS.names() if LISTENERS.get(n) not in OWN_LISTENERS])
def test_listener_keeps_its_contract(name: str, check: Callable[[Any], None]) -> None:
    cls = LISTENERS.get(name)
    if issubclass(cls, Tracker) and find_spec(cls.package) is None:
        pytest.skip(f"{name} is an optional dependency (pip install 'dalib-toolkit[{name}]')")
    check(cls)
