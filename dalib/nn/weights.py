"""Networks as points in weight space: flattened, and mixed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def flatten_weights(weights: Iterable[Tensor]) -> Tensor:
    """Any shapes -> (d,), one after the other in row-major order; gradients pass; (0,) of no weights."""
    flat = [w.flatten() for w in weights]
    return torch.cat(flat) if flat else torch.zeros(0)


def mix_states(first: dict[str, Tensor], second: dict[str, Tensor], part: float) -> dict[str, Tensor]:
    """(1 - part) * first + part * second for every entry of two state dicts; whole numbers are the second's.

    Raises
        ValueError: the two have different entries
    """
    if first.keys() != second.keys():
        raise ValueError(f"two networks differ in {sorted(first.keys() ^ second.keys())}; only like ones can be mixed")
    return {k: torch.lerp(first[k], b, part) if b.is_floating_point() else b for k, b in second.items()}
