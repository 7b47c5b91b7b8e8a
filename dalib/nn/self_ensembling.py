"""Agreement with a teacher, and with equally frequent classes."""

from __future__ import annotations

from torch import Tensor


def confident_consistency(p: Tensor, q: Tensor, threshold: float) -> Tensor:
    """mean_i [max q_i >= threshold] mean_c (p_ic - q_ic)², a scalar >= 0; p, q (B, K) rows of probabilities.

    French et al. Self-ensembling for Visual Domain Adaptation. ICLR 2018. arXiv:1706.05208.
    """
    part = q.max(1).values >= threshold
    return (part * (p - q).square().mean(1)).mean()


def distance_from_balance(p: Tensor) -> Tensor:
    """sum_c BCE(mean_i p_ic, 1 / K) in nats, a scalar: least when the mean of p (B, K) over its rows is 1 / K.

    1e-6 is added inside the logarithms. French et al. Self-ensembling for Visual Domain Adaptation. ICLR 2018.
    """
    mean = p.mean(0)
    balance: Tensor = -((mean + 1e-6).log() + (p.shape[1] - 1) * (1 - mean + 1e-6).log()).mean()
    return balance
