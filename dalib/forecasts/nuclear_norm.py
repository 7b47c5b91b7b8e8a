"""How certain and varied the answers on the target are together, read as accuracy by held-out source rows."""

from __future__ import annotations

import math

import torch

from dalib.core.forecast import Forecast
from dalib.core.types import Outputs
from dalib.forecasts._calibrated import calibrated, find_right, usable, within

PARTS, DRAWS = 11, 5


class NuclearNorm(Forecast):
    """a + b * ||P_t||_* / sqrt(min(n, K) n), P (n, K) at the source's temperature; a, b by least squares.

    The line is fitted to samples of held-out source rows of which 0, 1/10 … 10/10 are answered rightly, five of each
    size that there are rows for; nan where all held-out rows are right, or all wrong.

    Reference
        Deng et al. Confidence and Dispersity Speak: Characterising Prediction Matrix for Unsupervised Accuracy
        Estimation. ICML 2023. arXiv:2302.01094. Departure: the line over samples of the source's own rows; there over
        corrupted copies of its images.
    """

    paper = "deng2023confidence"

    def estimate(self, source: Outputs, target: Outputs, second: Outputs | None = None) -> float:
        if not usable(source, target):
            return math.nan
        p_s, p_t = calibrated(source, target)
        right = find_right(source) > 0
        good, bad = right.nonzero()[:, 0], (~right).nonzero()[:, 0]
        if not len(good) or not len(bad):
            return math.nan
        g, n = torch.Generator().manual_seed(0), len(p_s)
        norms, parts = [], []
        for part in torch.linspace(0, 1, PARTS).tolist():
            for _ in range(DRAWS):
                many = round(part * n)
                rows = torch.cat(
                    [pool[torch.randint(len(pool), (k,), generator=g)] for pool, k in ((good, many), (bad, n - many))]
                )
                norms.append(_norm(p_s[rows]))
                parts.append(many / n)
        x, y = torch.tensor(norms, dtype=torch.float64), torch.tensor(parts, dtype=torch.float64)
        b = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum().clamp(min=1e-12)
        return within(y.mean() + b * (_norm(p_t) - x.mean()))


def _norm(p: torch.Tensor) -> float:
    """Through the eigenvalues of the smaller product with itself: singular values of many rows take far longer."""
    squares = torch.linalg.eigvalsh(p.T @ p if len(p) >= p.shape[1] else p @ p.T)
    return float(squares.clamp(min=0).sqrt().sum()) / math.sqrt(min(p.shape) * len(p))
