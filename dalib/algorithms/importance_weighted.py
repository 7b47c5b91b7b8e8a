"""Weight the source rows with the odds that a domain classifier gives them, then fit a classifier."""

from torch import Tensor

from dalib.algorithms._row_weighting import RowWeighting
from dalib.core.feature_algorithm import SOLVED
from dalib.core.hyper import positive
from dalib.core.needs import Needs, Size, need, need_classifier
from dalib.nn.density_ratio import discriminative_weights


class ImportanceWeighted(RowWeighting):
    """Importance weighting for covariate shift, with the density ratio of a logistic domain classifier.

    w_i = (n_s / n_t) P(target | z_s_i) / P(source | z_s_i)
    classifier = argmin_f sum w_i loss(f(z_s_i), y_i)

    Shapes
        z (n, d), y (n,); w (n_s,)
    Reference
        Bickel, Brückner & Scheffer. Discriminative Learning for Differing Training and Test Distributions. ICML 2007.
        The paper's two-stage form. Departure: the odds of a row are those of the domain classifier fitted without it
        (by one Newton step), since odds at rows that were fitted are too small.
    """

    family = "importance weighting"
    objectives = SOLVED
    paper = "bickel2007discriminative"
    domain_C: float = positive(default=1.0, search=(0.1, 1.0, 10.0), doc="inverse ridge of the domain classifier")

    def needs(self, size: Size) -> Needs:
        r = min(size.d, size.n_s + size.n_t)
        both = need_classifier(Size(size.n_s + size.n_t, 0, r), "logistic")
        return super().needs(size) + both + need(size, "4 n r + 3 r²", "2 n r² + r³", r=r)

    def weigh(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        return self.usable(discriminative_weights(z_s, z_t, self.domain_C))
