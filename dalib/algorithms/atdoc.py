"""Pseudo-label the target by its own rows: a memory of their features and predictions votes, not the classifier."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.hyper import choice, positive, state, whole
from dalib.core.types import Domain, Source, Target
from dalib.nn.prototypes import move_class_means, seen, sharpen_and_balance, vote_of_neighbours

MODES = ("neighbours", "centroids")


class ATDOC(Algorithm):
    """Auxiliary target domain-oriented classifier: neighbourhood aggregation (NA) or nearest centroid (NC).

    loss = CE(logits_s, y_s) + weight * progress * sum_i w_i CE(logits_t_i, y_i) / sum_i w_i
    neighbours: y_i = argmax q_i, w_i = max q_i,  q_i = mean of p_j² / sum_batch p² over the nearest rows of the memory
    centroids:  y_i = argmax_k cos(z_t_i, c_k), w_i = 1,  c moves by `rate` to the means of the classes predicted

    Shapes
        z (B, d), logits (B, K), y (B,); memory: z (n, d) and p (n, K) of every target row, or c (K, d); `loss` writes
        it in training mode
    Reference
        Liang et al. Domain Adaptation with Auxiliary Target Domain-Oriented Classifier. CVPR 2021. arXiv:2007.04171.
        weight: the authors' Office-Home command for NA (0.1 for NC). Departures: rows are stored and centroids moved
        before the vote, as the training pass saw them (theirs: after the step, by a pass in evaluation mode); the
        memory begins empty, not random; a centroid stays when its class is absent (theirs shrinks); no label smoothing
        on the source. Until training has begun, the batch is the memory.
    """

    family = "self-training"
    objectives = ("classification",)
    paper = "liang2021atdoc"
    weight: float = positive(default=0.2, zero=True, search=(0.1, 0.2, 0.5, 1.0), doc="trade-off of the pseudo-labels")
    mode: str = choice(default="neighbours", options=MODES, search=MODES, doc="`neighbours` (NA) or `centroids` (NC)")
    neighbours: int = whole(default=5, search=(3, 5, 10), doc="rows of the memory that vote (neighbours)")
    rate: float = positive(default=0.1, most=1, doc="part of a centroid that each batch replaces (centroids)")
    memory_z: Tensor | None = state()
    memory_p: Tensor | None = state()
    centroids: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("memory_z", None)
        self.register_buffer("memory_p", None)
        self.register_buffer("centroids", torch.zeros(outputs, dim))

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        if self.mode == "neighbours" and (self.memory_z is None or len(self.memory_z) != len(target)):
            self.memory_z = self.centroids.new_zeros(len(target), self.centroids.shape[1])
            self.memory_p = self.centroids.new_zeros(len(target), len(self.centroids))

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        with torch.no_grad():
            w, y = self._ask_neighbours(target) if self.mode == "neighbours" else self._ask_centroids(target)
        ce = cross_entropy(target.logits, y, reduction="none")
        pseudo = (w * ce).sum() / w.sum().clamp(min=torch.finfo(w.dtype).tiny)
        return {"pseudo_labels": self.weight * progress * pseudo}

    def _ask_neighbours(self, target: Target) -> tuple[Tensor, Tensor]:
        z, p, own = normalize(target.z, dim=1), sharpen_and_balance(target.logits.softmax(1)), target.index
        if self.memory_z is None or self.memory_p is None:
            memory, own = (z, p), torch.arange(len(z), device=z.device)
        else:
            memory = self.memory_z, self.memory_p
            if self.training:
                self.memory_z[own], self.memory_p[own] = z, p
        w, y = vote_of_neighbours(z, *memory, own, self.neighbours).max(1)
        return w, y

    def _ask_centroids(self, target: Target) -> tuple[Tensor, Tensor]:
        c = move_class_means(self.centroids, target.z, target.logits.argmax(1), self.rate)
        if self.training:
            self.centroids.copy_(c)
        cosine = normalize(target.z, dim=1) @ normalize(c, dim=1).T
        y = cosine.masked_fill(~seen(c), -torch.inf).argmax(1)
        return torch.ones_like(cosine[:, 0]), y
