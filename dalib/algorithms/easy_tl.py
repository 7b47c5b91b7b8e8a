"""Align covariances, then give every target row to a source class mean, and every class at least one row."""

import torch
from torch import Tensor

from dalib.core.algorithm import TrainerLike
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import positive, state
from dalib.core.needs import Needs, Size, need
from dalib.core.types import Domain
from dalib.nn.assignment import class_bonuses
from dalib.nn.classifiers import ABSENT
from dalib.nn.linalg import recolour


class EasyTL(FeatureAlgorithm):
    """Easy transfer learning: CORAL and an assignment by linear programming; the target's rows stay where they are.

    logit_c = u_c - ||z - mean of the moved source rows of class c||,  z_s' = (z_s - m_s) C_s^(-1/2) C_t^(1/2) + m_t
    u = least bonuses >= 0 with which every target row has the class of
    argmin <M, distance> subject to rows of M summing to 1, columns to at least 1

    Shapes
        z (n, d), y (n,)
    Raises
        RuntimeError: the linear programme was not solved
    Reference
        Wang et al. Easy Transfer Learning by Exploiting Intra-domain Structures. ICME 2019. arXiv:1904.01376.
        Departure: bonuses in place of the assignment: the same labels on the target's training rows, and any other row
        gets one too.
    """

    family = "feature map"
    paper = "wang2019easytl"
    classifier = "nearest"
    C = 1.0
    k = 5
    reg: float = positive(default=1.0, search=(0.01, 0.1, 1.0), doc="ridge over the mean variance (see `coral`)")
    present: Tensor = state()
    means: Tensor = state()
    bonuses: Tensor = state()

    def needs(self, size: Size) -> Needs:
        r = min(size.d, max(size.n_s, size.n_t))
        return need(size, "4 n d + 5 r² + 30 n_t K", "3 n r d + 12 r³", "4000 n_t K", r=r)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        y_s, moved = torch.as_tensor(source.labels), recolour(z_s, z_t, self.reg)
        present = y_s.unique()
        means = torch.stack([moved[y_s == c].mean(0) for c in present])
        self.register_buffer("present", present)
        self.register_buffer("means", means)
        self.register_buffer("bonuses", class_bonuses(torch.cdist(z_t, means)))

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.network.embed(x).double()
        scores = self.bonuses - torch.cdist(z, self.means)
        logits = (2 * scores.amin(1, keepdim=True)).clamp(max=ABSENT).repeat(1, self.network.outputs)
        logits[:, self.present] = scores
        return z, logits
