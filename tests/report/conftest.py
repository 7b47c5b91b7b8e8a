"""A small suite for every report test."""

from __future__ import annotations

import pytest

from tests.support.report_shelf import Shelf


@pytest.fixture
def shelf() -> Shelf:
    """Two tasks, two seeds; averages: source_only 51, mmd 61.5, dann 48.5, supervised 95."""
    found = Shelf()
    for label, first, second in (
        ("source_only", [0.60, 0.62], [0.40, 0.42]),
        ("mmd", [0.70, 0.74], [0.50, 0.52]),
        ("dann", [0.55, 0.57], [0.40, 0.42]),
    ):
        found.put(label, "amazon->webcam", first).put(label, "webcam->amazon", second)
    for task in ("amazon->webcam", "webcam->amazon"):
        found.put("target_labels", task, [0.95, 0.95], algorithm="source_only", protocol="supervised")
    return found
