"""Adversarial features, certain target predictions, and predictions that no small change of an input can flip."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.hyper import positive, whole
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
    objectives = ("classification",)
    paper = "shu2018dirtt"

    weight: float = positive(
        default=0.01,
        zero=True,
        search=(0.01, 0.1, 1.0),
        doc="trade-off of the adversarial term for the features, dimensionless",
    )
    source_weight: float = positive(default=1.0, zero=True, search=(0.0, 1.0), doc="of V on the source")
    target_weight: float = positive(default=0.01, zero=True, search=(0.01, 0.1), doc="of entropy and V on the target")
    radius: float = positive(
        default=3.5,
        doc="length of r per row, in the unit of x; it takes sqrt(width / 3072) times as much to "
        "change each of an image's numbers as on the paper's 32 × 32 × 3",
    )
    xi: float = positive(default=1e-3, doc="length of the trial step that finds the direction of r, in the unit of x")
    iterations: int = whole(default=1, doc="how often the direction is refined")
    hidden: int = whole(default=100, doc="width of the discriminator's two hidden layers")

    def build(self, dim: int, outputs: int) -> None:
        self.discriminator = DomainDiscriminator(dim, self.hidden)

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), self.weight)
        d_s, d_t = self.discriminator(z).split([len(source), len(target)])
        x = join([source.x, target.x])
        if isinstance(x, dict) or not x.is_floating_point():
            raise DalibError("vada perturbs its input: it takes one array of numbers, no token ids or modalities")
        v = own_virtual_adversarial(self.network, self._classify, x, self.radius, self.xi, self.iterations)
        v_s, v_t = v.split([len(source), len(target)])
        smooth = self.target_weight * (prediction_entropy(target.logits).mean() + v_t.mean())
        return {
            "adversarial": (softplus(-d_s).mean() + softplus(d_t).mean()) / 2,
            "cluster": self.source_weight * v_s.mean() + smooth,
        }

    def _classify(self, x: Tensor) -> Tensor:
        return self.network(x)[1]
