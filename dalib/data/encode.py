"""Columns of a table as numbers: which are, which are words, and which may be either."""

from __future__ import annotations

import re
from typing import Any

from dalib.core.errors import DalibError

_NUMBER = re.compile(r"[-+]?([0-9]+([.,'][0-9]*)*|[.,][0-9]+)([eE][-+]?[0-9]+)?%?")
_DATE = re.compile(r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}([ T].*)?")
_WHOLE = re.compile(r"[-+]?[0-9]+")


def encode_columns(features: Any, one_hot: bool = False) -> Any:
    """A DataFrame of numbers: objects that are numbers as such, words as 0 and 1 per word.

    Raises
        DalibError: complex numbers, dates, words without one_hot; with it an empty cell among words, and numbers that
            are written as words, for each would become a column
    """
    import pandas as pd

    features = features.infer_objects()
    imaginary = [str(c) for c in features.columns if pd.api.types.is_complex_dtype(features[c].dtype)]
    if imaginary:
        raise DalibError(f"column '{imaginary[0]}' holds complex numbers; give real ones, their size or two columns")
    dates = [str(c) for c in features.columns if features[c].dtype.kind in "Mm"]
    if dates:
        raise DalibError(
            f"column '{dates[0]}' holds dates or times; give numbers, such as the days since the first one"
        )
    words = [c for c in features.columns if not pd.api.types.is_numeric_dtype(features[c].dtype)]
    if words and not one_hot:
        raise DalibError(
            f"column '{words[0]}' holds words ({len(words)} such columns); leave it out, encode it, or say --one-hot "
            "(one_hot=True): 0 and 1 per word"
        )
    for column in words:
        _check_words(features[column])
    return pd.get_dummies(features, columns=words) if words else features


def _check_words(column: Any) -> None:
    empty = int(column.isna().sum())
    if empty:
        raise DalibError(f"column '{column.name}' is empty in {empty} rows; write a word there, such as 'unknown'")
    if column.dtype.name == "category":  # somebody said what they are
        return
    words = [str(word).strip() for word in column.unique()]
    numbers = [word for word in words if _NUMBER.fullmatch(word) or _DATE.fullmatch(word)]
    odd = [word for word in words if word not in numbers]
    broken = [word for word in numbers if not _WHOLE.fullmatch(word)]
    if broken or (odd and len(numbers) > len(odd)):
        beside = f", and {odd[0]!r}" if odd else ""
        raise DalibError(
            f"column '{column.name}' holds numbers or dates as words ({(broken or numbers)[0]!r}{beside}), each of "
            "which would become a column of 0 and 1; write numbers (1.5; leave rows without one out), or plain words"
        )
