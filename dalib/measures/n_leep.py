"""How well the labels follow from soft clusters of the features."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._expected_prediction import log_expected_prediction
from dalib.measures._guards import one_hot, usable
from dalib.measures._pca import principal_components


class NLEEP(Measure):
    """LEEP with a Gaussian mixture on the principal components in place of a classifier, in nats, <= 0.

    score = mean_i log sum_v P(y_i|v) P(v|x_i),  P(v|x) = posterior of component v of sum_v pi_v N(s | mu_v, Sigma_v),
    s = principal components of z

    Args
        energy: share of the variance that the components hold, in (0, 1]; the paper's 0.8
        components: Gaussians per class, >= 1; the paper's 5, but never more than n / 2 in all
    Reference
        Li et al. Ranking Neural Checkpoints. CVPR 2021. arXiv:2011.11200. Departures: diagonal covariances, since a
        full one needs more rows per Gaussian than the few that labelled sets have; variances are floored at 1e-6 of
        the mean one; one start by k-means (seed 0) on rows sorted by their features, whatever order they come in.
    """

    paper = "li2021nleep"

    def __init__(self, energy: float = 0.8, components: int = 5) -> None:
        self.energy = energy
        self.components = components

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs):
            return math.nan
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        order = torch.from_numpy(np.lexsort(outputs.z.numpy().T[::-1]))
        Y = one_hot(outputs.y)[order]
        s = principal_components(outputs.z[order], energy=self.energy)
        x = (s / s.square().mean().sqrt().clamp(min=torch.finfo(s.dtype).tiny)).numpy()
        v = max(1, min(self.components * Y.shape[1], len(x) // 2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture = GaussianMixture(v, covariance_type="diag", random_state=0).fit(x)
        return float(log_expected_prediction(torch.from_numpy(mixture.predict_proba(x)), Y))
