"""What prompt learning shares: learnt vectors in the sentences of class names, and what a text tower makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.hyper import state
from dalib.core.text_tower import PROMPTS, check_names, encode_classes
from dalib.core.types import Domain
from dalib.nn.prompts import insert_context, make_room
from dalib.nn.semantics import scale_cosines

DEVIATION = 0.02
"""Of the learnt vectors at first."""


class PromptClassifier(Algorithm):
    """Learns `own` (K, context, e), `shared` (2, domain_context, e); `texts` (K, d) is what it predicts with.

    A model file holds these and needs no tower.
    """

    objectives = ("classification",)
    needs_head = True
    needs_texts = True
    alone = "its prompts are the classifier"
    recipe = {"bottleneck": 0, "lr": 0.003}
    context: int
    domain_context: int
    texts: Tensor | None = state()
    photo: Tensor = state()
    scale: Tensor = state()
    ids: Tensor = state()
    vectors: Tensor = state()
    own: Tensor = state()
    shared: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("texts", None)
        tower = self.network.text_tower
        if tower is None:
            return
        if not isinstance(self.network.bottleneck, nn.Identity):
            raise DalibError(
                f"{self.name_for_people()} compares the backbone's features with texts; set bottleneck = 0"
            )
        self.own = nn.Parameter(DEVIATION * torch.randn(outputs, self.context, tower.width))
        self.shared = nn.Parameter(DEVIATION * torch.randn(2, self.domain_context, tower.width))
        self.register_buffer("scale", torch.tensor(tower.scale))

    def read_names(self, classes: Sequence[str], source: str, target: str) -> None:
        """The sentences' tokens and the plain prompt of each class, before training."""
        tower, name = self.network.text_tower, self.name_for_people()
        if tower is None:
            raise DalibError(
                f"{name} learns prompts, and the backbone has no text tower; use clip with weights = 'FOLDER' or "
                "open_clip:MODEL with weights = 'FILE'"
            )
        words, learnt = check_names(tower, classes), self.context + self.domain_context
        tower.to(self.network.device)
        texts = [s.replace("{}", word, 1) for s in self.sentences(source, target) for word in words]
        ids = tower.leave_room(tower.tokenise(texts), learnt)
        if ids.shape[1] + learnt > tower.length:
            raise DalibError(
                f"{name}: sentences of {ids.shape[1]} tokens and {learnt} learnt ones are more than the {tower.length} "
                "that the text tower reads; lower context and domain_context"
            )
        with torch.no_grad():
            vectors = tower.embed(ids).unflatten(0, (2, len(words)))
        self.register_buffer("ids", make_room(ids, learnt).unflatten(0, (2, len(words))), persistent=False)
        self.register_buffer("vectors", vectors, persistent=False)
        self.register_buffer("photo", encode_classes(tower, classes, "photo"), persistent=False)
        self.keep_texts()

    def sentences(self, source: str, target: str) -> tuple[str, str]:
        """Of each domain, with {} in the class's place."""
        return PROMPTS["photo"][0], PROMPTS["photo"][0]

    def encode_prompts(self, domain: int) -> Tensor:
        """Features of the classes' prompts (K, d) in the source (0) or the target (1)."""
        tower = self.network.text_tower
        if tower is None or "vectors" not in self._buffers:
            raise DalibError(
                f"{self.name_for_people()} knows no class names yet; call read_names(classes, source, target) first"
            )
        prompts = insert_context(self.vectors[domain, None], self.own, self.shared[domain, None])[0]
        return tower.encode(prompts.to(next(tower.parameters()).dtype), self.ids[domain])

    def compare(self, z: Tensor, texts: Tensor) -> Tensor:
        return scale_cosines(z, texts.to(z), self.scale.to(z))

    def keep_texts(self) -> None:
        with torch.no_grad():
            self.texts = self.encode_prompts(1)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [(self, 1.0), (self.network, 0.0)]

    def before_evaluation(self, trainer: TrainerLike, target: Domain) -> None:
        self.keep_texts()

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        trainer.descend(self, source, target)
        self.keep_texts()

    def answer(self, z: Tensor, prediction: Tensor) -> Tensor:
        assert self.texts is not None
        return self.compare(z, self.texts)
