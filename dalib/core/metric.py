"""The contract of metrics: one number for what a model answers on labelled rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np


class Metric:
    """Scores the answers on labelled rows; pure NumPy, so that a report may ask for its direction without torch.

    Class variables
        unit: `%` for a part of one, which tables show times 100; otherwise what the number is counted in (`px`), or an
            empty string for a plain number
        higher_is_better: its direction; ranks, bold, regret and the oracle of tables follow it
        objectives: kinds of answer it is for; y (n,), prediction (n, K), answer (n,) for `classification`;
            all three (n, K) for `multilabel`, where y = -1 is not annotated; all three (n, m) for `regression`; y
            (n, M, 5) and answer (n, D, 6) for `detection`, class -1 being padding
        needs_unknown: it compares known with unknown classes, so it is asked only where y holds both
        paper: BibTeX key in docs/references.bib, or an empty string
        version: raised when its numbers change; kept beside the numbers of a run and in no key, so that a table says
            which are of another version (in the class itself, a whole number)
    """

    unit: ClassVar[str] = "%"
    higher_is_better: ClassVar[bool] = True
    objectives: ClassVar[tuple[str, ...]] = ("classification",)
    needs_unknown: ClassVar[bool] = False
    paper: ClassVar[str] = ""
    version: ClassVar[int] = 1

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        """A number; nan = does not apply.

        Args
            y: labels, one row at least
            prediction: what the network put out (logits, numbers)
            answer: what was decided from it (classes, yes or no, numbers)
            known: how many classes are known; y = known stands for a row of no known class
        """
        raise NotImplementedError
