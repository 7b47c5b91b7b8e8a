"""Adversarial features, certain target predictions, and predictions that no small change of an input can flip."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.rows import join
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator, reverse_gradient
from dalib.nn.entropy import prediction_entropy
from dalib.nn.virtual_adversarial import own_virtual_adversarial


class VADA(Algorithm):
    """Virtual adversarial domain adaptation: decision boundaries kept away from the rows of both domains.

    loss = CE(logits_s, y_s) + BCE(D(R(z)), domain) + source_weight * V_s + target_weight * (mean_i H(p_i) + V_t)
    R reverses gradients and scales them by `weight`;  p = softmax(logits_t)
    V = mean KL(f(x) || f(x + r)),  r = the worst direction, of length `radius` (`virtual_adversarial`)

    Args
        weight: trade-off of the adversarial term for the features, dimensionless, >= 0
        source_weight: of V on the source, >= 0
        target_weight: of entropy and V on the target, >= 0
        radius: length of r per row, in the unit of x, > 0; it takes sqrt(width / 3072) times as much to change
            each of an image's numbers as on the paper's 32 × 32 × 3
        xi: length of the trial step that finds the direction of r, in the unit of x, > 0
        iterations: how often the direction is refined, >= 1
        hidden: width of the discriminator's two hidden layers, >= 1
    Shapes
        x (B, *S), z (B, d), logits (B, K), y (B,)
    Raises
        DalibError: input that cannot be perturbed (token ids, several modalities)
    Reference
        Shu et al. A DIRT-T Approach to Unsupervised Domain Adaptation. ICLR 2018. arXiv:1802.08735 (its first stage).
        Defaults: the authors' MNIST to SVHN script, but for xi (theirs, 1e-6, is less than float32 resolves) and
        the discriminator (theirs: one hidden layer). Departures: gradient reversal (there: flipped labels, in turns);
        f(x) is computed anew over both domains' rows together, as are f(x + xi d) and f(x + r), in full precision,
        without dropout and without moving batch norm's statistics; no moving average of the weights, no instance norm.
    """

    family = "adversarial"
    paper = "shu2018dirtt"
    space = {"weight": [0.01, 0.1, 1.0], "source_weight": [0.0, 1.0], "target_weight": [0.01, 0.1]}

    def __init__(
        self,
        weight: float = 0.01,
        source_weight: float = 1.0,
        target_weight: float = 0.01,
        radius: float = 3.5,
        xi: float = 1e-3,
        iterations: int = 1,
        hidden: int = 100,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.source_weight = source_weight
        self.target_weight = target_weight
        self.radius = radius
        self.xi = xi
        self.iterations = iterations
        self.hidden = hidden

    def check(self) -> None:
        require_positive(self, "weight", "source_weight", "target_weight", zero=True)
        require_positive(self, "radius", "xi")
        require_whole(self, "iterations", "hidden")

    def build(self, dim: int, num_classes: int) -> None:
        self.discriminator = DomainDiscriminator(dim, int(self.hidden))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), self.weight)
        d_s, d_t = self.discriminator(z).split([len(source), len(target)])
        x = join([source.x, target.x])
        if isinstance(x, dict) or not x.is_floating_point():
            raise DalibError("vada perturbs its input: it takes one array of numbers, no token ids or modalities")
        v = own_virtual_adversarial(self.network, self._classify, x, self.radius, self.xi, int(self.iterations))
        v_s, v_t = v.split([len(source), len(target)])
        smooth = self.target_weight * (prediction_entropy(target.logits).mean() + v_t.mean())
        return {
            "classification": cross_entropy(source.logits, source.y),
            "adversarial": (softplus(-d_s).mean() + softplus(d_t).mean()) / 2,
            "cluster": self.source_weight * v_s.mean() + smooth,
        }

    def _classify(self, x: Tensor) -> Tensor:
        return self.network(x)[1]
