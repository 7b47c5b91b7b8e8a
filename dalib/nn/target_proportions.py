"""Class proportions of rows without labels, from transport plans of several labelled samples that agree on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

LEAST_REG = 0.005
"""Below it rows far from every other have no mass in float64."""


def joint_proportions(
    costs: Sequence[Tensor], labels: Sequence[Tensor], num_classes: int, reg: float, max_iterations: int = 5000
) -> tuple[Tensor, list[Tensor]]:
    """(h, [P_k]): proportions (K,) of sum 1 and a plan (n_k, m) for each of several labelled samples k.

    min_{h, P} sum_k <P_k, cost_k / c> + reg sum P_k log P_k,  c = the largest cost of all samples
    P_kᵀ1 = 1 / m,  mass of every row of class c in P_k = h_c / n_kc

    By Bregman projections: columns of every plan, then h = the geometric mean of the plans' class masses, then rows.
    A class of no sample has h_c = 0.

    Shapes
        cost_k (n_k, m) >= 0, labels_k (n_k,), the same classes in every sample; reg in [0.005, inf)
    Reference
        Redko et al. Optimal Transport for Multi-source Domain Adaptation under Target Shift. AISTATS 2019.
        arXiv:1803.04899, Proposition 2 and Algorithm 1. Departures: equal weights of the samples; costs over c.
    Raises
        ValueError: a sample lacks a class that another has
        RuntimeError: h still moves by more than 1e-7 after max_iterations
    """
    largest = torch.stack([cost.max() for cost in costs]).max().clamp(min=1e-300)
    plans = [(-(cost - cost.amin(0)) / largest / reg).exp() for cost in costs]  # a factor per column is free
    D = [one_hot(y, num_classes).to(P) for y, P in zip(labels, plans, strict=True)]
    present = torch.stack([d.any(0) for d in D])
    if not (present == present[0]).all():
        raise ValueError("a sample lacks a class that another has")
    u, h = [P.new_ones(len(P)) for P in plans], plans[0].new_zeros(num_classes)
    v = [P.new_ones(P.shape[1]) for P in plans]
    for _ in range(max_iterations):
        before, log_mass = h, []
        for k, P in enumerate(plans):
            v[k] = 1 / (P.shape[1] * (u[k] @ P)).clamp(min=1e-300)
            log_mass.append((D[k].T @ (u[k] * (P @ v[k]))).clamp(min=1e-300).log())
        h = torch.stack(log_mass).mean(0).exp() * present[0]
        h = h / h.sum()
        for k, P in enumerate(plans):
            u[k] = D[k] @ (h / D[k].sum(0).clamp(min=1)) / (P @ v[k]).clamp(min=1e-300)
        if (h - before).abs().sum() <= 1e-7:
            return h, [u[k][:, None] * P * v[k] for k, P in enumerate(plans)]
    raise RuntimeError(f"class proportions still move after {max_iterations} steps; raise reg = {reg:g}")


def carry_labels(plans: Sequence[Tensor], labels: Sequence[Tensor], num_classes: int) -> Tensor:
    """L = mean_k D_k P_k (K, m), the class masses that arrive at every row without a label; shapes as above."""
    return torch.stack([one_hot(y, num_classes).to(P).T @ P for P, y in zip(plans, labels, strict=True)]).mean(0)
