"""Fit a classifier, then change its prior to the class proportions that the target's own rows speak for."""

from torch import Tensor

from dalib.algorithms._prior import PriorShift
from dalib.nn.mixture import fit_proportions


class LabelShift(PriorShift):
    """Re-estimated prior, for classes that are more or less frequent in the target and look the same.

    logits_t(z) = logits(z) + log q - log p,  p = class proportions of the source
    q = argmax_q mean_j log sum_c q_c p(c | z_t_j) / p_c,  q >= 0, sum q = 1
    calibrated: logits(z) is s * logits(z) + b, and p the mean of its probabilities of source rows left out

    Shapes
        z (n, d), y (n,); q (K,), kept as `proportions`
    Reference
        Saerens et al. Adjusting the Outputs of a Classifier to New a Priori Probabilities. Neural Computation 2002.
        doi:10.1162/089976602753284446. Departure: the likelihood that their EM climbs is concave in q and is maximised
        by interior-point steps (`fit_proportions`), which end where EM would. `calibration = "bias_corrected"`:
        Alexandari, Kundaje & Shrikumar. Maximum Likelihood With Bias-Corrected Calibration is Hard-To-Beat at Label
        Shift Adaptation. ICML 2020. arXiv:1901.06852.
    """

    family = "importance weighting"
    paper = "saerens2002adjusting"

    def estimate(self, logits_s: Tensor, y_s: Tensor, logits_t: Tensor, p: Tensor) -> Tensor:
        return fit_proportions(logits_t.log_softmax(1) - p.log())
