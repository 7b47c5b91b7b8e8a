"""When a yes/no answer is yes: the threshold of every output that is best on rows whose labels are known."""

from __future__ import annotations

import numpy as np

from dalib.core.protocol import ProtocolSpec
from dalib.core.types import Outputs


def choose_thresholds(outputs: Outputs) -> np.ndarray:
    """Logits (K,) above which an answer is yes: the best F1 of every column over its annotated rows.

    Thresholds lie halfway between neighbouring predictions; of several that are best the one nearest to 0 (p = 1/2) is
    taken, and 0 for a column without an annotated yes.
    """
    assert outputs.y is not None
    y, prediction = outputs.y.numpy(), outputs.prediction.numpy().astype(float)
    return np.array([_best(y[:, k], prediction[:, k]) for k in range(y.shape[1])])


def _best(y: np.ndarray, prediction: np.ndarray) -> float:
    said = y >= 0
    there, value = y[said] == 1, prediction[said]
    if not there.any():
        return 0.0
    values = np.unique(value)
    between = (values[1:] + values[:-1]) / 2
    tried = np.concatenate([[values[0] - 1.0], between, [0.0]])
    order = np.argsort(value)
    found = np.concatenate([[0], there[order].cumsum()])
    below = np.searchsorted(value[order], tried, side="right")
    right, called = found[-1] - found[below], len(value) - below
    f1 = 2 * right / (there.sum() + called)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(tried[best[np.abs(tried[best]).argmin()]])


def thresholds_for(spec: ProtocolSpec, objective: str, held_out: Outputs) -> np.ndarray | None:
    """What a run decides by; None where the objective does, by itself."""
    if spec.threshold == "half" or objective != "multilabel":
        return None
    return choose_thresholds(held_out)
