"""What forecasts share: right and wrong held-out rows, and probabilities that are calibrated on them."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.core.types import Outputs
from dalib.nn.temperature import fit_temperature


def usable(source: Outputs, target: Outputs) -> bool:
    """There are held-out rows with labels, and target rows."""
    return source.y is not None and len(source.y) > 1 and len(target.logits) > 0


def find_right(source: Outputs) -> Tensor:
    """1 where a held-out row is answered rightly, else 0, (n,) float64."""
    assert source.y is not None
    return (source.logits.argmax(1) == source.y).double()


def calibrated(source: Outputs, target: Outputs) -> tuple[Tensor, Tensor]:
    """Probabilities (n_s, K), (n_t, K) float64 of both, at the temperature that suits the held-out rows."""
    assert source.y is not None
    T = fit_temperature(source.logits, source.y)
    return (source.logits.double() / T).softmax(1), (target.logits.double() / T).softmax(1)


def within(value: Tensor | float) -> float:
    """Cut to [0, 1]."""
    return float(torch.as_tensor(value).clamp(0, 1))
