"""Weights of a detector by torchvision's names, made here: what stands in for COCO's file where none can be fetched.

    python benchmarks/pretrain_detector.py detector.pth --backbone resnet101 --crop 128 --pictures 24 --steps 10
    dalib train … --algorithm fine_tune --algorithm.blocks 1 --backbone resnet101 --weights detector.pth …

Faster R-CNN with a pyramid is trained on drawn scenes, the catalogue's of `mini_boxes`, from random weights unless told
otherwise. A file of torchvision's (`fasterrcnn_resnet50_fpn_coco-258fb6c6.pth`) takes this one's place as it is. What
is learnt in a few steps of a large network is next to nothing: the file shows the way, and what it costs.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import torch

import dalib
from dalib.core.detection import DetectionNetwork
from dalib.datasets.drawing import write_mini_scenes

MEGA = 1e6 if sys.platform == "darwin" else 1e3
"""Of `ru_maxrss` per megabyte."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--backbone", default="resnet101")
    parser.add_argument("--weights", default="none", help="of the backbone, before it sees the scenes")
    parser.add_argument("--decoder", default="faster_rcnn")
    parser.add_argument("--bottleneck", type=int, default=256)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train = {name: getattr(args, name) for name in ("decoder", "bottleneck", "crop", "steps", "batch_size", "lr")}
    with tempfile.TemporaryDirectory() as folder:
        write_mini_scenes(Path(folder), seed=args.seed + 1, counts={"catalogue": args.pictures, "night": 4})
        run = dalib.fit(
            "box_folder", "catalogue", "night", "source_only", root=folder, seed=args.seed,
            backbone={"name": args.backbone, "weights": args.weights},
            train={**train, "backbone_rate": 1.0, "clip": 10.0, "warmup": 0.1, "evaluations": 1},
        )  # fmt: skip
    network = run.fitted.algorithm.network
    assert isinstance(network, DetectionNetwork)
    torch.save(network.detector_state(), args.out)
    told = ", ".join(f"{rows} {value:.1%}" for rows, value in run.values.items())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGA / 1e3
    print(f"{args.out}, {args.out.stat().st_size / 1e6:.0f} MB; AP: {told}; {run.seconds:.0f} s, peak {peak:.1f} GB")


if __name__ == "__main__":
    main()
