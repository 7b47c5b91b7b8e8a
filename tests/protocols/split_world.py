"""Two domains of unequal classes whose rows can be recognised."""

from __future__ import annotations

import numpy as np

from dalib.core.types import Domain

SIZES = {"a": [40, 20, 3, 2, 1], "b": [30, 12, 9, 5, 4]}


def rows(domain: Domain) -> set[tuple[int, int]]:
    found = {(int(i), int(d)) for i, d in domain.x}
    assert len(found) == len(domain), "no row twice"
    return found


def per_class(domain: Domain) -> list[int]:
    return np.bincount(domain.labels, minlength=5).tolist()
