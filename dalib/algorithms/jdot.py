"""Couple source and target rows by features and labels at once, and fit the classifier on the labels carried over."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dalib.algorithms._row_blocks import cut, rows_together
from dalib.core.algorithm import TrainerLike
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import positive, state, whole
from dalib.core.needs import Needs, Size, need
from dalib.core.types import Domain
from dalib.nn.blocks import deal_blocks
from dalib.nn.classifiers import ABSENT
from dalib.nn.discrepancy import squared_distances
from dalib.nn.ridge import fit_ridge
from dalib.nn.transport import barycentric_map, emd, scale_cost


class JDOT(FeatureAlgorithm):
    """Joint distribution optimal transport by block coordinate descent; target rows stay where they are.

    min_{P, f} <P, cost> + reg * v * ||W||²,  cost_ij = alpha * ||z_s_i - z_t_j||² / max + ||y_s_i - f(z_t_j)||²
    P given f: exact plan between uniform weights.  f(z) = z W + b given P: ridge regression on diag(Pᵀ1)^(-1) Pᵀ y_s
    y_s one-hot, v = total variance of z_t; the first plan has no label term; largest f_c = predicted class
    numbers: y_s of mean 0 and deviation 1 in every column; f is taken back to their own unit

    Shapes
        z (n, d), y (n,), or (n, m) numbers
    Raises
        RuntimeError: the network simplex did not converge
    Reference
        Courty, Flamary, Habrard & Rakotomamonjy. Joint distribution optimal transportation for domain adaptation.
        NIPS 2017. arXiv:1705.08848. alpha and iterations: the authors' code, with costs divided by their maximum.
        Departures: squared loss and a linear f for classes too, where the paper has one-against-the-rest squared hinge
        losses; ridge on W itself, where the code penalises the kernel's coefficients. The default of reg was chosen by
        target accuracy on Office-Caltech10: there it is optimistic.
    """

    family = "optimal transport"
    objectives = ("classification", "regression")
    paper = "courty2017jdot"
    instead = (
        "block_rows = 1000, a part of the rows, or coral, subspace_alignment or easy_tl, which need no pairs of rows"
    )
    classifier = "nearest"
    C = 1.0
    k = 5
    alpha: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="weight of the feature distance against the label loss"
    )
    reg: float = positive(
        default=0.01, search=(0.001, 0.01, 0.1), doc="ridge of f as a fraction of the target's total variance"
    )
    iterations: int = whole(default=10, doc="most plans solved; it ends sooner when the plan no longer changes")
    block_rows: int = rows_together("plans")
    W: Tensor = state()
    b: Tensor = state()

    def needs(self, size: Size) -> Needs:
        pairs, symbols = cut(size, self.block_rows)
        kept = "2 b m_s m_t + 7 m_s m_t" if self.block_rows else "9 n_s n_t"
        products, passes = "b m_s m_t d + i b m_s m_t K + i n_t d²", "10 i b m_s m_t"
        more = {"i": self.iterations, **symbols}
        return need(size, f"n d + {kept}", products, passes, plan=pairs, plans="i b", **more)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        y_s, middle, spread = self._spell(torch.as_tensor(source.labels))
        centre = torch.cat([z_s, z_t]).mean(0)
        parts, told = deal_blocks(z_s, z_t, self.block_rows), y_s.new_empty(len(z_t), y_s.shape[1])
        distances = [self.alpha * scale_cost(squared_distances(z_s[i] - centre, z_t[j] - centre)) for i, j in parts]
        plans = [emd(distance) for distance in distances]
        W, b = self._fit_carried(plans, parts, y_s, z_t, told)
        for _ in range(self.iterations - 1):
            before, answers = plans, z_t @ W + b
            plans = [
                emd(distance + squared_distances(y_s[i], answers[j]))
                for distance, (i, j) in zip(distances, parts, strict=True)
            ]
            if all(map(torch.equal, plans, before)):
                break
            W, b = self._fit_carried(plans, parts, y_s, z_t, told)
        absent = ~y_s.any(0) & (self.objective.name == "classification")
        self.register_buffer("W", W * spread)
        self.register_buffer("b", torch.where(absent, ABSENT, b * spread + middle))

    def _fit_carried(
        self, plans: list[Tensor], parts: list[tuple[Tensor, Tensor]], y_s: Tensor, z_t: Tensor, told: Tensor
    ) -> tuple[Tensor, Tensor]:
        for plan, (i, j) in zip(plans, parts, strict=True):
            told[j] = barycentric_map(plan.T, y_s[i])
        return fit_ridge(z_t, told, self.reg)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.network.embed(x).double()
        return z, z @ self.W + self.b

    def _spell(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Labels as the cost takes them, and the mean and deviation that numbers were scaled by."""
        if self.objective.name == "classification":
            y = one_hot(y, self.network.outputs).double()
            return y, torch.zeros(y.shape[1]).to(y), torch.ones(y.shape[1]).to(y)
        y = y.double()
        middle, spread = y.mean(0), y.std(0, correction=0)
        spread = torch.where(spread > 0, spread, 1.0)
        return (y - middle) / spread, middle, spread
