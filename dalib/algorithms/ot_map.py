"""Carry the source features onto the target by optimal transport, then fit a classifier."""

import torch
from torch import Tensor

from dalib.algorithms._row_blocks import need_plans, rows_together
from dalib.algorithms._unit_rows import scale_rows, warn_of_unit_rows
from dalib.core.feature_algorithm import SOLVED, FeatureAlgorithm
from dalib.core.hyper import choice, flag, positive, state
from dalib.core.needs import Needs, Size, need
from dalib.nn.blocks import deal_blocks
from dalib.nn.classifiers import find_nearest
from dalib.nn.discrepancy import squared_distances
from dalib.nn.transport import barycentric_map, class_regularised, emd, move_gaussian, sinkhorn

METHODS = ("emd", "sinkhorn", "class_regularised", "linear")


class OTMap(FeatureAlgorithm):
    """Transport map, barycentric or linear, of unit rows z <- z / ||z|| (`unit_rows`); target rows move no further.

    z_s' = diag(P 1)^(-1) P z_t,  P = argmin_P <P, cost> + regulariser,  cost_ij = ||z_s_i - z_t_j||² / max
    emd: no regulariser; sinkhorn: reg * sum P log P; class_regularised: + group * sum_j sum_c P(class c, j)^(1/2)
    linear: z_s' = z_s A + b, the Monge map between the two Gaussians

    Shapes
        z (n, d), y (n,)
    Raises
        RuntimeError: the solver did not converge (reg too small)
    Reference
        Courty et al. Optimal Transport for Domain Adaptation. TPAMI 2017. arXiv:1507.00504; the linear map: Flamary et
        al. 2019. arXiv:1905.10155. Departures: logistic regression by default; costs are scaled by their maximum, rows
        to unit length and moved rows to unit total variance, so that neither reg nor C depends on the features' scale
        (unscaled, the classifier fits the rows that transport sent to the wrong class). With `block_rows`, plans of
        minibatches in place of one: Fatras et al. Learning with Minibatch Wasserstein. AISTATS 2020. arXiv:1910.04091;
        each row is in one of them. The defaults of reg and C were chosen by target accuracy on mini_office and four
        tasks of Office-Caltech10: there they are optimistic.
    """

    family = "optimal transport"
    objectives = SOLVED
    paper = "courty2017otda"
    instead = "block_rows = 1000, a part of the rows, or method = 'linear' or coral, which need no pairs of rows"
    keeps_columns = True
    method: str = choice(
        default="sinkhorn", options=METHODS, search=METHODS, doc="`emd`, `sinkhorn`, `class_regularised` or `linear`"
    )
    reg: float = positive(
        default=0.1, search=(0.01, 0.03, 0.1), doc="entropy over the largest cost; `linear`: ridge over mean variance"
    )
    group: float = positive(default=0.01, search=(0.001, 0.01, 0.1), doc="class regularisation over the largest cost")
    C: float = positive(default=3.0, last=True, search=(1.0, 3.0, 10.0), doc="inverse regularisation of the classifier")
    unit_rows: bool = flag(default=True, doc="scale rows to unit length (POT and the paper do not); False: as they are")
    block_rows: int = rows_together("a plan")
    scale: Tensor = state()

    def needs(self, size: Size) -> Needs:
        rows = super().needs(size) + need(size, "2 n d")
        if self.method == "linear":
            return rows + need(size, "2 n d + 6 r²", "3 n r d + 15 r³", r=min(size.d, size.n_s + size.n_t))
        return rows + need_plans(size, self.method, self.reg, self.block_rows)

    @property
    def uses_labels(self) -> bool:  # type: ignore[override]
        """The class-regularised plan groups source rows by class."""
        return self.method == "class_regularised"

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        """`linear`: by the map; else as far as the nearest row of z_s went."""
        z, z_s, z_t = (scale_rows(part, self.unit_rows) for part in (z, z_s, z_t))
        if self.method == "linear":
            return move_gaussian(z_s, z_t, self.reg, z) / self.scale
        near = find_nearest(z, z_s)
        return moved[near] + (z - z_s[near]) / self.scale

    def project(self, z: Tensor) -> Tensor:
        return scale_rows(z, self.unit_rows) / self.scale

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        if self.unit_rows:
            warn_of_unit_rows("ot_map", z_s, z_t, y_s)
        moved = self._move(scale_rows(z_s, self.unit_rows), y_s, scale_rows(z_t, self.unit_rows))
        self.register_buffer("scale", (moved - moved.mean(0)).square().sum(1).mean().sqrt().clamp_min(1e-6))
        return moved / self.scale

    def _move(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        if self.method == "linear":
            return move_gaussian(z_s, z_t, self.reg)
        centre, moved = torch.cat([z_s, z_t]).mean(0), torch.empty_like(z_s)
        for i, j in deal_blocks(z_s, z_t, self.block_rows):
            plan = self._plan(squared_distances(z_s[i] - centre, z_t[j] - centre), y_s[i])
            moved[i] = barycentric_map(plan, z_t[j])
        return moved

    def _plan(self, cost: Tensor, y_s: Tensor) -> Tensor:
        if self.method == "emd":
            return emd(cost)
        if self.method == "sinkhorn":
            return sinkhorn(cost, self.reg)
        return class_regularised(cost, y_s, self.reg, self.group)
