"""How time and peak memory of a suite grow with images and with runs; every point is a process of its own.

    python benchmarks/speed/growth.py [--images 400] [--runs 6] [--quick]

Images: two domains of JPEG files, kept at 256 px; one run of 20 steps on crops of 64 px with the `tiny` backbone, once
with an empty cache (decoding) and once more. Runs: source_only and mmd on 500 + 500 feature rows, 50 steps each.
Memory is the largest resident set of the process, mapped pages of the decoded images among it, which other processes
share and the system takes back when it needs them; "own" is the largest part of it that belongs to no file, looked at
every 5 ms (Linux only). The first row, a process that has run nothing, is the part that does not grow. Seconds of the
processor are the ones to compare on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from _timing import machine, print_table

IMAGES = """
dataset = "image_folder"
tasks = ["a->b"]
seeds = [{seed}]
validators = []
[backbone]
name = "tiny"
[train]
steps = 20
crop = 64
resize = 256
evaluations = 1
[algorithms]
mmd = {{}}
"""
FEATURES = """
dataset = "features:rows.npz"
tasks = ["a->b"]
seeds = {seeds}
validators = []
[train]
steps = 50
evaluations = 1
[algorithms]
source_only = {{}}
mmd = {{}}
"""


def write_images(root: Path, count: int) -> None:
    """`count` files in two domains of four classes; sixteen different pictures, which costs a decoder the same."""
    from data_path import draw_jpegs

    draw_jpegs(root / "drawn", 16)
    pictures = [path.read_bytes() for path in sorted((root / "drawn").rglob("*.jpg"))]
    for i in range(count):
        path = root / "images" / "ab"[i % 2] / f"class_{i // 2 % 4}" / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[i % len(pictures)])


def write_rows(root: Path) -> None:
    import numpy as np

    rng, y = np.random.default_rng(0), np.arange(500) % 10
    x = {f"{d}_x": rng.standard_normal((500, 256)).astype(np.float32) + y[:, None] for d in "ab"}
    np.savez(root / "rows.npz", **x, a_y=y, b_y=y)


def work(suite: Path | None, root: Path, data: str) -> None:
    """A point in a process of its own: run the suite, print its seconds, the processor's, and the peak in MiB."""
    import math
    import resource

    import torch

    from dalib.bench.runner import run_suite
    from dalib.train import trainer  # noqa: F401  what a run imports is no part of its time

    torch.set_num_threads(1)
    own, done = [math.nan], threading.Event()
    watch = threading.Thread(target=watch_own_memory, args=(own, done))
    watch.start()
    begun, busy = time.perf_counter(), time.process_time()
    try:
        if suite is not None:
            summary = run_suite(suite, root=root / data, store=root / "records")
            assert summary.failed == 0 and summary.done, summary
    finally:
        done.set()
        watch.join()
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    print(json.dumps([seconds, busy, peak, max(own[1:], default=own[0])]))


def watch_own_memory(found: list[float], done: threading.Event) -> None:
    """Add to `found`, until `done`, the MiB of this process that no file backs."""
    status = Path("/proc/self/status")
    while status.exists():
        found += [int(row.split()[1]) / 1024 for row in status.read_text().splitlines() if row.startswith("RssAnon")]
        if done.wait(0.005):
            return


def measure(root: Path, suite: str = "", data: str = ".") -> tuple[float, ...]:
    """(seconds, seconds of the processor, MiB, MiB of its own) of one process."""
    path = root / "suite.toml"
    path.write_text(suite, encoding="utf-8")
    command = [sys.executable, __file__, "--point", str(path if suite else ""), "--root", str(root), "--data", data]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"DALIB_CACHE": str(root / "cache")}
    )
    if done.returncode:
        sys.exit(done.stderr)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=400, help="1x")
    parser.add_argument("--runs", type=int, default=6, help="1x, even")
    parser.add_argument("--quick", action="store_true", help="one point of each, small")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.point is not None:
        work(Path(given.point) if given.point else None, given.root, given.data)
        return
    images, runs, factors = (16, 2, [1]) if given.quick else (given.images, given.runs, [1, 2, 4])
    print(machine())
    rows = []

    def note(what: str, point: tuple[float, ...], per: int = 0) -> None:
        seconds, busy, peak, own = point
        each = [f"{1000 * busy / per:.1f}", f"{(peak - floor) / per:.2f}"] if per else ["", ""]
        rows.append([what, f"{seconds:.2f}", f"{busy:.2f}", f"{peak:.0f}", f"{peak - floor:.0f}", f"{own:.0f}", *each])

    with tempfile.TemporaryDirectory() as scratch:
        nothing = measure(Path(scratch))
        floor = nothing[2]
        note("nothing", (0.0, 0.0, *nothing[2:]))
        for factor in factors:
            root = Path(scratch) / f"images_{factor}"
            write_images(root, images * factor)
            for seed, label in enumerate(("decoded", "from the cache")):
                note(
                    f"{images * factor} images, {label}",
                    measure(root, IMAGES.format(seed=seed), "images"),
                    images * factor,
                )
        for factor in factors:
            root = Path(scratch) / f"runs_{factor}"
            root.mkdir()
            write_rows(root)
            seeds = list(range(runs * factor // 2))
            note(f"{runs * factor} runs", measure(root, FEATURES.format(seeds=seeds)), runs * factor)
    head = ["point", "seconds", "processor", "peak MiB", "above nothing", "own MiB", "ms each", "MiB each"]
    print_table("Growth of time and memory, one process per point", head, rows)


if __name__ == "__main__":
    main()
