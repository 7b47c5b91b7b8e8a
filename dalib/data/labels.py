"""Labels out of files of text: which are numbers, and which are words that look like them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dalib.core.errors import DalibError

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?")
EXACT = 2**53
"""From here on float64 does not tell whole numbers apart."""


def is_whole(text: str) -> bool:
    """The text is a whole number as a program writes it: `01`, `+1` and `1e3` are words."""
    return bool(_WHOLE.fullmatch(text)) and abs(int(text)) < 2**63


def _sort(texts: Iterable[str]) -> str:
    """`whole`, `number` (all are, in one spelling, or some have a fraction) or `word`: what labels of one file are."""
    words = list(texts)
    bare = [word.strip() for word in words]
    if len(set(bare)) < len(words):
        return "word"
    if all(map(is_whole, bare)):
        return "whole"
    if not all(map(_NUMBER.fullmatch, bare)):
        return "word"
    values = [float(word) for word in bare]
    if not np.isfinite(values).all():
        return "word"
    if any(value != np.floor(value) for value in values):
        return "number"
    alike = not any(map(is_whole, bare)) and len(set(values)) == len(values)
    return "number" if alike and max(map(abs, values)) < EXACT else "word"


def settle_labels(columns: Sequence[Any]) -> list[Any]:
    """Labels that were read as text, a column (pandas) per file, as numbers where every file's are, else as they are.

    `1` and `1.0` of two files are one number, for a column with gaps is written so; in one file they are two words.
    """
    sorts = [_sort(column.dropna().unique()) for column in columns]
    if "word" in sorts:
        return list(columns)
    return [type(c)([_number(text) for text in c.tolist()], index=c.index, dtype=object) for c in columns]


def _number(text: Any) -> int | float | None:
    """Of a cell; None where it is empty."""
    value = text.strip() if isinstance(text, str) else ""
    return None if not value else int(value) if is_whole(value) else float(value)


def stack_labels(values: Sequence[Any], where: str) -> np.ndarray:
    """Labels of one type as an array; whole ones as int64.

    Raises
        DalibError: labels of several types, which NumPy would make one, or numbers beyond what float64 tells apart
    """
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    odd = next((v for v in plain if not isinstance(v, (bool, int, float, str, bytes))), None)
    if odd is not None:
        raise DalibError(
            f"{where} has labels of type {type(odd).__name__} ({odd}); give numbers or words, y.astype(str)"
        )
    kinds = {_kind(value): value for value in reversed(plain)}
    if len(kinds) > 1:
        (a, x), (b, y) = sorted(kinds.items())[:2]
        raise DalibError(f"{where} mixes labels that are {a} ({x!r}) and {b} ({y!r}); give labels of one type")
    y = np.array(plain)
    if y.dtype.kind != "f" or not (y == np.floor(y)).all():
        return y
    if np.abs(y).max(initial=0) >= EXACT:
        raise DalibError(f"{where} has the label {y.max():.0f}, beyond what float64 tells apart; give it as a word")
    return y.astype(np.int64)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "numbers" if isinstance(value, (int, float)) else "words"
