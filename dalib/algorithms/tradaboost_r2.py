"""Boost on source rows and a few labelled target rows, letting go of source rows that the target contradicts."""

import torch
from torch import Tensor

from dalib.core.algorithm import TrainerLike
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import positive, state, whole
from dalib.core.needs import Needs, Size, need
from dalib.core.types import Domain
from dalib.nn.ridge import fit_weighted_ridge


class TrAdaBoostR2(FeatureAlgorithm):
    """TrAdaBoost.R2 with ridge regressions; unlabelled target rows are not used.

    f_t = ridge regression with weights w;  e_i = mean_j |f_t(z_i) - y_i| / spread, divided by the largest
    E = sum_target w e / sum_target w, 1/2 at most;  beta_t = E / (1 - E);  beta = 1 / (1 + sqrt(2 ln n_s / rounds))
    w_i <- w_i beta^(e_i) of source rows, w_i beta_t^(-e_i) of target rows, scaled to sum 1
    answer = median of f_t over the later half of the rounds, f_t weighing ln(1 / beta_t), all alike where that is 0

    Where the protocol labels no target row (`uda`), or no other (`supervised`), it is one ridge regression.

    Shapes
        z (n, d), y (n, m)
    Reference
        Pardoe & Stone. Boosting for Regression Transfer. ICML 2010, of which abstract, introduction and a part of the
        experiments could be read; the algorithm in four codes: ADAPT's, Bin-Cao/TrAdaboost, one in R, and the second
        stage of jay15summer's. beta_t is AdaBoost.R2's, as in the last three and in ADAPT's documentation (ADAPT's code
        has E / (2 - E)); beta is ADAPT's and that of TrAdaBoost (in Bin-Cao's and the R code ln(n_s / rounds) for
        ln(n_s) / rounds); all but Bin-Cao's, which has a mean, have the weighted median.
        Departures: an error above 1/2 counts as 1/2, as in `TrAdaBoost`: that round has no vote and leaves the target's
        weights, while source rows go on losing weight (in the last three codes the rounds end there, with ridge
        regressions often at the first); ridge regression where others have trees, so that a model is its weights; every
        answer's error is measured in its deviation, and every answer has a median of its own. The paper's two-stage
        variant, which chooses the weight of the source by cross-validation, is not here.
    """

    version = 2
    family = "few labels"
    objectives = ("regression",)
    paper = "pardoe2010boosting"
    lives_on = {"labelled target rows": "one ridge regression", "labelled source rows": "one ridge regression"}
    uses_target = False
    classifier = "logistic"
    k = 5
    rounds: int = whole(default=10, search=(10, 30), doc="ridge regressions, of which the later half answers")
    C: float = positive(default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation, at row weights of mean 1")
    W: Tensor = state()
    b: Tensor = state()
    say: Tensor = state()

    def needs(self, size: Size) -> Needs:
        r = min(size.n_s, size.d)
        return need(size, "n d + 6 n_s d + 4 r²", "i n_s d² + i d³", "8 i n_s d", i=self.rounds, r=r)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z, y = trainer.embed(self, source).double(), torch.as_tensor(source.labels).double()
        own = torch.as_tensor(source.origin == self.network.target_origin)
        given = torch.ones(len(z)).double() if source.weight is None else torch.as_tensor(source.weight).double()
        boosts = bool(own.any()) and not bool(own.all())
        W, b, say = self._boost(z, y, own, given / given.sum()) if boosts else self._plain(z, y, given)
        for name, value in (("W", W), ("b", b), ("say", say)):
            self.register_buffer(name, value)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.network.embed(x).double()
        each = torch.einsum("nd,tmd->nmt", z, self.W) + self.b.T
        told, order = each.sort(dim=2)
        share = self.say[order].cumsum(2)
        at = (share < share[..., -1:] / 2).sum(2, keepdim=True).clamp(max=each.shape[2] - 1)
        return z, told.gather(2, at).squeeze(2)

    def _plain(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        W, b = fit_weighted_ridge(z, y, self.C, w / w.mean())
        return W[None], b[None], torch.ones(1, dtype=z.dtype)

    def _boost(self, z: Tensor, y: Tensor, own: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spread = y.std(0, correction=0)
        spread = torch.where(spread > 0, spread, 1.0)
        beta = 1 / (1 + (2 * torch.log((~own).sum().double()) / self.rounds).sqrt())
        found = []
        for _ in range(self.rounds):
            W, b = fit_weighted_ridge(z, y, self.C, w / w.mean())
            e = ((z @ W.T + b - y).abs() / spread).mean(1)
            e = e / e.max().clamp(min=torch.finfo(e.dtype).tiny)
            error = (w * e)[own].sum() / w[own].sum()
            held = error.clamp(max=0.5)
            beta_t = (held / (1 - held)).clamp(min=torch.finfo(e.dtype).eps)
            found.append((W, b, -beta_t.log()))
            w = w * torch.where(own, beta_t ** (-e), beta**e)
            w = w / w.sum()
        W, b, say = (torch.stack(part[len(part) // 2 :]) for part in zip(*found, strict=True))
        return W, b, say if say.any() else torch.ones_like(say)
