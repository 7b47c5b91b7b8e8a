"""Waiting for another process, however slow the machine: the limit is there for what hangs, not for what takes long."""

from __future__ import annotations

import time
from collections.abc import Callable

HANG = 600.0
"""Seconds."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.02)
