"""Pretrain the `tiny` backbone on invented objects: the counterpart of ImageNet for `mini_office`.

    python benchmarks/pretrain_tiny.py --out dalib/backbones/weights/tiny.safetensors

Every class is a random but fixed program of primitives (none of the 31 of Office-31), drawn by the same rasteriser with
its own individuals, in mixed styles: studio, scenes, poor cameras. Deterministic for a given processor and version of
torch (one thread). About 11 minutes: 2 to draw on two cores, 9 to train on one.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from dalib.datasets.drawing.primitives import (
    Drawing,
    Part,
    arc,
    box,
    lathe,
    line,
    maybe,
    one_of,
    oval,
    poly,
    ring,
    sample,
    tile,
)
from dalib.datasets.drawing.render import generator, photograph
from dalib.datasets.drawing.styles import STYLES, Style

SIDE, CROP = 72, 64

_STUDIO = replace(
    STYLES["amazon"],
    size=SIDE,
    fill=(0.6, 0.98),
    shift=0.06,
    pitch=(-5.0, 25.0),
    lying=(0.0, 45.0),
    backdrops=("white", "plain"),
    exposure=(0.85, 1.1),
    contrast=(0.85, 1.15),
    saturation=(0.5, 1.2),
    tint=0.03,
    blur=(0.0, 0.8),
    resolution=(0.7, 1.0),
    noise=(0.0, 6.0),
)
_SCENE = replace(
    _STUDIO,
    individuals=1,
    fill=(0.45, 0.9),
    shift=0.1,
    yaw=38.0,
    spin=1.5,
    backdrops=("plain", "texture", "desk", "room"),
    clutter=(0, 5),
    occlude=0.2,
    shadow=(0.1, 0.5),
    exposure=(0.7, 1.15),
    tint=0.06,
)
_ROUGH = replace(
    _SCENE,
    contrast=(0.55, 1.2),
    saturation=(0.0, 1.2),
    tint=0.12,
    blur=(0.0, 1.2),
    resolution=(0.45, 1.0),
    noise=(0.0, 14.0),
)
WILD: tuple[Style, ...] = (_STUDIO, _SCENE, _ROUGH)


def invent(rng: np.random.Generator) -> Drawing:
    """A class: a body in one to three versions, things attached behind it, details on it."""
    half_w, half_h = 0.95 * np.exp(rng.permutation([0, rng.uniform(-2, 0)]))
    kind = rng.choice(["box", "oval", "lathe", "poly", "frame"], p=[0.35, 0.1, 0.2, 0.2, 0.15])
    versions = [[_body(kind, half_w, half_h, rng), *_details(half_w, half_h, rng)] for _ in range(rng.integers(1, 4))]
    behind = [_attached(half_w, half_h, rng) for _ in range(rng.integers(0, 3))]
    return Drawing(
        (*behind, one_of(*versions), *_details(half_w, half_h, rng)),
        tuple(rng.choice(["dark", "grey", "pale", "vivid", "vivid", "wood"], rng.integers(2, 6))),
        aspect=(0.8, 1.25),
        spin=float(rng.choice([4, 8, 15, 40])),
        turn=0.15 if kind == "lathe" else 1.0,
        lying=bool(rng.random() < 0.35),
        mirror=bool(rng.random() < 0.6),
    )


def _body(kind: str, w: float, h: float, rng: np.random.Generator) -> Part:
    w, h = w * rng.uniform(0.85, 1.1), h * rng.uniform(0.85, 1.1)
    depth = float(rng.choice([0.0, 0.1, 0.3, 0.7]))
    if kind == "box":
        return box("a", -w, -h, w, h, r=float(rng.choice([0, 0.2, 0.5])) * min(w, h), depth=depth)
    if kind == "oval":
        return oval("a", 0, 0, w, h, depth)
    if kind == "lathe":
        heights = np.sort(rng.uniform(-h, h, 4))
        return lathe("a", *[(w * rng.uniform(0.3, 1), y) for y in (-h, *heights, h)])
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 9)))
    corners = [(w * np.cos(t) * rng.uniform(0.6, 1.2), h * np.sin(t) * rng.uniform(0.6, 1.2)) for t in angles]
    if kind == "poly":
        return poly("a", *corners, depth=depth)
    return line("a", rng.uniform(0.05, 0.16), *corners, corners[0])


def _attached(w: float, h: float, rng: np.random.Generator) -> Part:
    x, y, size = rng.uniform(-w, w), rng.uniform(-h, h), rng.uniform(0.15, 0.5)
    leg, spread = rng.uniform(0.04, 0.12), rng.uniform(0.5, 1.2)
    legs = [line("k", leg, (s * w * 0.3, h * 0.5), (s * w * spread, h + size)) for s in (-1, 1)]
    colour = str(rng.choice(["a-", "b", "k", "m"]))
    part = [
        [ring(colour, x + np.sign(x) * 0.2, y, size, size * rng.uniform(0.5, 1.5), rng.uniform(0.05, 0.14))],
        [arc(colour, 0, -h, w * rng.uniform(0.3, 1), size, 180, 360, rng.uniform(0.04, 0.15))],
        legs,
        [lathe(colour, (0.1, h * 0.8), (0.1, h + 0.2)), oval(colour, 0, h + 0.22, size, 0.1)],
        [line("k", 0.05, *[(x + rng.normal(0, 0.3), y + rng.normal(0, 0.5)) for _ in range(4)])],
        [box(colour, s * w - size * 0.4, y - size, s * w + size * 0.4, y + size, r=0.05) for s in (-1, 1)],
        [oval(colour, s * w * 0.8, h, size * 0.6, size * 0.6) for s in (-1, 1)],
    ]
    return maybe(rng.uniform(0.7, 1.0), *part[rng.integers(len(part))])


def _details(w: float, h: float, rng: np.random.Generator) -> list[Part]:
    return [_detail(w * 0.85, h * 0.85, rng) for _ in range(rng.integers(1, 4))]


def _detail(w: float, h: float, rng: np.random.Generator) -> Part:
    x0, x1 = np.sort(rng.uniform(-w, w, 2))
    y0, y1 = np.sort(rng.uniform(-h, h, 2))
    x1, y1 = max(x1, x0 + 0.15), max(y1, y0 + 0.15)
    x, y, r = (x0 + x1) / 2, (y0 + y1) / 2, min(x1 - x0, y1 - y0) / 2
    colour = str(rng.choice(["a-", "a+", "b", "c", "k", "w", "m", "s", "l"]))
    nx, ny = (int(n) for n in rng.integers(1, 9, 2))
    cell = [
        box(colour, -1, -1, 1, 1, r=float(rng.choice([0, 0.3]))),
        oval(colour, 0, 0, 0.8, 0.8),
        line(colour, 0.03, (-1, 0), (1, 0)),
        line(colour, 0.03, (0, -1), (0, 1)),
        box("abcw", -0.9, -0.8, 0.9, 1),
    ][rng.integers(5)]
    part = [
        [tile(x0, y0, x1, y1, (nx, nx + 1), (ny, ny + 1), cell, gap=0.25)],
        [box(colour, x0, y0, x1, y1, r=float(rng.choice([0, 0.3])) * r)],
        [oval(colour, x, y, r, r), oval("k", x, y, r * 0.5, r * 0.5)],
        [ring(colour, x, y, r, r, 0.06)],
        [line(colour, rng.uniform(0.03, 0.1), (x0, y0), (x1, y1))],
        [poly(colour, (x0, y1), (x, y0), (x1, y1))],
        [box(colour, -w, y0, w, y0 + 0.12)],
    ]
    return maybe(rng.uniform(0.6, 1.0), *part[rng.integers(len(part))])


def draw_class(label: int, per_class: int, seed: int) -> np.ndarray:
    """All pictures of one invented class, uint8 (per_class, SIDE, SIDE, 3), every one another individual."""
    drawing = invent(generator(seed, "invented", label))
    pictures = []
    for index in range(per_class):
        rng = generator(seed, "invented", label, index)
        pictures.append(photograph(drawing, sample(drawing, rng), WILD[index % len(WILD)], rng))
    return np.stack(pictures)


def draw_all(classes: int, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (classes * per_class, SIDE, SIDE, 3) and int64 labels."""
    with ProcessPoolExecutor() as pool:
        pictures = list(pool.map(partial(draw_class, per_class=per_class, seed=seed), range(classes), chunksize=4))
    return np.concatenate(pictures), np.repeat(np.arange(classes), per_class)


def pretrain(x: np.ndarray, y: np.ndarray, steps: int, seed: int, batch: int = 64, lr: float = 0.1) -> dict:
    """Cross-entropy by SGD with a one-cycle rate, random crop and flip; every tenth picture is held out."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from dalib.backbones.tiny import TinyNet

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    held = np.arange(len(x)) % 10 == 9
    train, test = np.flatnonzero(~held), np.flatnonzero(held)
    net = TinyNet().to(memory_format=torch.channels_last)
    head = nn.Linear(net.dim, int(y.max()) + 1)
    parameters = [*net.parameters(), *head.parameters()]
    optimiser = torch.optim.SGD(parameters, lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, steps, pct_start=0.15)

    def tensor(pictures: np.ndarray) -> torch.Tensor:
        scaled = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return scaled.contiguous(memory_format=torch.channels_last)

    def accuracy() -> float:
        net.eval()
        margin = (SIDE - CROP) // 2
        centre = slice(margin, margin + CROP)
        with torch.no_grad():
            hits = [
                (head(net(tensor(x[rows][:, centre, centre]))).argmax(1).numpy() == y[rows])
                for rows in np.array_split(test, max(1, len(test) // 256))
            ]
        net.train()
        return float(np.concatenate(hits).mean())

    started, order, running = time.time(), np.empty(0, int), 0.0
    for step in range(1, steps + 1):
        if len(order) < batch:
            order = rng.permutation(train)
        rows, order = order[:batch], order[batch:]
        top, left = rng.integers(0, SIDE - CROP + 1, 2)
        pictures = x[rows][:, top : top + CROP, left : left + CROP]
        flips = rng.random(batch) < 0.5
        pictures[flips] = pictures[flips][:, :, ::-1]
        loss = F.cross_entropy(head(net(tensor(pictures))), torch.from_numpy(y[rows]), label_smoothing=0.1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        running += 0.02 * (loss.item() - running) if step > 1 else loss.item()
        if step % 500 == 0 or step == steps:
            seconds = time.time() - started
            print(f"step {step:5d}  loss {running:.3f}  held out {accuracy():.1%}  {seconds:.0f} s", flush=True)
    return {name: tensor.contiguous() for name, tensor in net.state_dict().items()}


def main() -> None:
    from safetensors.torch import save_file

    from dalib.backbones.tiny import WEIGHTS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", type=int, default=300)
    parser.add_argument("--per-class", type=int, default=100)
    args = parser.parse_args()
    started = time.time()
    x, y = draw_all(args.classes, args.per_class, args.seed)
    print(f"drew {len(x)} pictures of {args.classes} classes in {time.time() - started:.0f} s", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(pretrain(x, y, args.steps, args.seed), args.out)
    print(f"wrote {args.out}, {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
