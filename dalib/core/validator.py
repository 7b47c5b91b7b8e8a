"""The contract of model-selection scores."""

from __future__ import annotations

from typing import ClassVar

from dalib.core.types import Outputs


class Validator:
    """Scores one candidate model. Higher is better, always.

    Class variables
        uses_target_labels: True only for the oracle; tables mark it
        uses_features: it reads z, so `dalib rescore` needs records that keep features
        uses_probabilities: it reads how sure the model is, so it means nothing for scores that are no log-probabilities
        paper: BibTeX key in docs/references.bib, or an empty string
        version: raised when its numbers change; kept beside the numbers of a run and in no key, so that a table says
            which are of another version (in the class itself, a whole number)
    """

    uses_target_labels: ClassVar[bool] = False
    uses_features: ClassVar[bool] = False
    uses_probabilities: ClassVar[bool] = False
    paper: ClassVar[str] = ""
    version: ClassVar[int] = 1

    def score(self, source: Outputs, target: Outputs) -> float:
        """source: held-out labelled rows; target: rows without y (except for the oracle). nan = not applicable."""
        raise NotImplementedError
