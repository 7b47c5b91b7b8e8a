"""The style of one image in another: amplitudes of low frequencies are exchanged, phases stay."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float


def swap_amplitudes(x: Tensor, other: Tensor, part: float) -> Tensor:
    """x with the low-frequency amplitudes of `other`: x' = real(F⁻¹(A' e^(i phase(F x)))), A' = |F other| in a window.

    The window is the square of 2 b + 1 frequencies around 0 in each direction, b = floor(part * the shorter side);
    elsewhere A' = |F x|. Images are those of light, >= 0: of normalised ones the mean's sign would count as its phase.
    Values may leave the range of both.

    Shapes
        x, other (B, C, H, W) -> (B, C, H, W)
    Reference
        Yang & Soatto. FDA: Fourier Domain Adaptation for Semantic Segmentation. CVPR 2020. arXiv:2004.05498, as in
        the authors' NumPy version, which is symmetric.
    """
    x, other = as_float(x), as_float(other)
    f, g = torch.fft.fft2(x), torch.fft.fft2(other)
    height, width = x.shape[2:]
    reach = int(min(height, width) * part)
    rows, columns = (_distance(n, x.device) <= reach for n in (height, width))
    window = rows[:, None] & columns[None, :]
    amplitude = torch.where(window, g.abs(), f.abs())
    return torch.fft.ifft2(torch.polar(amplitude, f.angle())).real


def _distance(n: int, device: torch.device) -> Tensor:
    """How far each of n frequencies, in the order of the FFT, is from 0."""
    at = torch.arange(n, device=device)
    return torch.minimum(at, n - at)
