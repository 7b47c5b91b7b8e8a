"""What label-shift methods share: a classifier, its answers to source rows left out, and a prior put in its place."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.core.algorithm import TrainerLike
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import choice, positive, state
from dalib.core.needs import Needs, Size, need_classifier
from dalib.core.types import Domain
from dalib.nn.classifiers import fit_classifier, score_classifier
from dalib.nn.label_shift import deal_rows, fit_calibration

PARTS = 5
"""Source rows are left out in so many parts."""


class PriorShift(FeatureAlgorithm):
    """Fit a classifier, then change its prior; a subclass gives `estimate`. Classes without a source row stay absent.

    Calibrated, logits become s * logits + b, with s and b fitted to source rows that the classifier was not fitted to
    (five parts, where the paper holds rows out once and for all).
    """

    family = "importance weighting"
    classifier: str = choice(
        default="logistic", options=("logistic", "lda"), last=True, search=("logistic", "lda"),
        doc="one that gives probabilities: multinomial logistic regression, or linear discriminant analysis",
    )  # fmt: skip
    C: float = positive(default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation of `logistic`", last=True)
    k = 5
    calibration: str = choice(
        default="none", options=("none", "temperature", "bias_corrected"), last=True,
        search=("none", "temperature", "bias_corrected"),
        doc="of the classifier, on source rows left out: one temperature, or one with a bias for each class",
    )  # fmt: skip
    leaves_out = False
    proportions: Tensor = state()
    bonus: Tensor = state()

    def needs(self, size: Size) -> Needs:
        """One classifier, and one more for each part that is left out."""
        again = PARTS if self.calibration != "none" or self.leaves_out else 0
        return need_classifier(size, self.classifier, more=1 + again)

    def estimate(self, logits_s: Tensor, y_s: Tensor, logits_t: Tensor, p: Tensor) -> Tensor:
        """The target's class proportions q (K,), sum 1.

        logits_s (n, K), y_s (n,): calibrated, of source rows left out, or none; logits_t (m, K); p (K,) the
        source's prior
        """
        raise NotImplementedError

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        super().fit(trainer, source, target)
        z_t, K = trainer.embed(self, target).double(), self.network.outputs
        present, y, counts = torch.as_tensor(source.labels).unique(return_inverse=True, return_counts=True)
        state = {k.removeprefix("classifier_"): v for k, v in self.named_buffers() if k.startswith("classifier_")}
        logits_t = score_classifier(self.classifier, z_t, {k: v.to(z_t.device) for k, v in state.items()}, K)[
            :, present
        ]
        p, b = counts.double() / counts.sum(), torch.zeros(len(present), dtype=torch.float64)
        logits_s, y_s = logits_t[:0], y[:0]
        if self.calibration != "none" or self.leaves_out:
            logits_s, y_s = self._leave_out(trainer.embed(self, source).double(), y, len(present))
        if self.calibration != "none" and len(y_s):
            s, b = fit_calibration(logits_s, y_s, self.calibration == "bias_corrected")
            logits_s, logits_t = s * logits_s + b, s * logits_t + b
            p = logits_s.softmax(1).mean(0)
            for name in ("classifier_weight", "classifier_bias"):
                self.register_buffer(name, s * self.get_buffer(name))
        q = self.estimate(logits_s, y_s, logits_t, p)
        self.register_buffer("proportions", torch.zeros(K, dtype=torch.float64).index_put((present,), q))
        self.register_buffer(
            "bonus", torch.zeros(K, dtype=torch.float64).index_put((present,), b + q.clamp(min=1e-12).log() - p.log())
        )

    def _leave_out(self, z: Tensor, y: Tensor, K: int) -> tuple[Tensor, Tensor]:
        """Logits of every row by a classifier fitted without its part, and labels; a class of one row is left aside."""
        part = deal_rows(y, PARTS)
        found, rows = z.new_zeros(len(z), K), torch.zeros(0, dtype=torch.int64)
        for i in part[part >= 0].unique():
            mine = (part == i).nonzero()[:, 0]
            state = fit_classifier(self.classifier, z[part != i], y[part != i], self.C, K)
            found[mine] = score_classifier(self.classifier, z[mine], state, K)
            rows = torch.cat([rows, mine])
        return found[rows], y[rows]

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, logits = super().predict(x)
        return z, logits + self.bonus
