"""Rows of unit length, as the releases of several methods take them, or as they are; and what that may lose."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn.functional import normalize

APART = 0.1
"""Standard deviations between the means of two domains that are worth a word."""
LEAST_VARIANCE = 1e-3
"""Total variance of unit rows, in [0, 1], below which their directions hardly differ."""


def scale_rows(z: Tensor, unit: bool) -> Tensor:
    """z (n, d) -> z / ||z||, or z itself."""
    return normalize(z) if unit else z


def scale_components(z: Tensor, unit: bool) -> Tensor:
    """The same, but a single column stays as it is: scaled, it would be +1 or -1."""
    return scale_rows(z, unit and z.shape[1] > 1)


def warn_of_components(name: str, z_s: Tensor, z_t: Tensor, unit: bool) -> None:
    """A word where a projection can align nothing: one column is scaled only; and `warn_of_unit_rows`."""
    if z_s.shape[1] > 1:
        if unit:
            warn_of_unit_rows(name, z_s, z_t)
    elif (z_s.mean() - z_t.mean()).abs() > APART * z_s.std():
        warnings.warn(
            f"{name} can only scale one column, so the means of the domains stay apart; standardise each domain "
            "(--normalise zscore (normalise=['zscore']), or standardise=True of the classifier)",
            UserWarning,
            stacklevel=4,
        )


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
