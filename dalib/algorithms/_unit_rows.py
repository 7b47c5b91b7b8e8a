"""Rows of unit length, as the releases of several methods take them, or as they are; and what that may lose."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.nn.separability import near_own_mean

MOST_LOST = 0.2
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


def warn_of_components(name: str, z_s: Tensor, z_t: Tensor, y_s: Tensor, unit: bool) -> None:
    """A word where a projection can align nothing: one column is scaled only; and `warn_of_unit_rows`."""
    if z_s.shape[1] > 1:
        if unit:
            warn_of_unit_rows(name, z_s, z_t, y_s)
    elif (z_s.mean() - z_t.mean()).abs() > APART * z_s.std():
        warnings.warn(
            f"{name} can only scale one column, so the means of the domains stay apart; standardise each domain "
            "(--normalise zscore (normalise=['zscore']), or standardise=True of the classifier)",
            UserWarning,
            stacklevel=4,
        )


def warn_of_unit_rows(name: str, z_s: Tensor, z_t: Tensor, y_s: Tensor, optional: bool = True) -> None:
    """A word where unit rows lose what rows of one column, or far from the origin, or their lengths hold.

    optional: the method has `unit_rows`
    """
    z = torch.cat([z_s, z_t])
    variance = (normalize(z) - normalize(z).mean(0)).square().sum(1).mean()
    before, after = near_own_mean(z_s, y_s), near_own_mean(normalize(z_s), y_s)
    if z.shape[1] == 1:
        lost = "of one column only its sign is left"
    elif variance < LEAST_VARIANCE and (z - z.mean(0)).square().sum() > 0:
        lost = f"their directions hardly differ (total variance {float(variance):.1e})"
    elif after < before - MOST_LOST:
        lost = (
            f"their lengths tell classes apart ({before:.0%} of the source lie at their class's mean, then {after:.0%})"
        )
    else:
        return
    remedy = (
        "set unit_rows = False" if optional else "take a method that keeps lengths (coral, jdot, subspace_alignment)"
    )
    remedy += ", or standardise the columns" if z.shape[1] > 1 else ""
    warnings.warn(f"{name} scales rows to unit length, and {lost}; {remedy}", UserWarning, stacklevel=3)
