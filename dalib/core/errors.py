"""Mistakes of the user: one clear line that names the thing, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DalibError(Exception):
    """A mistake the user can mend. The command line prints it as one line and exits with status 2."""


class TakesLong(RuntimeWarning):
    """What is about to begin takes minutes; the command line says so at once, other warnings at its end."""


class Diverged(RuntimeError):
    """A loss term stopped being finite.

    Args
        step: the training step (0-based) at which it was first seen
        term: the name of the loss term, as returned by `Algorithm.loss`
    """

    def __init__(self, step: int, term: str, value: float) -> None:
        super().__init__(
            f"loss term '{term}' became {value} at step {step}; lower lr, set clip, or use precision='fp32'"
        )
        self.step = step
        self.term = term


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'dann', 'cdan'?` for a near miss, an empty string otherwise."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.55)
    return f"; did you mean {', '.join(repr(n) for n in near)}?" if near else ""


def unknown(kind: str, name: str, known: Iterable[str], remedy: str = "") -> DalibError:
    """The error for a name that no registry, table or domain holds."""
    known = sorted(known)
    hint = suggest(name, known)
    if not hint and len(known) <= 12:
        hint = f"; known: {', '.join(known)}"
    return DalibError(f"no {kind} named '{name}'{hint}" + (f" ({remedy})" if remedy else ""))
