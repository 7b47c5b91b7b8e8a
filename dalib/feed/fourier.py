"""Source images in the style of target images, before the network sees them."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.core.backbone import Preprocess
from dalib.core.errors import DalibError
from dalib.core.rows import Input
from dalib.nn.fourier import swap_amplitudes


def take_style(x: Input, other: Input, preprocess: Preprocess | None, part: float) -> Tensor:
    """Prepared images x with the low-frequency amplitudes of prepared images `other`, one after the other, repeated.

    Args
        preprocess: how both were prepared; amplitudes are those of the pixels before
        part: see `swap_amplitudes`
    Raises
        DalibError: rows that are no images of a network that prepares them
    """
    if preprocess is None or isinstance(x, dict) or isinstance(other, dict):
        raise DalibError(f"train.fourier = {part:g} is for images of one kind; leave it out")
    mean, std = (torch.tensor(v, device=x.device).view(-1, 1, 1) for v in (preprocess.mean, preprocess.std))
    partner = other[torch.arange(len(x), device=x.device) % len(other)]
    pixels = swap_amplitudes(x * std + mean, partner * std + mean, part)
    return (pixels - mean) / std
