"""Small tensors and layers for the tests of pure functions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def samples(n: int = 40, m: int = 30, d: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    z_s = rng.standard_normal((n, d)) @ rng.standard_normal((d, d))
    return torch.from_numpy(z_s), torch.from_numpy(rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) + 2)


SIZES = [(9, 7, 30), (40, 7, 30), (9, 40, 30), (40, 50, 30), (20, 25, 30)]


def tall_and_wide_samples(n_s: int, n_t: int, d: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    z_s, z_t = rng.standard_normal((n_s, d)), rng.standard_normal((n_t, d)) @ rng.standard_normal((d, d)) / 5 + 1
    return torch.from_numpy(z_s), torch.from_numpy(z_t)


def covariances(z_s: Tensor, z_t: Tensor, reg: float) -> tuple[np.ndarray, np.ndarray]:
    c_s, c_t = np.cov(z_s.numpy().T), np.cov(z_t.numpy().T)
    ridge = reg * (np.trace(c_s) + np.trace(c_t)) / (2 * len(c_s)) * np.eye(len(c_s))
    return c_s + ridge, c_t + ridge


BACKBONES = ("tiny", "mobilenet_v2")


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit_rows(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def tensors(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(a) for a in arrays]
