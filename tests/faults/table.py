"""The columns that every fault script prints, and what goes into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

OUTCOMES = ("right", "refused", "silent", "traceback", "hang")
"""right: nothing was lost or the answer is the right one; refused: told in one line, counted as missing or made again;
silent: another content, or work done twice or not at all, without a word."""


def show(table: Mapping[str, Counter[str]]) -> str:
    """One line per kind: how often it was tried, how often nothing bad came of it, and the rest."""
    lines = [
        f"{'kind':34}{'tried':>8}{'survived':>10}{'silent':>8}{'traceback':>11}{'hang':>6}   of those that survived"
    ]
    for kind, counts in table.items():
        survived = counts["right"] + counts["refused"]
        told = f"{counts['right']} right, {counts['refused']} refused or made again"
        bad = f"{counts['silent']:>8}{counts['traceback']:>11}{counts['hang']:>6}"
        lines.append(f"{kind:34}{counts.total():>8}{survived:>10}{bad}   {told}")
    return "\n".join(lines)


def is_clean(counts: Mapping[str, int]) -> bool:
    return not any(counts.get(bad, 0) for bad in ("silent", "traceback", "hang"))
