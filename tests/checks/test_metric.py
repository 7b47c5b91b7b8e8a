"""Every registered metric keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dalib.checks.metric import METRIC_CHECKS
from dalib.core.registry import METRICS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", METRIC_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", METRICS.names())
def test_metric_keeps_its_contract(name: str, check: Callable[[Any], None]) -> None:
    if "detection" in METRICS.get(name).objectives:
        pytest.importorskip("pycocotools", reason="boxes are measured by pycocotools, which is not installed")
    check(METRICS.get(name))
