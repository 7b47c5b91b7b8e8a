"""Leave a trained network as it is and replace its head's weights by templates from the target's surest rows."""

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.hyper import state, whole
from dalib.core.types import Domain
from dalib.nn.templates import adjust_templates


class T3A(Algorithm):
    """Test-time template adjuster: the source alone is trained on; classes are what the target's sure rows look like.

    loss = CE(logits_s, y_s);  prediction: logits = z cᵀ,  c = `adjust_templates` of the head and the whole target

    Shapes
        z (B, d), logits (B, K); c (K, d)
    Raises
        DalibError: the head is no linear layer
    Reference
        Iwasawa & Matsuo. Test-Time Classifier Adjustment Module for Model-Agnostic Domain Generalization. NeurIPS 2021.
        Departure: the supports are all rows of the unlabelled target, then any row is predicted; there each batch is
        predicted as it comes, by those before it.
    """

    family = "normalisation"
    objectives = ("classification",)
    setting = "test-time"
    source_free = True
    paper = "iwasawa2021t3a"
    uses_target = False
    supports: int = whole(
        default=20, least=0, search=(1, 5, 20, 50, 100, 0), doc="rows of each class that make its template; 0 = all"
    )
    templates: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("templates", torch.zeros(outputs, dim))

    def before_evaluation(self, trainer: TrainerLike, target: Domain) -> None:
        head = self.network.head
        if not isinstance(head, nn.Linear):
            raise DalibError(f"t3a adjusts the weights of a linear head, and this one is a {type(head).__name__}")
        self.templates.zero_()
        z, weight = trainer.outputs(self, target).z, head.weight.detach().cpu()
        bias = torch.zeros(len(weight)) if head.bias is None else head.bias.detach().cpu()
        self.templates.copy_(adjust_templates(weight, bias, z, self.supports))

    def answer(self, z: Tensor, prediction: Tensor) -> Tensor:
        if self.training or not self.templates.any():
            return prediction
        return z @ self.templates.T.to(z.dtype)
