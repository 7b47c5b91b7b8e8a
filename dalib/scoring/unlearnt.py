"""Classes that the rows to test on have and no labelled row shows: nobody learns them, and every mean counts them."""

from __future__ import annotations

import numpy as np

from dalib.core.objective import find_objective
from dalib.core.types import Task

UNLEARNT = "unlearnt classes"
"""How the sentence begins."""
NAMED = {"detection": "box", "segmentation": "pixel", "multilabel": "row"}
"""What each kind of label counts; in classification the protocols know which classes a domain lacks."""


def count_classes(y: np.ndarray, classes: int, objective: str) -> np.ndarray:
    """How many boxes, pixels or rows there are of each class (classes,) int64.

    y: as the objective has it; (n, M, 5), (n, H, W) or (n, K)
    """
    if objective == "multilabel":
        return (y == 1).sum(0)
    counts = np.zeros(classes, np.int64)
    for row in y:
        kinds = (row[..., 0] if objective == "detection" else row).astype(np.int64).ravel()
        counts += np.bincount(kinds[(kinds >= 0) & (kinds < classes)], minlength=classes)
    return counts


def unlearnt_classes(task: Task) -> list[str]:
    """A sentence about classes that are tested and not learnt; none where there are none.

    In detection, for one, an average precision is a mean over the classes that the target has: one that the source
    lacks is never found, and pulls it down whatever the method.
    """
    kind = task.objective
    if kind not in NAMED or not len(task.test) or not len(task.labelled):
        return []
    learnt, tested = (count_classes(d.labels, len(task.classes), kind) for d in (task.labelled, task.test))
    gone = np.flatnonzero((learnt == 0) & (tested > 0)).tolist()
    if not gone:
        return []
    what, metric = NAMED[kind], find_objective(kind).metrics[0]
    names = ", ".join(f"'{task.classes[k]}'" for k in gone[:5]) + (" …" if len(gone) > 5 else "")
    there = int(tested[gone].sum())
    return [
        f"{UNLEARNT}: no labelled {what} of {names}, of which the target has {there}; its {metric} is a mean over them "
        "too, and they cannot be found"
    ]
