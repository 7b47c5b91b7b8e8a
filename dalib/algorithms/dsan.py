"""Pull the two domains together class by class, with the target's predictions as soft labels."""

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.adversarial import warm_up
from dalib.nn.joint_discrepancy import local_mmd2


class DSAN(Algorithm):
    """Deep subdomain adaptation: a local maximum mean discrepancy.

    loss = CE(logits_s, y_s) + weight * (2 / (1 + e^(-10 progress)) - 1) * LMMD(z_s, z_t)
    LMMD = mean over classes c of ||sum_i w_ic phi(z_s_i) - sum_j v_jc phi(z_t_j)||²
    w from labels, v from softmax(logits_t), constant, each class's weights scaled to sum 1; phi of five Gaussians

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Zhu et al. Deep Subdomain Adaptation Network for Image Classification. TNNLS 2021. arXiv:2106.09388.
        Departure: as in the authors' code, the mean is over classes that the batch holds and the target predicts.
    """

    family = "discrepancy"
    objectives = ("classification",)
    paper = "zhu2021dsan"
    weight: float = positive(default=0.5, zero=True, search=(0.1, 0.5, 1.0, 3.0), doc="trade-off of the discrepancy")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        distance = local_mmd2(source.z, target.z, source.y, target.logits.softmax(1))
        return {"discrepancy": self.weight * warm_up(progress) * distance}
