"""At what a rule fires: every threshold with its reason, and the questions that are asked of tasks with them."""

from __future__ import annotations

from dalib.advice.facts import TaskFacts

SMALL_DISTANCE = 0.5
"""A-distance at which the domains count as alike: the domain classifier is right on at most 62.5 % of held-out rows."""
CENTRED = -0.3
"""… below which it says nothing: rows left out are told apart wrongly, as when each domain was centred by itself."""
LARGE_DISTANCE = 1.2
"""… as far apart: right on 80 % or more. mini_office: amazon and webcam 1.4, dslr and webcam 0.8; random halves 0.1."""
SMALL_GAIN = 0.02
"""Accuracy below which adapting is not worth a search: two or three points are what another seed moves."""
LARGE_GAIN = 0.10
"""Accuracy above which a few target labels are worth their price, whatever adapts."""
LABEL_SHIFT = 0.2
"""Total variation of class proportions: a fifth of the target's rows would have to change their class. Fires only when
it is also twice what two samples of these sizes show by chance."""
FEW_ROWS = 20
"""Rows per class (median, smaller domain) below which methods that are solved on frozen features come first."""
FEW_TARGET_LABELS = 10
"""Rows per target class (median) below which they serve better as labels than as a test."""
MANY_ROWS = 100
"""Rows per class from which fine-tuning the network is worth its hours."""
UNSURE = 100
"""Target rows below which one standard error of an accuracy near 80 % is four points or more."""
SHOTS = 3
"""Labelled target rows per class of the semi-supervised row, fewer where a class is smaller."""
REJECT = 0.5
"""Part of log K above which an entropy means `unknown`, for methods without an output for it (docs/suites.md)."""


def is_alike(t: TaskFacts) -> bool:
    return CENTRED <= t.a_distance <= SMALL_DISTANCE


def is_small(tasks: tuple[TaskFacts, ...]) -> bool:
    """Every task has next to nothing to gain where labels tell, or domains alike and not much to gain."""
    return all(t.gain <= SMALL_GAIN or (is_alike(t) and not t.gain >= LARGE_GAIN) for t in tasks)


def has_label_shift(t: TaskFacts) -> bool:
    return t.shift >= LABEL_SHIFT and t.shift >= 2 * t.shift_chance


def is_few(tasks: tuple[TaskFacts, ...]) -> bool:
    return min(t.rows_per_class for t in tasks) < FEW_ROWS
