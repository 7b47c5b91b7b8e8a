"""Three copies of every column, one for both domains and one for each, then a classifier on a few target labels too."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import SOLVED, FeatureAlgorithm
from dalib.core.hyper import flag, positive, state
from dalib.core.needs import Needs, Size, need, need_classifier


class FeatureAugmentation(FeatureAlgorithm):
    """Feature augmentation (EA, "frustratingly easy"): what holds in both domains is learned apart from what does not.

    z_s' = (z, z, 0),  z_t' = (z, 0, z);  the classifier's penalty decides which of the copies carries what
    each_source, of two sources: z_1' = (z, z, 0, 0),  z_2' = (z, 0, z, 0),  z_t' = (z, 0, 0, z)

    It lives on labelled target rows (`protocol = "semi_supervised"`, `y_target`); without any the target's own copy
    says nothing, and on the target the source's classifier counts with half its weights but its whole offset: where
    columns lie far from 0 it is worse than `linear_probe`.

    Shapes
        z (n, d), y (n,); z' (n, 3 d), or (n, (2 + sources) d)
    Raises
        DalibError: `each_source` where nobody says which source a row is from
    Reference
        Daumé III. Frustratingly Easy Domain Adaptation. ACL 2007. arXiv:0907.1815. Departure: several sources share one
        copy unless `each_source` says otherwise (the paper has one for each domain).
    """

    family = "few labels"
    objectives = SOLVED
    paper = "daume2007easy"
    lives_on = {
        "labelled target rows": "linear_probe with half its weights and its whole offset",
        "labelled source rows": "linear_probe with half its weights and its whole offset",
    }
    C: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation of `logistic` and `svm`", last=True
    )

    each_source: bool = flag(
        default=False, doc="every source has a copy of its own, as in the paper; False: they share one"
    )
    sources: Tensor = state()
    origin: Tensor | None = None

    def tell_sources(self, origin: Tensor) -> None:
        self.origin = origin if self.each_source else None

    def needs(self, size: Size) -> Needs:
        return need_classifier(size, self.classifier, 3 * size.d) + need(size, "3 n_s d")

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        if self.each_source:
            return self._copy_apart(z_s, torch.zeros(len(z_s), dtype=torch.bool))
        return torch.cat([z_s, z_s, torch.zeros_like(z_s)], 1)

    def align_labelled(self, z: Tensor, y: Tensor, z_t: Tensor, own: Tensor) -> Tensor:
        if self.each_source:
            return self._copy_apart(z, own)
        return torch.where(own[:, None].to(z.device), self.project(z), self.align(z, y, z_t))

    def _copy_apart(self, z: Tensor, own: Tensor) -> Tensor:
        if self.origin is None or len(self.origin) != len(z):
            raise DalibError(
                "feature_augmentation.each_source: nobody says which source a row is from; give several sources to "
                "AdaptationClassifier by sample_domain, or to a run (a+b->c), or leave it out"
            )
        names = self.origin[~own.to(self.origin.device)].unique()
        self.register_buffer("sources", torch.tensor(len(names)))
        at = torch.searchsorted(names, self.origin)
        return self._place(z, torch.where(own.to(at.device), len(names), at))

    def _place(self, z: Tensor, at: Tensor) -> Tensor:
        copies = one_hot(at.to(z.device), int(self.sources) + 1).to(z)
        return torch.cat([z, (copies[:, :, None] * z[:, None]).flatten(1)], 1)

    def project(self, z: Tensor) -> Tensor:
        if self.each_source:
            return self._place(z, self.sources.expand(len(z)))
        return torch.cat([z, torch.zeros_like(z), z], 1)

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        if self.each_source:
            raise DalibError(
                "feature_augmentation.each_source: nobody says which source a new row is from; leave it out"
            )
        return self.align(z, z, z_t)
