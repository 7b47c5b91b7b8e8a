"""Everything that goes wrong, tried: damage, kills, several writers, hostile files and names, mistakes; one table.

    python -m tests.faults [--quick]

Half an hour on two cores; with --quick a tenth of the tries. Status 1 where something was silent, a traceback or hung.
"""

from __future__ import annotations

import argparse
import sys

from tests.faults import flips, hostile, hostile_names, kills, mutated, writers
from tests.faults.table import is_clean, show


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the tries")
    part = 10 if parser.parse_args().quick else 1
    table = {f"damaged: {name}": counts for name, counts in flips.tabulate(200 // part).items()}
    table |= kills.tabulate(60 // part)
    table |= writers.tabulate(30 // part)
    table |= hostile.tabulate()
    table |= hostile_names.tabulate()
    mistakes, log = mutated.tabulate(1000 // part, 500 // part, 200 // part)
    table |= {f"mutated {name}": counts for name, counts in mistakes.items()}
    print(*log, show(table), sep="\n")
    return 0 if all(map(is_clean, table.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
