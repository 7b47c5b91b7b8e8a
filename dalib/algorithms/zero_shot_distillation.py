"""Learn from class names and unlabelled rows alone: zero-shot labels, handed on among neighbours, then learnt."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._class_names import TargetPrior
from dalib.core.algorithm import Minimise, Terms, TrainerLike
from dalib.core.hyper import positive, state
from dalib.core.types import Domain, Source, Target


class ZeroShotDistillation(TargetPrior):
    """Pseudo-labels of a zero-shot prior; no label of any domain is read.

    loss = CE(logits_t, ŷ_t),  ŷ_i = argmax_k F_ik,  F = `propagate_labels` of (1 - own) q + own p
    q: ConSE's probabilities, handed on once; p = softmax(logits_t) of the whole target, anew before each pass

    Shapes
        z (B, d), logits (B, K); q, F (n, K)
    Raises
        DalibError: as `zero_shot`
    Reference
        Hu et al. ReCLIP: Refine Contrastive Language Image Pre-training with Source Free Domain Adaptation. WACV 2024.
        arXiv:2308.03793: labels by propagation in closed form, then training on them, over and over; the graph and its
        solution as in the authors' code. Departures: ConSE in place of CLIP, so the prior's rows are the labelled
        nodes and no vectors of text; one network, whose predictions take part by `own`, not two that must agree; alpha
        0.8 and 10 neighbours (0.99, 20 there), positive cosines (1 + cos there); columns are divided by their sums.
    """

    family = "zero-shot"
    setting = "source-free"
    paper = "hu2024reclip"
    alone = "it learns from the target alone"
    own: float = positive(default=0.3, zero=True, below=1, search=(0.0, 0.3, 0.5), doc="part of its own predictions")
    labels: Tensor | None = state()

    def build(self, dim: int, outputs: int) -> None:
        super().build(dim, outputs)
        self.register_buffer("labels", None)

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        super().begin_epoch(trainer, target)
        assert self.prior is not None
        prior = self.prior
        if self.labels is not None and self.own:
            out = trainer.outputs(self, target)
            p, q = out.p.double(), prior.double().cpu()
            prior = self.hand_on((1 - self.own) * q + self.own * p, out.z)
        self.labels = prior.argmax(1).to(self.network.device)

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        minimise(self.adapt(source, target, progress))

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Before the first pass over the target, which makes the labels, what the network itself says."""
        labels = target.logits.argmax(1) if self.labels is None else self.labels[target.index]
        return {"pseudo_label": cross_entropy(target.logits, labels)}
