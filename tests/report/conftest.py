"""A small suite for every report test."""

from __future__ import annotations

import pytest

from tests.support.report_shelf import Shelf, toy_shelf


@pytest.fixture
def shelf() -> Shelf:
    """Two tasks, two seeds; averages: source_only 51, mmd 61.5, dann 48.5, supervised 95."""
    return toy_shelf()
