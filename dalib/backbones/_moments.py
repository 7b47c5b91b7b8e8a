"""Mean and deviation by which pictures are prepared, as files beside weights say them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeAlias

from dalib.core.errors import DalibError

Moments: TypeAlias = tuple[float, float, float]
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's own preparation, where nothing is said."""


def check_moments(file: Path, names: tuple[str, str], mean: Any, std: Any) -> tuple[Moments, Moments]:
    """Both as three numbers; DalibError for anything else, with the file and what it calls them."""
    if (
        not all(isinstance(v, list | tuple) and len(v) == 3 and all(map(_is_number, v)) for v in (mean, std))
        or min(std) <= 0
    ):
        raise DalibError(
            f"{file}: {names[0]} and {names[1]} need three numbers each, std above 0; they are {mean} and {std}"
        )
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
