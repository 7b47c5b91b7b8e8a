"""Any algorithm in a training loop of your own, alternating games included."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.rows import Input, count, join
from dalib.core.types import Source, Target


class Loop(Minimise):
    """One joint forward pass and `algorithm.step` per batch, with an optimiser of yours.

    Args
        algorithm: attached to a network
        optimiser: over any of algorithm.parameters()

    Example
        algorithm = MCD()
        algorithm.attach(Network(load_backbone("resnet50"), outputs=31))
        loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.01))
        for i, (x_s, y_s, x_t) in enumerate(batches):
            terms = loop.step(x_s, y_s, x_t, progress=i / len(batches))
    """

    def __init__(self, algorithm: Algorithm, optimiser: torch.optim.Optimizer) -> None:
        self.algorithm = algorithm
        self.optimiser = optimiser
        self.terms: Terms = {}

    def step(self, x_s: Input, y_s: Tensor, x_t: Input, progress: float | Tensor, index: Tensor | None = None) -> Terms:
        """Inputs (B_s, *S), labels (B_s,), inputs (B_t, *S) -> the terms that were minimised, detached.

        Inputs are what the network takes: tensors, or {modality: tensor} with several modalities.

        index: row numbers (B_t,) of the target batch, for algorithms with a memory; 0, 1, … unless given
        """
        self.terms = {}
        source, target = self._wrap(x_s, y_s, x_t, index)
        self.algorithm.step(source, target, progress, self)
        self.algorithm.end_step()
        return self.terms

    def __call__(self, terms: Terms, only: Sequence[nn.Module] | None = None) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack([t.float() for t in terms.values()]).sum().backward()
        kept = None if only is None else {p for module in only for p in module.parameters()}
        for group in self.optimiser.param_groups:
            for p in group["params"]:
                p.grad = p.grad if kept is None or p in kept else None
        self.optimiser.step()
        self.terms |= {k: v.detach() for k, v in terms.items()}

    def forward(self, source: Source, target: Target) -> tuple[Source, Target]:
        return self._wrap(source.x, source.y, target.x, target.index)

    def _wrap(self, x_s: Input, y_s: Tensor, x_t: Input, index: Tensor | None) -> tuple[Source, Target]:
        z, logits = self.algorithm.network(join([x_s, x_t]))
        n_s, n_t = count(x_s), count(x_t)
        (z_s, z_t), (g_s, g_t) = (v.split([n_s, n_t]) for v in (z, logits))
        rows = torch.arange(len(z), device=z.device)
        source = Source(x_s, rows[:n_s], y_s, z_s, g_s, torch.zeros_like(y_s))
        return source, Target(x_t, rows[:n_t] if index is None else index, z_t, g_t)
