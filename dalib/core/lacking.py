"""What a method lives on and a run does not have: said in one line, in the warning and in the record."""

from __future__ import annotations

from collections.abc import Iterator

from dalib.core.algorithm import Algorithm

REMEDIES = {
    "labelled target rows": "give y_target (protocol semi_supervised), or take that one by its own name",
    "labelled source rows": "take the protocol semi_supervised, or that one by its own name",
    "a second source": "give several sources, or take that one by its own name",
    "a backbone that trains": "give images and a backbone that is not frozen, or take that one by its own name",
}
"""What a method may live on (`Algorithm.lives_on`), and what to do where it is not there."""


class Lacking(RuntimeWarning):
    """A method without what it lives on, and what it is then."""


def find_lacking(algorithm: Algorithm, few: int, others: int, sources: int, trains: bool) -> dict[str, str]:
    """Sentence, such as `joint without labelled target rows is source_only`, -> what to do, for a method and its parts.

    Args
        few, others: labelled rows of the target, and all others
        sources: domains that the others come from
        trains: the backbone has weights, and they are not frozen
    """
    have = {
        "labelled target rows": few > 0,
        "labelled source rows": others > 0,
        "a second source": sources > 1,
        "a backbone that trains": trains,
    }
    return {
        f"{part.name_for_people()} without {what} is {then}": REMEDIES[what]
        for part in _parts(algorithm)
        for what, then in part.lives_on.items()
        if not have[what]
    }


def lacking_in(algorithm: Algorithm, origin: object) -> dict[str, str]:
    """The same of an attached algorithm, from the `origin` of its labelled rows (n,)."""
    import numpy as np

    network, rows = algorithm.network, np.asarray(origin)
    own = rows == network.target_origin
    trains = any(True for _ in network.backbone.parameters())
    return find_lacking(algorithm, int(own.sum()), int((~own).sum()), len(np.unique(rows[~own])), trains)


def _parts(algorithm: Algorithm) -> Iterator[Algorithm]:
    yield algorithm
    for module in algorithm.children():
        if isinstance(module, Algorithm):
            yield from _parts(module)
