"""Comma-separated values, for pandas and spreadsheets."""

from __future__ import annotations

import pandas as pd

from dalib.report.sheet import Sheet
from dalib.report.table_format import TableFormat


class Csv(TableFormat):
    """One number or line per row with a header, as the report's `frame` has them."""

    ending = "csv"
    by_default = True

    def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
        return disarm(frame).to_csv(index=False, lineterminator="\n")


def disarm(frame: pd.DataFrame) -> pd.DataFrame:
    """Names that a spreadsheet would compute (`=`, `+`, `-`, `@` or a control character first) begin with an apostrophe."""
    return frame.rename(columns=_disarm).map(_disarm)


def _disarm(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
