"""Images as arrays: one .npz with `<domain>_x` (n, H, W) or (n, H, W, 3) uint8 and `<domain>_y` (n,) per domain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dalib.core.errors import DalibError
from dalib.data.cache import cached_array
from dalib.data.npz import read_arrays

LAYOUT = "an .npz with <domain>_x (n, H, W) or (n, H, W, 3) uint8 and <domain>_y (n,) for each domain"
_VERSION = 1


@dataclass(frozen=True)
class ArraySet:
    """All domains of a file of images.

    x: domain -> parts, each (n, H, W) or (n, H, W, 3) uint8, in file order
    y: domain -> (n,) int64, of all its parts
    fingerprint: sha256 of the file
    """

    x: dict[str, list[np.ndarray]]
    y: dict[str, np.ndarray]
    fingerprint: str

    def counts(self) -> dict[str, dict[str, int]]:
        """domain -> label as text -> images."""
        return {d: {str(k): int(n) for k, n in enumerate(np.bincount(y)) if n} for d, y in self.y.items()}

    def picture(self, domain: str, row: int) -> Image.Image:
        """A row of a domain, all parts counted together, as RGB."""
        for part in self.x[domain]:
            if row < len(part):
                return Image.fromarray(part[row]).convert("RGB")
            row -= len(part)
        raise IndexError(f"{domain} has no row {row}")


def load_arrays(path: Path, domains: Sequence[str]) -> ArraySet:
    """Read a file of images.

    A domain may come in parts, `usps_train_x` and `usps_test_x`: those of `domains` are joined, in file order. Keys
    that belong to none of them, and domains that are not there, are left out.

    Raises
        DalibError: not an .npz, a key missing, wrong shapes, types or lengths, labels that are not integers >= 0
    """
    arrays = read_arrays(path)
    x: dict[str, list[np.ndarray]] = {}
    y: dict[str, list[np.ndarray]] = {}
    for key in (k for k in arrays if k.endswith("_x")):
        stem = key[:-2]
        longest = sorted(domains, key=len, reverse=True)
        domain = next((d for d in longest if stem == d or stem.startswith(f"{d}_")), None)
        if domain is not None:
            x.setdefault(domain, []).append(_check_images(path, key, arrays[key]))
            y.setdefault(domain, []).append(_check_labels(path, stem, arrays))
    if not x:
        keys = ", ".join(list(arrays)[:6]) or "none"
        raise DalibError(
            f"{path} has none of {', '.join(f'{d}_x' for d in domains)} (first keys: {keys}); give {LAYOUT}"
        )
    return ArraySet(
        x, {d: np.concatenate(parts) for d, parts in y.items()}, hashlib.sha256(path.read_bytes()).hexdigest()
    )


def _check_images(path: Path, key: str, x: np.ndarray) -> np.ndarray:
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] != 3) or 0 in x.shape:
        raise DalibError(f"{path}: {key} is {x.dtype} of shape {x.shape}; expected uint8 (n, H, W) or (n, H, W, 3)")
    return x


def _check_labels(path: Path, stem: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    n, y = len(arrays[f"{stem}_x"]), arrays.get(f"{stem}_y")
    if y is None:
        raise DalibError(f"{path} has {stem}_x but no {stem}_y; each part needs both")
    if y.shape != (n,) or y.dtype.kind not in "iu" or (y < 0).any():
        raise DalibError(f"{path}: {stem}_y is {y.dtype} of shape {y.shape}; expected {n} integers >= 0")
    return y.astype(np.int64)


def resize_domain(arrays: ArraySet, domain: str, resize: int) -> np.ndarray:
    """Images of a domain: (n, 3, R, R) uint8, read-only memory map; warped as decoded files are, grey three times.

    resize: R; 0 = none is warped
    """
    if not resize:
        return np.broadcast_to(np.uint8(0), (len(arrays.y[domain]), 3, 1, 1))

    def make() -> np.ndarray:
        return warp_images([image for part in arrays.x[domain] for image in part], resize)

    return cached_array(f"images-{domain}-{resize}", f"arrays{_VERSION}:{arrays.fingerprint}:{domain}:{resize}", make)


def warp_images(images: Sequence[np.ndarray], resize: int) -> np.ndarray:
    """Images (H, W) or (H, W, 3) uint8 -> (n, 3, R, R) uint8."""
    out = np.empty((len(images), 3, resize, resize), np.uint8)
    for i, image in enumerate(images):
        pixels = np.asarray(Image.fromarray(image).resize((resize, resize), Image.Resampling.BILINEAR))
        out[i] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return out
