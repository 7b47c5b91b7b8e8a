"""When a score applies."""

from __future__ import annotations

from dalib.core.types import Outputs


def usable(*domains: Outputs) -> bool:
    """Every domain has rows, and their features and probabilities are finite."""
    return all(len(d.z) and bool(d.z.isfinite().all()) and bool(d.p.isfinite().all()) for d in domains)
