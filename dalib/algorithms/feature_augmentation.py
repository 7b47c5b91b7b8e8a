"""Three copies of every column, one for both domains and one for each, then a classifier on a few target labels too."""

import torch
from torch import Tensor

from dalib.core.algorithm import SOLVED, FeatureAlgorithm
from dalib.core.hyper import positive
from dalib.core.needs import Needs, Size, need, need_classifier


class FeatureAugmentation(FeatureAlgorithm):
    """Feature augmentation (EA, "frustratingly easy"): what holds in both domains is learned apart from what does not.

    z_s' = (z, z, 0),  z_t' = (z, 0, z);  the classifier's penalty decides which of the copies carries what

    It lives on labelled target rows (`protocol = "semi_supervised"`, `y_target`); without any the target's own copy
    says nothing, and the classifier is that of the source with a lighter penalty.

    Shapes
        z (n, d), y (n,); z' (n, 3 d)
    Reference
        Daumé III. Frustratingly Easy Domain Adaptation. ACL 2007. arXiv:0907.1815. Departure: several sources share one
        copy (the paper has one for each domain).
    """

    family = "few labels"
    objectives = SOLVED
    paper = "daume2007easy"
    lives_on = {
        "labelled target rows": "linear_probe with a lighter penalty",
        "labelled source rows": "linear_probe with a lighter penalty",
    }
    C: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation of `logistic` and `svm`", last=True
    )

    def needs(self, size: Size) -> Needs:
        return need_classifier(size, self.classifier, 3 * size.d) + need(size, "3 n_s d")

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        return torch.cat([z_s, z_s, torch.zeros_like(z_s)], 1)

    def align_labelled(self, z: Tensor, y: Tensor, z_t: Tensor, own: Tensor) -> Tensor:
        return torch.where(own[:, None].to(z.device), self.project(z), self.align(z, y, z_t))

    def project(self, z: Tensor) -> Tensor:
        return torch.cat([z, torch.zeros_like(z), z], 1)

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return self.align(z, z, z_t)
