"""Adapt a trained model to the target without the source: certain, varied, self-labelled predictions."""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._phases import SourceFirst
from dalib.core.algorithm import Terms, TrainerLike
from dalib.core.hyper import positive
from dalib.core.types import Domain, Source, Target
from dalib.nn.centroids import centroid_labels
from dalib.nn.entropy import information_maximisation


class SHOT(SourceFirst):
    """Source hypothesis transfer: phase one on the source, phase two on the unlabelled target under the frozen head.

    1  loss = CE(logits_s, y_s), labels smoothed
    2  loss = mean_i H(p_i) - H(mean_i p_i) + weight * CE(logits_t, ŷ_t),  p = softmax(logits_t)
    ŷ = `centroid_labels` of the whole target, computed anew before each pass over it

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Liang et al. Do We Really Need to Access the Source Data? Source Hypothesis Transfer for Unsupervised Domain
        Adaptation. ICML 2020. arXiv:2002.08546. Departures: the head is a plain linear layer (weight norm there is the
        same model, trained differently) behind a bottleneck with ReLU (none there); the source gets a part of the
        steps, not epochs of its own, and its last state is taken, not its best.
    """

    family = "source-free"
    objectives = ("classification",)
    setting = "source-free"
    source_free = True
    of_the_source = ("pretrain", "smoothing")
    paper = "liang2020shot"
    weight: float = positive(default=0.3, zero=True, search=(0.0, 0.1, 0.3, 1.0), doc="trade-off of the pseudo-labels")
    smoothing: float = positive(
        default=0.1, zero=True, below=1, doc="part of each label spread over all classes in phase one"
    )

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("labels", None)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return super().rates(backbone_rate) + [(self.network.head, 0.0)] * self.adapting

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        if self.adapting:
            out = trainer.outputs(self, target)
            self.labels = centroid_labels(out.z, out.p).to(self.network.device)

    def supervise(self, source: Source) -> Tensor:
        return cross_entropy(source.logits, source.y, label_smoothing=self.smoothing)

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Phase two's terms; without pseudo-labels before the first pass."""
        terms = {"information": information_maximisation(target.logits)}
        if self.labels is not None:
            terms["pseudo_label"] = self.weight * cross_entropy(target.logits, self.labels[target.index])
        return terms
