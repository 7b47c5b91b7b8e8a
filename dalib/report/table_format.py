"""The contract of table formats: a report as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pandas as pd

    from dalib.report.sheet import Sheet


class TableFormat:
    """Turns what a report shows, or the numbers behind it, into text.

    Class variables
        ending: of its files, without a dot; an empty string = for a screen, no files
        by_default: its files are written unless other formats are asked for
    """

    ending: ClassVar[str] = ""
    by_default: ClassVar[bool] = False

    def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
        """The whole text of a file.

        Args
            sheet: cells as text, with what is bold or dim, notes and failures
            frame: the same report's numbers, unrounded, one thing per column
        """
        raise NotImplementedError
