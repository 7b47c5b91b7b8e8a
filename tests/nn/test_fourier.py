"""The Fourier swap against the authors' recipe in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.fourier import swap_amplitudes


def reference(x: np.ndarray, other: np.ndarray, part: float) -> np.ndarray:
    """Shift the zero frequency to the middle, exchange a square around it, shift back."""
    f, g = np.fft.fft2(x, axes=(-2, -1)), np.fft.fft2(other, axes=(-2, -1))
    a, b = np.fft.fftshift(np.abs(f), axes=(-2, -1)), np.fft.fftshift(np.abs(g), axes=(-2, -1))
    height, width = x.shape[-2:]
    reach, row, column = int(np.floor(min(height, width) * part)), height // 2, width // 2
    square = (..., slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1))
    a[square] = b[square]
    mixed = np.fft.ifftshift(a, axes=(-2, -1)) * np.exp(1j * np.angle(f))
    return np.real(np.fft.ifft2(mixed, axes=(-2, -1)))


@pytest.mark.parametrize("shape", [(8, 8), (9, 12), (16, 10)])
@pytest.mark.parametrize("part", [0.0, 0.05, 0.13, 0.3])
def test_it_is_the_swap_of_the_paper(shape, part):
    rng = np.random.default_rng(0)
    x, other = 255 * rng.random((2, 3, *shape)), 255 * rng.random((2, 3, *shape))
    found = swap_amplitudes(torch.tensor(x), torch.tensor(other), part)
    np.testing.assert_allclose(found, reference(x, other, part), atol=1e-9)


def test_the_smallest_window_exchanges_the_mean_alone():
    x, other = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    found = swap_amplitudes(x, other, 0.0)
    torch.testing.assert_close(found, x - x.mean((2, 3), keepdim=True) + other.mean((2, 3), keepdim=True))


def test_an_image_in_its_own_style_is_itself():
    x = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(swap_amplitudes(x, x, 0.2), x)
