"""How far rows whose features differ have labels that differ."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._guards import one_hot, usable
from dalib.measures._pca import principal_components


class PARC(Measure):
    """Pairwise annotation representation comparison: a rank correlation, in [-1, 1]; time and memory grow with n².

    score = Spearman(1 - corr(s_i, s_j), 1 - corr(Y_i, Y_j)) over pairs i < j,  s = principal components of z, each
    scaled to variance 1,  Y = one-hot labels

    The second distance takes two values: 0 within a class and one other. 0 where either distance is constant.

    Args
        width: principal components, >= 2; the paper's 32
    Reference
        Bolya, Mittapalli & Hoffman. Scalable Diverse Model Selection for Accessible Transfer Learning. NeurIPS 2021.
        arXiv:2111.06977. Departure: not times 100; exact principal components, where the authors' are randomised.
    """

    paper = "bolya2021parc"

    def __init__(self, width: int = 32) -> None:
        self.width = width

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs):
            return math.nan
        from scipy.stats import rankdata

        s = principal_components(outputs.z, self.width).numpy()
        s = s / np.maximum(s.std(0), np.finfo(s.dtype).tiny)
        s = s - s.mean(1, keepdims=True)
        s = s / np.maximum(np.linalg.norm(s, axis=1, keepdims=True), np.finfo(s.dtype).tiny)
        y = one_hot(outputs.y).argmax(1).numpy()
        i, j = np.triu_indices(len(s), 1)
        features, labels = rankdata(1 - (s @ s.T)[i, j]), (y[i] != y[j]).astype(float)
        if not (features.std() and labels.std()):
            return 0.0
        return float(np.corrcoef(features, labels)[0, 1])
