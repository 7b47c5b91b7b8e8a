"""Carry the source's labels to the target rows through an optimal plan, and fit the classifier on the target rows."""

import torch
from torch.nn.functional import one_hot

from dalib.algorithms._row_blocks import need_plans, rows_together
from dalib.core.algorithm import TrainerLike
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import choice, positive
from dalib.core.needs import Needs, Size
from dalib.core.types import Domain
from dalib.nn.blocks import deal_blocks
from dalib.nn.classifiers import fit_classifier
from dalib.nn.discrepancy import squared_distances
from dalib.nn.transport import barycentric_map, emd, sinkhorn

METHODS = ("emd", "sinkhorn")


class OTLabelPropagation(FeatureAlgorithm):
    """Label propagation through a transport plan; no row moves.

    L = D_1 P diag(Pᵀ1)^(-1),  D_1 (K, n_s) = one-hot labels y_s;  y_t_j = argmax_c L_cj;  classifier on (z_t, y_t)
    P = argmin_P <P, cost> + regulariser,  cost_ij = ||z_s_i - z_t_j||² / max;  uniform row and column sums
    emd: no regulariser; sinkhorn: reg * sum P log P

    Shapes
        z (n, d), y (n,)
    Raises
        RuntimeError: the solver did not converge (reg too small)
    Reference
        Redko et al. Optimal Transport for Multi-source Domain Adaptation under Target Shift. AISTATS 2019.
        arXiv:1803.04899, after Solomon et al. Wasserstein Propagation for Semi-Supervised Learning. ICML 2014.
        Departures: one plan from all source rows together, each of weight 1 / n_s, so that the carried labels have
        about the source's class proportions (the paper estimates the target's); the winning class alone is kept, and a
        classifier extends it to rows that were not transported. The default of reg was chosen by target accuracy on
        Office-Caltech10: there it is optimistic.
    """

    family = "optimal transport"
    paper = "redko2019target"
    instead = (
        "block_rows = 1000, a part of the rows, or coral, subspace_alignment or easy_tl, which need no pairs of rows"
    )
    method: str = choice(default="sinkhorn", options=METHODS, search=METHODS, doc="`emd` or `sinkhorn`")
    reg: float = positive(
        default=0.03, search=(0.01, 0.03, 0.1), doc="entropy as a fraction of the largest cost, for `sinkhorn`"
    )
    C: float = positive(default=1.0, last=True, search=(0.1, 1.0, 10.0), doc="inverse regularisation of the classifier")
    block_rows: int = rows_together("a plan")

    def needs(self, size: Size) -> Needs:
        return super().needs(size) + need_plans(size, self.method, self.reg, self.block_rows)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        D = one_hot(torch.as_tensor(source.labels), self.network.outputs).double()
        centre, L = torch.cat([z_s, z_t]).mean(0), z_t.new_empty(len(z_t), D.shape[1])
        for i, j in deal_blocks(z_s, z_t, self.block_rows):
            cost = squared_distances(z_s[i] - centre, z_t[j] - centre)
            P = emd(cost) if self.method == "emd" else sinkhorn(cost, self.reg)
            L[j] = barycentric_map(P.T, D[i.to(D.device)])
        state = fit_classifier(self.classifier, z_t, L.argmax(1), self.C, self.network.outputs)
        for name, value in state.items():
            self.register_buffer(f"classifier_{name}", value)
