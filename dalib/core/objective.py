"""The contract of an objective: one kind of answer, its head, its supervised loss and how a user is told."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from dalib.core.errors import DalibError
from dalib.core.registry import OBJECTIVES

if TYPE_CHECKING:
    import numpy as np

    from dalib.core.backbone import Backbone, Preprocess
    from dalib.core.network import Network


class Objective:
    """One kind of answer. A plug-in is a file in `dalib/objectives`.

    Class variables
        name: registry name, also of the loss term
        metrics: names of metrics that tell how good answers are; the first is the table's unless a suite says otherwise
        dense: answers say where in a picture: labels (n, H, W) or boxes (n, M, 5) follow its crops and flips
        recipe: fields of TrainConfig that stand where a run on such answers leaves them open
        scales: answers are numbers, which `TrainConfig.answers` may scale
        structured: what is predicted in training is no tensor but an object that makes losses and answers of itself
            (`dalib.nn.seen.Seen`); the loss of a batch draws at random and is no mean of its rows'
        unsaid: what stands in y where nobody said; None where every answer is given
    """

    name: ClassVar[str] = ""
    metrics: ClassVar[tuple[str, ...]] = ()
    dense: ClassVar[bool] = False
    recipe: ClassVar[dict[str, Any]] = {}
    scales: ClassVar[bool] = False
    structured: ClassVar[bool] = False
    unsaid: ClassVar[int | None] = None

    def check(self) -> None:
        """Raise DalibError, before anything is trained or measured, where something that it needs is not installed."""

    def says_nothing(self, y: np.ndarray) -> bool:
        """Nobody gave any answer: there are rows, and all of y is what stands where nobody said (`unsaid`)."""
        return self.unsaid is not None and len(y) > 0 and all(bool((row == self.unsaid).all()) for row in y)

    def check_labels(self, y: np.ndarray, outputs: int, where: str) -> None:
        """Raise DalibError, before anything is trained or measured, for labels that this objective cannot read.

        Args
            y: of all rows of a domain, at least one
            outputs: how many names they have
            where: whose they are, for the message
        """

    def head(self, dim: int, outputs: int) -> nn.Module:
        """What stands on z: (B, dim) -> prediction (B, outputs)."""
        return nn.Linear(dim, outputs)

    def prepare(self, preprocess: Preprocess, crop: int = 0, resize: int = 0) -> Preprocess:
        """How a network of that preparation takes images at the recipe's `crop` and `resize` (0 = its own)."""
        return preprocess.at(crop, resize)

    def network(self, backbone: Backbone, outputs: int, bottleneck: int = 256, **how: Any) -> Network:
        """The network that answers: backbone, bottleneck and head.

        how: as of `Network`; `decoder`, for dense answers only
        """
        from dalib.core.network import Network

        decoder = how.pop("decoder", "")
        if decoder:
            raise DalibError(
                f"train.decoder = {decoder} is for an answer per pixel or boxes, not for {self.name}; leave it out"
            )
        return Network(backbone, outputs, bottleneck, objective=self, **how)

    def row_losses(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The supervised loss of each row (B,)."""
        raise NotImplementedError

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The supervised loss, mean over rows."""
        return self.row_losses(prediction, y).mean()

    def solve(self, z: Tensor, y: Tensor, C: float, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A linear head in closed form, for methods that solve: prediction = z Wᵀ + b, W (outputs, d), b (outputs,).

        Args
            z: (n, d) float64
            C: inverse regularisation
            weight: (n,) >= 0 of mean 1, what each row counts
        """
        raise DalibError(
            f"{self.name} has no head in closed form; take a method that trains (dalib list algorithms --objective "
            f"{self.name})"
        )

    def decide(self, prediction: Tensor) -> Tensor:
        """prediction (n, outputs) -> the answer that a user is told."""
        raise NotImplementedError

    def keep(self, prediction: Tensor) -> Tensor:
        """What is kept of the predictions for a whole domain, of which `decide` says the same; here all of it."""
        return prediction.float()

    def tell(self, answer: Tensor, outputs: int) -> Tensor:
        """Answers as a number per row and output (n, outputs), for tables of predictions."""
        return answer


@cache
def find_objective(name: str = "classification") -> Objective:
    """The objective of that name, the same object every time; DalibError for an unknown one."""
    objective: Objective = OBJECTIVES.get(name)()
    return objective


def says_nothing(objective: str, y: np.ndarray) -> bool:
    """`Objective.says_nothing`."""
    return find_objective(objective).says_nothing(y)


def refuse_shape(objective: str, y: np.ndarray, shape: tuple[int | str, ...], where: str) -> None:
    """Raise DalibError where labels have another shape than `shape`, of which words fit any number."""
    fits = y.ndim == len(shape) and all(isinstance(n, str) or n == m for n, m in zip(shape, y.shape, strict=True))
    if not fits or y.dtype.kind not in "iufb":
        needed = f"({', '.join(map(str, shape))})"
        raise DalibError(f"{where} have shape {y.shape} and type {y.dtype}; {objective} needs numbers {needed}")


def refuse_answers(objective: str, where: str, what: str) -> None:
    """Raise DalibError where labels are no classes, for `what` compares classes."""
    if objective != "classification":
        raise DalibError(
            f"{where} has labels for {objective}, and {what} compare classes; give data whose labels are classes, "
            f"or train on these (dalib list algorithms --objective {objective})"
        )
