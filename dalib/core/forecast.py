"""The contract of forecasts: the accuracy on rows without labels, estimated from what a model says of them."""

from __future__ import annotations

from typing import ClassVar

from dalib.core.types import Outputs


class Forecast:
    """Estimates one model's accuracy on unlabelled rows; it is calibrated by held-out source rows and nothing else.

    Class variables
        counts: it enters the expected accuracy and its interval; False for those that were further off
        needs_second: it compares with the answers of a model that was trained with another seed
        paper: BibTeX key in docs/references.bib, or an empty string
    """

    counts: ClassVar[bool] = False
    needs_second: ClassVar[bool] = False
    paper: ClassVar[str] = ""

    def estimate(self, source: Outputs, target: Outputs, second: Outputs | None = None) -> float:
        """A part in [0, 1]; nan = not applicable.

        Args
            source: logits and labels of held-out source rows
            target: logits of rows without y
            second: the same target rows by the other model, for `needs_second`
        """
        raise NotImplementedError
