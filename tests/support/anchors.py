"""Published averages of solved methods with 1-NN, on the data they were published on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dalib
from dalib.data.normalise import normalise_features

SURF = ("amazon", "caltech", "dslr", "webcam")


def load(path: Path, steps: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Domain -> normalised rows and labels; `<domain>_scale`, if there, multiplies the rows first."""
    with np.load(path) as file:
        names = [key[:-2] for key in file if key.endswith("_x")]
        scale = {name: file.get(f"{name}_scale", 1.0) for name in names}
        return {
            name: (normalise_features(file[f"{name}_x"] * scale[name], steps), file[f"{name}_y"].astype(int))
            for name in names
        }


def accuracy(name: str, source: Any, target: Any, **hparams: Any) -> float:
    """Target accuracy in percent; the whole source is used, and the classifier is 1-NN where there is a choice."""
    algorithm = getattr(dalib, name)(**hparams)
    if "classifier" in algorithm.hparams:
        algorithm = type(algorithm)(**{**hparams, "classifier": "nearest"})
    model = dalib.AdaptationClassifier(algorithm).fit(*source, target[0])
    return 100 * float((model.predict(target[0]) == target[1]).mean())


def surf_average(shared_data: Path, name: str, **hparams: Any) -> float:
    data = load(shared_data / "office_caltech10_surf.npz", ["row_sum", "zscore"])
    return float(np.mean([accuracy(name, data[s], data[t], **hparams) for s in SURF for t in SURF if s != t]))


def check_surf_average_is_near_the_published_one(
    shared_data: Path, name: str, published: float, tolerance: float, **hparams: Any
) -> None:
    assert surf_average(shared_data, name, **hparams) == pytest.approx(published, abs=tolerance)
