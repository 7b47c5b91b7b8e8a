"""The classifier that reads target classes off the predictions for other classes."""

from __future__ import annotations

import torch
from torch import Tensor


def log_expected_prediction(theta: Tensor, Y: Tensor) -> Tensor:
    """mean_i log sum_z P(y_i|z) theta_iz,  P(y, z) = sum_{i: y_i = y} theta_iz / n,  P(y|z) = P(y, z) / sum_y P(y, z).

    theta (n, Z) rows of probabilities over source classes or clusters, Y (n, K) indicators of the target classes
    """
    joint = Y.T @ theta / len(theta)
    conditional = joint / joint.sum(0).clamp(min=torch.finfo(theta.dtype).tiny)
    return (Y @ conditional * theta).sum(1).log().mean()
