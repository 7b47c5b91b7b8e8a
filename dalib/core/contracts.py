"""What an algorithm may ask of the step and of the trainer that run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from torch import Tensor, nn

from dalib.core.types import Domain, Outputs, Source, Target

if TYPE_CHECKING:
    from dalib.core.algorithm import Algorithm

Terms = dict[str, Tensor]


class Minimise(Protocol):
    """What a step may ask for."""

    def __call__(self, terms: Terms, only: Sequence[nn.Module] | None = None) -> None:
        """One optimiser step on the terms' sum, for the parameters of `only` or all."""

    def forward(self, source: Source, target: Target) -> tuple[Source, Target]:
        """The same rows through the network once more, as the recipe says (precision, joint or separate)."""


class TrainerLike(Protocol):
    """What an algorithm may ask of the trainer that runs it.

    labelled: the labelled rows of the run, as `fit` is given them
    """

    labelled: Domain

    def descend(self, algorithm: Algorithm, source: Domain, target: Domain, until: float = 1.0) -> None:
        """Train from where the last descent stopped to `until` of all steps; a source without rows is withheld."""

    def embed(self, algorithm: Algorithm, domain: Domain) -> Tensor:
        """The backbone's own features (n, d), on the CPU."""

    def outputs(self, algorithm: Algorithm, domain: Domain) -> Outputs:
        """z and logits of every row, in evaluation mode, on the CPU."""

    def reestimate(self, algorithm: Algorithm, domain: Domain) -> int:
        """Give every batch norm of the network this domain's statistics; returns how many there are."""
