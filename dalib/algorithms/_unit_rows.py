"""Rows of unit length, as the releases of several methods take them, or as they are; and what that may lose."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn.functional import normalize

LEAST_VARIANCE = 1e-3
"""Total variance of unit rows, in [0, 1], below which their directions hardly differ."""


def scale_rows(z: Tensor, unit: bool) -> Tensor:
    """z (n, d) -> z / ||z||, or z itself."""
    return normalize(z) if unit else z


def scale_components(z: Tensor, unit: bool) -> Tensor:
    """The same, but a single column stays as it is: scaled, it would be +1 or -1."""
    return scale_rows(z, unit and z.shape[1] > 1)


def warn_of_unit_rows(name: str, z_s: Tensor, z_t: Tensor) -> None:
    """A word where unit rows lose what rows of one column, or far from the origin, hold: only the angle is left."""
    z = torch.cat([z_s, z_t])
    variance = (normalize(z) - normalize(z).mean(0)).square().sum(1).mean()
    if z.shape[1] == 1:
        lost = "of one column only its sign is left"
    elif variance < LEAST_VARIANCE and (z - z.mean(0)).square().sum() > 0:
        lost = f"their directions hardly differ (total variance {float(variance):.1e})"
    else:
        return
    warnings.warn(
        f"{name} scales rows to unit length, and {lost}; set unit_rows = False, or standardise the columns",
        UserWarning,
        stacklevel=3,
    )
