"""Assignment of rows to classes by linear programming."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def class_bonuses(distance: Tensor) -> Tensor:
    """The least u (K,) >= 0 with which argmin_c (distance_ic - u_c) is the best assignment that leaves no class empty.

    assignment: argmin <M, distance> subject to rows of M summing to 1, columns to at least 1, 0 <= M <= 1
    u_c = max(0, max_b (distance_ic - distance_ib + u_b)) for a class with a single row i, else 0: optimal dual prices

    distance (n, K) >= 0, float64; u has its device. A tie is decided by 1e-9 of the mean distance. With fewer rows than
    classes, columns sum to n / K at least.
    Wang et al. Easy Transfer Learning by Exploiting Intra-domain Structures. ICME 2019. arXiv:1904.01376.

    Raises
        RuntimeError: the solver failed
    """
    from scipy.optimize import linprog
    from scipy.sparse import identity, kron

    n, K = distance.shape
    cost = distance.detach().cpu().numpy()
    rows = kron(identity(n), np.ones((1, K)), format="csr")
    columns = kron(np.ones((1, n)), identity(K), format="csr")
    demand = np.full(K, min(1.0, n / K))
    solution = linprog(cost.ravel(), A_ub=-columns, b_ub=-demand, A_eq=rows, b_eq=np.ones(n), bounds=(0, 1))
    if solution.status:
        raise RuntimeError(f"the assignment of rows to classes was not solved: {solution.message}")
    assigned = solution.x.reshape(n, K).argmax(1)
    lone = [int(i) for c in range(K) for i in np.flatnonzero(assigned == c) if (assigned == c).sum() == 1]
    bonus = np.zeros(K)
    for _ in lone:
        for i in lone:
            c = assigned[i]
            gain = np.delete(cost[i, c] - cost[i] + bonus, c).max(initial=0.0)
            bonus[c] = gain + 1e-9 * cost.mean() if gain > 0 else 0.0
    return torch.from_numpy(bonus).to(distance)
