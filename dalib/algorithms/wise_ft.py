"""Average the weights of the fine-tuned network with those it started from."""

import copy

from torch import Tensor, nn
from torch.func import functional_call

from dalib.algorithms._probe import ProbeFirst
from dalib.core.algorithm import TrainerLike
from dalib.core.hyper import positive
from dalib.core.types import Domain
from dalib.nn.weights import mix_states


class WiseFt(ProbeFirst):
    """Weight-space ensemble of a probe of the pretrained backbone and its fine-tuned successor.

    1  θ_0: the new layers on the frozen backbone,  loss = CE(logits_s, y_s)
    2  θ_1: everything, from θ_0,                   loss = CE(logits_s, y_s)
    prediction: the network with θ = (1 - alpha) θ_0 + alpha θ_1, batch-norm statistics included

    Every candidate is the mixture of its time; in the end the network's weights are θ.

    Shapes
        x (B, *S), logits (B, K), y (B,)
    Reference
        Wortsman et al. Robust fine-tuning of zero-shot models. CVPR 2022. arXiv:2109.01903.
        Departure: θ_0 is a probe, which every backbone can have (there: CLIP with a head made of the classes' names).
    """

    family = "fine-tuning"
    paper = "wortsman2022wiseft"
    alpha: float = positive(
        default=0.5, zero=True, most=1, search=(0.3, 0.5, 0.7), doc="part of θ_1, in [0, 1]: 0 = the probe, 1 = `lp_ft`"
    )

    def begin(self) -> None:
        self.start = copy.deepcopy(self.network)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), *([(self.start, 0.0)] if self.tuning else [])]

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        super().fit(trainer, source, target)
        self.network.load_state_dict(self._mixture())
        del self.start

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return functional_call(self.network, self._mixture(), (x,)) if hasattr(self, "start") else self.network(x)

    def _mixture(self) -> dict[str, Tensor]:
        return mix_states(self.start.state_dict(), self.network.state_dict(), self.alpha)
