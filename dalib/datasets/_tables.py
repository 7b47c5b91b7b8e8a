"""Tables of numbers that are made here: shifts whose right answers are known, and two groups of patients."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .drawing.publish import publish

Progress = Callable[[int, int], None]
SHIFT_VERSION = 1
"""Raised whenever a number changes."""
ROWS, CAUSES, WIDTH, NOISE, ANGLE = 500, 4, 12, 0.05, np.pi / 8


def make_shifts(seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays of mini_shifts.

    Four causes c, standard normal, give two answers: `sum` = c_1 + c_2 / 2 and `bend` = sin(2 c_3) + c_4 / 2. Twelve
    sensors see x = c mix + 0.05 noise, so that whatever reads c out of x is right on every domain. `calm` is that;
    `offset` adds a constant to every sensor; `gains` multiplies each by a factor of its own in [1/2, 2]; `turned`
    rotates the sensors' space by 22.5 degrees in three planes; `rare` draws the causes elsewhere: only where rows lie
    is another, not what is right for a row.
    """
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((CAUSES, WIDTH)) / np.sqrt(CAUSES)
    offset, gains = rng.normal(0, 1.5, WIDTH), np.exp(rng.uniform(-np.log(2), np.log(2), WIDTH))
    basis = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    turn, (cosine, sine) = np.eye(WIDTH), (np.cos(ANGLE), np.sin(ANGLE))
    for i in (0, 2, 4):
        turn[i : i + 2, i : i + 2] = [[cosine, -sine], [sine, cosine]]
    change = {
        "calm": lambda x: x,
        "offset": lambda x: x + offset,
        "gains": lambda x: x * gains,
        "turned": lambda x: x @ basis @ turn @ basis.T,
        "rare": lambda x: x,
    }
    arrays: dict[str, np.ndarray] = {"objective": np.array("regression"), "classes": np.array(["sum", "bend"])}
    for name, move in change.items():
        cause = rng.standard_normal((ROWS, CAUSES)) + (0.8 if name == "rare" else 0.0)
        x = move(cause @ mix) + NOISE * rng.standard_normal((ROWS, WIDTH))
        y = np.stack([cause[:, 0] + cause[:, 1] / 2, np.sin(2 * cause[:, 2]) + cause[:, 3] / 2], 1)
        arrays |= {f"{name}_x": x.astype(np.float32), f"{name}_y": y.astype(np.float32)}
    return arrays


def write_mini_shifts(root: Path, progress: Progress | None = None) -> None:
    """Write root/mini_shifts.npz; a finished set is left alone."""
    marker = json.dumps({"version": SHIFT_VERSION, "rows": ROWS})
    publish(root, "mini_shifts", marker, lambda folder: _save(folder / "mini_shifts.npz", make_shifts(), progress))


def read_diabetes() -> dict[str, np.ndarray]:
    """The arrays of diabetes, from the file that scikit-learn ships: two groups of patients, by the column `sex`."""
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    column = table.feature_names.index("sex")
    others = [i for i in range(table.data.shape[1]) if i != column]
    arrays: dict[str, np.ndarray] = {"objective": np.array("regression"), "classes": np.array(["progression"])}
    for number, code in enumerate(np.unique(table.data[:, column]), 1):
        rows = table.data[:, column] == code
        arrays[f"group{number}_x"] = table.data[rows][:, others].astype(np.float32)
        arrays[f"group{number}_y"] = table.target[rows, None].astype(np.float32)
    return arrays


def write_diabetes(root: Path, progress: Progress | None = None) -> None:
    """Write root/diabetes.npz; a finished set is left alone."""
    publish(root, "diabetes", "{}", lambda folder: _save(folder / "diabetes.npz", read_diabetes(), progress))


def _save(path: Path, arrays: dict[str, np.ndarray], progress: Progress | None) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    if progress:
        progress(1, 1)
