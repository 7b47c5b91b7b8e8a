"""Which seeds there are."""

from __future__ import annotations

from dalib.core.errors import DalibError

LARGEST_SEED = 2**62
"""A run draws from three streams, of 3 seed to 3 seed + 2, which PyTorch wants below 2**64."""


def check_seed(seed: int) -> int:
    """The seed.

    Raises
        DalibError: it is negative or above `LARGEST_SEED`
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise DalibError(f"seed = {seed} is {'negative' if seed < 0 else 'too large'}; give 0 to 2**62")
    return seed
