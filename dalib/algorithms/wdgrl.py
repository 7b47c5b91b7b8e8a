"""Bring the domains closer in a distance that a critic estimates anew at every step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import reverse_gradient
from dalib.nn.critic import gradient_penalty, lipschitz_points


class WDGRL(Algorithm):
    """Wasserstein distance guided representation learning: a critic f, and features that shrink what it finds.

    W = mean f(z_s) - mean f(z_t)
    critic, `critic_steps` times:  loss = -W + penalty_weight * mean (||grad f(h)|| - 1)²,  z constant
    network:                       loss = CE(logits_s, y_s) + weight * W
    h = all rows of z_s and z_t, and points on the lines between pairs of them

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Shen et al. Wasserstein Distance Guided Representation Learning for Domain Adaptation. AAAI 2018.
        arXiv:1707.01217. Defaults: the authors' Amazon script (Office-Caltech: weight 0.1, 10 critic steps).
        Departure: the critic shares the run's optimiser (the authors: Adam at 0.0001); with momentum 0.9 and a learning
        rate of 0.05 it diverges at critic_rate 1 and not at 0.3.
    """

    family = "adversarial"
    paper = "shen2018wdgrl"

    weight: float = positive(
        default=1.0, zero=True, search=(0.1, 0.3, 1.0), doc="trade-off of the distance, in 1 / (unit of z)"
    )
    penalty_weight: float = positive(default=10.0, zero=True, doc="weight of the gradient penalty")
    critic_steps: int = whole(default=5, search=(5, 10), doc="steps of the critic before each step of the network")
    critic_rate: float = positive(default=0.1, doc="learning rate of the critic, as a factor on that of the run")
    hidden: int = whole(default=100, doc="width of the critic's hidden layer, dim - hidden - 1 with ReLU")

    def build(self, dim: int, outputs: int) -> None:
        hidden = self.hidden
        self.critic = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.critic, self.critic_rate)]

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Both sides at once, through a gradient reversal; `step` plays the game."""
        z_s, z_t = reverse_gradient(torch.cat([source.z, target.z]), self.weight).split([len(source), len(target)])
        return {"critic": self._criticise(z_s, z_t)}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        for _ in range(self.critic_steps):
            minimise({"critic": self._criticise(source.z.detach(), target.z.detach())}, only=[self.critic])
        supervised = {self.objective.name: self.supervise(source)}
        minimise({**supervised, "distance": self.weight * self._distance(source.z, target.z)}, only=[self.network])

    def _distance(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        return self.critic(z_s).mean() - self.critic(z_t).mean()

    def _criticise(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        penalty = gradient_penalty(self.critic, lipschitz_points(z_s, z_t))
        return self.penalty_weight * penalty - self._distance(z_s, z_t)
