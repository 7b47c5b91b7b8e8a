"""Carry the labels of several sources through plans that agree on the target's class proportions."""

import torch
from torch import Tensor

from dalib.algorithms._row_blocks import need_plans
from dalib.core.algorithm import TrainerLike
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import number, positive, state
from dalib.core.needs import Needs, Size
from dalib.core.types import Domain
from dalib.nn.classifiers import fit_classifier
from dalib.nn.discrepancy import squared_distances
from dalib.nn.target_proportions import LEAST_REG, carry_labels, joint_proportions


class JCPOT(FeatureAlgorithm):
    """Joint class proportions and optimal transport, for classes whose proportions differ between all domains.

    min_{h, P} sum_k <P_k, cost_k> + reg sum P_k log P_k,  P_kᵀ1 = 1 / n_t,  mass of class c in P_k = h_c, k sources
    L = mean_k D_k P_k,  D_k (K, n_k) = one-hot labels;  y_t_j = argmax_c L_cj;  classifier on (z_t, y_t)

    Shapes
        z (n, d), y (n,), origin (n,): which source a row is from; h (K,), kept as `proportions`
    Raises
        DalibError: a source lacks a class that another has, whose proportion its plan cannot agree on
        RuntimeError: the proportions did not settle (reg too small)
    Reference
        Redko et al. Optimal Transport for Multi-source Domain Adaptation under Target Shift. AISTATS 2019.
        arXiv:1803.04899, with labels carried as in their code. Departures: costs over the largest of all sources
        (their code: over each one's median); no class regularisation; a classifier extends the labels to rows that
        were not transported.
    """

    family = "optimal transport"
    setting = "multi-source"
    paper = "redko2019target"
    instead = "a part of the rows, or ot_label_propagation with block_rows = 1000, for all sources together"
    reg: float = number(
        default=0.03, least=LEAST_REG, search=(0.01, 0.03, 0.1), doc="entropy as a fraction of the largest cost"
    )
    C: float = positive(default=1.0, last=True, search=(0.1, 1.0, 10.0), doc="inverse regularisation of the classifier")
    proportions: Tensor = state()

    def needs(self, size: Size) -> Needs:
        return super().needs(size) + need_plans(size, "sinkhorn", self.reg, 0)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        y_s, origin = (torch.as_tensor(a).to(z_s.device) for a in (source.labels, source.origin))
        centre, K = torch.cat([z_s, z_t]).mean(0), self.network.outputs
        parts = [origin == k for k in origin.unique()]
        self._check_classes([y_s[part] for part in parts], source.classes)
        costs = [squared_distances(z_s[part] - centre, z_t - centre) for part in parts]
        labels = [y_s[part] for part in parts]
        h, P = joint_proportions(costs, labels, K, self.reg)
        y_t = carry_labels(P, labels, K).argmax(0)
        self.register_buffer("proportions", h)
        state = fit_classifier(self.classifier, z_t, y_t, self.C, K, k=self.k)
        for name, value in state.items():
            self.register_buffer(f"classifier_{name}", value)

    def _check_classes(self, labels: list[Tensor], classes: tuple[str, ...]) -> None:
        known = {int(c) for y in labels for c in y.unique()}
        for k, y in enumerate(labels):
            lacking = sorted(known - {int(c) for c in y.unique()})
            if lacking:
                raise DalibError(
                    f"jcpot: source number {k + 1} has no row of class '{classes[lacking[0]]}', which another source "
                    "has; leave that source or that class out, or use label_shift or bbse"
                )
