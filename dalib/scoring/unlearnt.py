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
    """Sentences about classes that are tested and not learnt; none where there are none.

    In detection, for one, an average precision is a mean over the classes that the target has: one that the source
    lacks is never found, and pulls it down whatever the method. An answer that is yes in every labelled row is learnt
    no better than one that is no in all of them.
    """
    kind = task.objective
    if kind not in NAMED or not len(task.test) or not len(task.labelled):
        return []
    what, metric = NAMED[kind], find_objective(kind).metrics[0]
    learnt, tested = (count_classes(d.labels, len(task.classes), kind) for d in (task.labelled, task.test))
    gone = np.flatnonzero((learnt == 0) & (tested > 0)).tolist()
    told = []
    if gone:
        told.append(
            f"{UNLEARNT}: no labelled {what} of {_names(task, gone)}, of which the target has "
            f"{int(tested[gone].sum())}; its {metric} is a mean over them too, and they cannot be found"
        )
    if kind == "multilabel":
        never, denied = ((d.labels == 0).sum(0) for d in (task.labelled, task.test))
        always = np.flatnonzero((never == 0) & (denied > 0)).tolist()
        if always:
            told.append(
                f"{UNLEARNT}: no labelled row without {_names(task, always)}, of which the target has "
                f"{int(denied[always].sum())}; its {metric} is a mean over them too, and nothing tells them apart"
            )
    return told


def _names(task: Task, gone: list[int]) -> str:
    return ", ".join(f"'{task.classes[k]}'" for k in gone[:5]) + (" …" if len(gone) > 5 else "")
