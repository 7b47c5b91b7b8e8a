"""Bring the domains closer in a distance that a critic estimates anew at every step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.types import Source, Target
from dalib.nn.adversarial import reverse_gradient
from dalib.nn.critic import gradient_penalty, lipschitz_points


class WDGRL(Algorithm):
    """Wasserstein distance guided representation learning: a critic f, and features that shrink what it finds.

    W = mean f(z_s) - mean f(z_t)
    critic, `critic_steps` times:  loss = -W + penalty * mean (||grad f(h)|| - 1)²,  z constant
    network:                       loss = CE(logits_s, y_s) + weight * W
    h = all rows of z_s and z_t, and points on the lines between pairs of them

    Args
        weight: trade-off of the distance, in 1 / (unit of z), >= 0
        penalty: weight of the gradient penalty, >= 0
        critic_steps: steps of the critic before each step of the network, >= 1
        critic_rate: learning rate of the critic, as a factor on that of the run, > 0
        hidden: width of the critic's hidden layer, dim - hidden - 1 with ReLU, >= 1
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
    space = {"weight": [0.1, 0.3, 1.0], "critic_steps": [5, 10]}

    def __init__(
        self,
        weight: float = 1.0,
        penalty: float = 10.0,
        critic_steps: int = 5,
        critic_rate: float = 0.1,
        hidden: int = 100,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.penalty = penalty
        self.critic_steps = critic_steps
        self.critic_rate = critic_rate
        self.hidden = hidden

    def check(self) -> None:
        require_positive(self, "weight", "penalty", zero=True)
        require_positive(self, "critic_rate")
        require_whole(self, "critic_steps", "hidden")

    def build(self, dim: int, num_classes: int) -> None:
        hidden = int(self.hidden)
        self.critic = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.critic, self.critic_rate)]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Both sides at once, through a gradient reversal; `step` plays the game."""
        z_s, z_t = reverse_gradient(torch.cat([source.z, target.z]), self.weight).split([len(source), len(target)])
        return {"classification": cross_entropy(source.logits, source.y), "critic": self._criticise(z_s, z_t)}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        for _ in range(int(self.critic_steps)):
            minimise({"critic": self._criticise(source.z.detach(), target.z.detach())}, only=[self.critic])
        supervised = {"classification": cross_entropy(source.logits, source.y)}
        minimise({**supervised, "distance": self.weight * self._distance(source.z, target.z)}, only=[self.network])

    def _distance(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        return self.critic(z_s).mean() - self.critic(z_t).mean()

    def _criticise(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        penalty = gradient_penalty(self.critic, lipschitz_points(z_s, z_t))
        return self.penalty * penalty - self._distance(z_s, z_t)
