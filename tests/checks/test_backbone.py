"""Every registered backbone keeps the contract."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest

from dalib.checks.backbone import BACKBONE_CHECKS, SLOW_BACKBONE_CHECKS
from dalib.core.registry import BACKBONES
from tests.support.tiny_open_clip import register

BY_NAME = {"timm": "timm:resnet10t", "open_clip": "open_clip:tiny-plain"}
NAMES = [BY_NAME.get(name, name) for name in BACKBONES.names()]


def _skip_without_its_extra(name: str) -> None:
    if name.startswith("open_clip:"):
        register()
    if name.startswith("timm:") and importlib.util.find_spec("timm") is None:
        pytest.skip("timm is an optional dependency (pip install dalib-toolkit[timm])")
    if name == "hf" and importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is an optional dependency (pip install dalib-toolkit[text])")


@pytest.mark.parametrize("check", BACKBONE_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", NAMES)
def test_backbone_keeps_its_contract(name: str, check: Callable[[str], None]) -> None:
    _skip_without_its_extra(name)
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("check", SLOW_BACKBONE_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", NAMES)
def test_backbone_computes(name: str, check: Callable[[str], None]) -> None:
    _skip_without_its_extra(name)
    check(name)
