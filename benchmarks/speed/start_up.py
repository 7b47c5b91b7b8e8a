"""How long the first answer takes: importing dalib beside importing torch, and the command line without torch.

    python benchmarks/speed/start_up.py [--quick] [--processor-time]

Each is a process of its own; the floor is an interpreter that does nothing. The second table holds the limits.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

from _timing import Timing, compare, machine, print_table

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import torch, dalib": ["-c", "import torch, dalib"],
    "and dalib.Trainer": ["-c", "import torch, dalib; dalib.Trainer"],
    "dalib --help": ["-m", "dalib.cli", "--help"],
    "dalib list": ["-m", "dalib.cli", "list"],
}


def children_seconds() -> float:
    """Processor time of the processes that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


def start(arguments: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)


def loads_torch(arguments: list[str]) -> bool:
    """Whether `python -m dalib.cli …` leaves torch among its modules."""
    code = f"import sys; from dalib.cli import main; main({arguments[2:]!r}); sys.exit('torch' in sys.modules)"
    return bool(subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repeat")
    parser.add_argument("--processor-time", action="store_true", help="for a machine that others use too")
    given = parser.parse_args()
    clock = children_seconds if given.processor_time else time.perf_counter
    repeats, warmup = (1, 0) if given.quick else (7, 1)
    times = compare({name: start(a) for name, a in COMMANDS.items()}, repeats, warmup, clock)
    print_table(f"Start-up ({machine()})", ["process", "s"], [[name, str(t)] for name, t in times.items()])
    rows = []
    for name, limit in (("import torch, dalib", "0.3"), ("and dalib.Trainer", "-")):
        pairs = zip(times["import torch"].samples, times[name].samples, strict=True)
        rows.append([f"{name}: beyond torch", str(Timing.of([b - a for a, b in pairs])), limit, "-"])
    for name in ("dalib --help", "dalib list"):
        rows.append([name, str(times[name]), "0.5", "yes" if loads_torch(COMMANDS[name]) else "no"])
    print_table("Limits", ["what", "s", "limit", "torch loaded"], rows)


if __name__ == "__main__":
    main()
