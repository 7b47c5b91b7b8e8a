"""A frozen network's features of many images on the CPU: ours beside a bare PyTorch loop over the same batches.

    python benchmarks/speed/embedding.py [--quick] [--images 128] [--repeats 3] [--backbone mobilenet_v2] [--size 224]

Random weights and images, one thread, processor time. Both call the same module on the same batches of 64; the results
are compared bit for bit. What differs is that ours keeps freed memory for the next batch
(`dalib.core.memory.hold_memory`), where the C library gives it back and takes a page fault for every 4 KiB again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from _timing import Timing, compare, machine, print_table

from dalib.backbones import load_backbone
from dalib.core.types import Domain
from dalib.feed.embed import embed_images
from dalib.feed.stores import open_store

BATCH, CPU = 64, torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=224, help="side of the crop in pixels")
    parser.add_argument("--quick", action="store_true", help="one batch of small images, one repeat")
    given = parser.parse_args()
    if given.quick:
        given.images, given.repeats, given.size = BATCH, 1, 64
    torch.set_num_threads(1)
    backbone = load_backbone(given.backbone, "none")
    assert backbone.preprocess is not None
    backbone = replace(backbone, preprocess=backbone.preprocess.at(given.size, given.size))
    pixels = np.random.default_rng(0).integers(0, 256, (given.images, 3, given.size, given.size), np.uint8)
    domain = Domain("drawn", pixels, None, ("c",), "drawn")
    made: dict[str, np.ndarray] = {}

    def bare() -> None:
        store = open_store(backbone, domain, CPU)
        with torch.inference_mode():
            parts = [backbone.module.eval()(store.batch(rows)) for rows in torch.arange(given.images).split(BATCH)]
        made["bare"] = torch.cat(parts).numpy()

    def ours() -> None:
        made["ours"] = embed_images(backbone, domain, CPU, BATCH)

    candidates: dict[str, Callable[[], object]] = {"bare": bare, "ours": ours}
    times = compare(candidates, given.repeats, warmup=1, clock=time.process_time)
    assert np.array_equal(made["bare"], made["ours"]), "ours gives other features than the bare loop"
    ratio: Timing = times["bare"].over(times["ours"])
    print(machine())
    rows = [[given.backbone, given.size, given.images, times["bare"], times["ours"], ratio]]
    print_table("Embedding, processor seconds", ["network", "px", "images", "bare loop", "ours", "times as fast"], rows)


if __name__ == "__main__":
    main()
