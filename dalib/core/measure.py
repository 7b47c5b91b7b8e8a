"""The contract of transferability measures: how well a pretrained network suits labelled rows, without training."""

from __future__ import annotations

from typing import ClassVar

from dalib.core.types import Outputs


class Measure:
    """Scores one pretrained network on labelled rows. Higher is better, always.

    Class variables
        needs_classifier: it reads the logits of the classes that the network was pretrained on
        paper: BibTeX key in docs/references.bib, or an empty string
    """

    needs_classifier: ClassVar[bool] = False
    paper: ClassVar[str] = ""

    def score(self, outputs: Outputs) -> float:
        """A number that ranks networks on the same rows; nan = not applicable.

        outputs: z (n, d) features and y (n,) labels of the rows; logits (n, K_pre) of the pretrained classifier, (n, 0)
        if the network has none
        """
        raise NotImplementedError
