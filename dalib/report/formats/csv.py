"""Comma-separated values, for pandas and spreadsheets."""

from __future__ import annotations

import pandas as pd

from dalib.core.text import disarm
from dalib.report.sheet import Sheet
from dalib.report.table_format import TableFormat


class Csv(TableFormat):
    """One number or line per row with a header, as the report's `frame` has them."""

    ending = "csv"
    by_default = True

    def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
        return disarm_frame(frame).to_csv(index=False, lineterminator="\n")


def disarm_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every name and text as `disarm` makes it."""
    return frame.rename(columns=disarm).map(disarm)
