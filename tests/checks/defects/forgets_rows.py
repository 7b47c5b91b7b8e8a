"""Writes the first block only, stamps the time, and calls its ending with a dot."""

import time

from dalib.report.table_format import TableFormat


class ForgetsRows(TableFormat):
    """Breaks the contract in three places."""

    ending = ".txt"

    def render(self, sheet, frame):
        rows = [cell.text for row in sheet.blocks[0].rows for cell in row]
        return f"{time.perf_counter_ns()} {' '.join(rows)}"
