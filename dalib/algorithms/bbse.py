"""Fit a classifier, then change its prior to what its confusions on source rows make of its answers in the target."""

import warnings

from torch import Tensor
from torch.nn.functional import one_hot

from dalib.algorithms._prior import PriorShift
from dalib.core.hyper import choice
from dalib.nn.label_shift import confusion_weights


class BBSE(PriorShift):
    """Black-box shift estimation, for classes that are more or less frequent in the target and look the same.

    C w = mu,  C_ij = mean_s [answer = i, y = j],  mu_i = mean_t [answer = i],  w >= 0,  q_c = w_c p_c / sum
    logits_t(z) = logits(z) + log q - log p,  p = class proportions of the source

    Shapes
        z (n, d), y (n,); q (K,), kept as `proportions`
    Reference
        Lipton, Wang & Smola. Detecting and Correcting for Label Shift with Black Box Predictors. ICML 2018.
        arXiv:1802.03916. Departures: answers to source rows come from classifiers that were not fitted to them (five
        parts), where the paper holds rows out; w changes the prior, as Alexandari et al. (arXiv:1901.06852) compare
        it, where the paper trains a second time with w as row weights; without an inverse, least squares. A class of
        one source row, which cannot be left out, counts as absent from the target (w = 0); a warning says so.
    """

    family = "importance weighting"
    paper = "lipton2018bbse"
    leaves_out = True
    confusion: str = choice(
        default="hard", options=("hard", "soft"), search=("hard", "soft"),
        doc="what the classifier says of a row: the likeliest class, or its probabilities",
    )  # fmt: skip

    def estimate(self, logits_s: Tensor, y_s: Tensor, logits_t: Tensor, p: Tensor) -> Tensor:
        if lone := len(p) - len(y_s.unique()):
            then = "they count as absent from the target" if len(y_s) else "proportions stay the source's"
            warnings.warn(
                f"bbse: {lone} of {len(p)} classes have one source row, which cannot be left out, so {then}; give each "
                "two rows, or take label_shift",
                UserWarning,
                stacklevel=2,
            )
        if not len(y_s):
            return p
        said = [
            one_hot(r.argmax(1), len(p)) if self.confusion == "hard" else r.softmax(1) for r in (logits_s, logits_t)
        ]
        q = confusion_weights(said[0], y_s, said[1]) * p
        return q / q.sum()
