"""Fit a classifier, then change its prior to the class proportions that the target's own rows speak for."""

import torch
from torch import Tensor

from dalib.core.algorithm import FeatureAlgorithm, TrainerLike
from dalib.core.hyper import choice, positive, state
from dalib.core.types import Domain
from dalib.nn.classifiers import score_classifier
from dalib.nn.mixture import fit_proportions


class LabelShift(FeatureAlgorithm):
    """Re-estimated prior, for classes that are more or less frequent in the target and look the same.

    logits_t(z) = logits(z) + log q - log p,  p = class proportions of the source
    q = argmax_q mean_j log sum_c q_c p(c | z_t_j) / p_c,  q >= 0, sum q = 1

    Shapes
        z (n, d), y (n,); q (K,), kept as `proportions`
    Reference
        Saerens et al. Adjusting the Outputs of a Classifier to New a Priori Probabilities. Neural Computation 2002.
        doi:10.1162/089976602753284446. Departure: the likelihood that their EM climbs is concave in q and is maximised
        by interior-point steps (`fit_proportions`), which end where EM would.
    """

    family = "importance weighting"
    paper = "saerens2002adjusting"
    classifier: str = choice(
        default="logistic", options=("logistic", "lda"), last=True, search=("logistic", "lda"),
        doc="one that gives probabilities: multinomial logistic regression, or linear discriminant analysis",
    )  # fmt: skip
    C: float = positive(default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation of `logistic`", last=True)
    k = 5
    proportions: Tensor = state()
    bonus: Tensor = state()

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        super().fit(trainer, source, target)
        z_t, K = trainer.embed(self, target).double(), self.network.outputs
        present, counts = torch.as_tensor(source.labels).unique(return_counts=True)
        state = {k.removeprefix("classifier_"): v for k, v in self.named_buffers() if k.startswith("classifier_")}
        log_p = (counts.double() / counts.sum()).log()
        logits = score_classifier(self.classifier, z_t, {k: v.to(z_t.device) for k, v in state.items()}, K)
        q = fit_proportions(logits[:, present].log_softmax(1) - log_p)
        self.register_buffer("proportions", torch.zeros(K, dtype=torch.float64).index_put((present,), q))
        self.register_buffer("bonus", torch.zeros(K, dtype=torch.float64).index_put((present,), q.log() - log_p))

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, logits = super().predict(x)
        return z, logits + self.bonus
