"""What the trainer adds to a step: Trainer.fit beside a bare hand-written PyTorch loop with the same mathematics.

    python benchmarks/speed/trainer_step.py [--quick] [--threads N] [--device cuda] [--processor-time]

Both make the same batches from the same generators, with the same losses, optimiser and schedule, and end with the same
parameters, which is checked. A pair is a whole fit, set-up included, ours and the bare loop in turn. The floor is the
time that the step's floating-point operations take at the machine's own rate of a large matrix product.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from _timing import Timing, compare, machine, print_table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dalib.backbones import load_backbone
from dalib.core.backbone import Backbone, identity
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain, Task
from dalib.feed.augment import cut_views, draw_views, normalise
from dalib.nn.discrepancy import mmd2
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer

LIMITS = {"resnet18": 1.03, "features": 1.15}
K, ROWS = 31, 512
RATE = 0.01
PAPERS = {"dann": {"hidden": 1024, "dropout": 0.0, "rate": 1.0}}
"""Settings that the bare loop has, whatever the defaults are."""


@dataclass(frozen=True)
class Case:
    """One comparison: 32 + 32 rows of `side` px (0: of 256 features) with one algorithm."""

    backbone: str
    algorithm: str
    side: int
    steps: int

    @property
    def config(self) -> TrainConfig:
        return TrainConfig(steps=self.steps, batch_size=32, lr=RATE, evaluations=1, crop=self.side, augment="flip")

    def make_backbone(self) -> Backbone:
        if not self.side:
            return identity(256)
        backbone = load_backbone(self.backbone, "none")
        backbone.preprocess = backbone.preprocess.at(self.side) if backbone.preprocess else None
        return backbone


def make_task(case: Case) -> Task:
    """Random rows: what is learnt from them does not matter here."""
    rng = np.random.default_rng(0)
    side = case.make_backbone().preprocess.resize if case.side else 0  # type: ignore[union-attr]
    classes = tuple(f"c{k}" for k in range(K))

    def domain(name: str) -> Domain:
        shape = (ROWS, 3, side, side)
        x = rng.integers(0, 256, shape, np.uint8) if side else rng.standard_normal((ROWS, 256)).astype(np.float32)
        return Domain(name, x, np.arange(ROWS) % K, classes, name)

    source, target = domain("source"), domain("target")
    return Task("source->target", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, coefficient: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.coefficient = coefficient
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def, override]
        return -ctx.coefficient * gradient, None


def shuffled(n: int, size: int, seed: int) -> Iterator[Tensor]:
    """Row numbers in batches without end; n is a multiple of the size."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(n, generator=generator).split(size)


def fit_bare(case: Case, task: Task, backbone: Backbone, device: str, batches: list[Tensor] | None = None) -> nn.Module:
    """The loop that one would write by hand for this algorithm and no other."""
    size, lr = 32, RATE
    p = backbone.preprocess
    draws = torch.Generator().manual_seed(2)

    def rows(x: Tensor, index: Tensor) -> Tensor:
        if p is None:
            return x[index.to(x.device)]
        views = draw_views("flip", size, p.resize, p.crop, 0.08, draws)
        return normalise(cut_views(x, index, views, p.crop, False), p.mean, p.std)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(backbone, K).to(device)
        parts: list[nn.Module] = [network.bottleneck, network.head]
        if case.algorithm == "dann":
            d = network.dim
            layers = [nn.Linear(d, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1)]
            discriminator = nn.Sequential(*layers).to(device)
            parts.append(discriminator)
    new = [p for part in parts for p in part.parameters()]
    groups = [{"params": new, "lr": lr}]
    if case.side:
        groups.append({"params": list(network.backbone.parameters()), "lr": 0.1 * lr})
    optimiser = torch.optim.SGD(groups, momentum=0.9, weight_decay=1e-3, nesterov=True, fused=True)
    x_s, x_t = torch.from_numpy(task.labelled.x).to(device), torch.from_numpy(task.target.x).to(device)
    labels = torch.from_numpy(task.labelled.labels).to(device)
    sources, targets = shuffled(ROWS, size, 0), shuffled(ROWS, size, 1)
    network.train()
    for step in range(case.steps):
        progress = step / case.steps
        rate = lr * (1 + 10 * progress) ** -0.75
        for group, factor in zip(optimiser.param_groups, (1.0, 0.1), strict=False):
            group["lr"] = rate * factor
        index = next(sources)
        x, y = rows(x_s, index), labels[index.to(device)]
        if case.algorithm == "source_only":
            loss = F.cross_entropy(network(x)[1], y)
        else:
            z, logits = network(torch.cat([x, rows(x_t, next(targets))]))
            loss = F.cross_entropy(logits[:size], y)
            if case.algorithm == "mmd":
                loss = loss + mmd2(z[:size], z[size:])
            else:
                d = discriminator(Reverse.apply(z, 2 / (1 + np.exp(-10 * progress)) - 1)).squeeze(1)
                loss = loss + (F.softplus(-d[:size]).mean() + F.softplus(d[size:]).mean()) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


def fit_ours(case: Case, task: Task, backbone: Backbone, device: str) -> nn.Module:
    algorithm = ALGORITHMS.get(case.algorithm)(**PAPERS.get(case.algorithm, {}))
    Trainer(case.config, device=device).fit(algorithm, task, backbone)
    return algorithm.network


def differ(a: nn.Module, b: nn.Module) -> float:
    """||a - b|| / ||a|| over all entries of two networks."""
    first, second = (torch.cat([v.double().flatten() for v in m.state_dict().values()]) for m in (a, b))
    return float((first - second).norm() / first.norm())


def flops_of_step(case: Case, task: Task, backbone: Backbone) -> int:
    with FlopCounterMode(display=False) as counter:
        fit_bare(Case(case.backbone, case.algorithm, case.side, 1), task, deepcopy(backbone), "cpu")
    return counter.get_total_flops()


def peak_rate(device: str) -> float:
    """Floating-point operations per second of a 1024 x 1024 matrix product, the best of thirty."""
    a = torch.randn(1024, 1024, device=device)
    timing = compare({"product": wait(device, lambda: a @ a)}, repeats=30, warmup=2)["product"]
    return 2 * 1024**3 / timing.low


def wait(device: str, function: Callable[[], object]) -> Callable[[], object]:
    """The function and, on a GPU, the end of what it started."""

    def run() -> object:
        result = function()
        if device != "cpu":
            torch.cuda.synchronize()
        return result

    return run


def measure(case: Case, device: str, repeats: int, rate: float, clock: Callable[[], float]) -> list[str]:
    task, backbone = make_task(case), case.make_backbone()
    ours = wait(device, lambda: fit_ours(case, task, deepcopy(backbone), device))
    bare = wait(device, lambda: fit_bare(case, task, deepcopy(backbone), device))
    gap = differ(ours(), bare())  # type: ignore[arg-type]
    if gap > 1e-3:
        raise SystemExit(f"{case}: the two loops end {gap:.1e} apart; they do not compute the same")
    times: dict[str, Timing] = compare({"ours": ours, "bare": bare}, repeats=repeats, warmup=0, clock=clock)
    floor = flops_of_step(case, task, backbone) / rate
    a, b = (Timing.of([1e3 * t / case.steps for t in times[name].samples]) for name in ("ours", "bare"))
    return [
        case.backbone, case.algorithm, str(a), str(b), f"{1e3 * floor:.2f}", str(a.over(b)),
        f"{LIMITS[case.backbone]:.2f}", f"{gap:.0e}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few steps: does it run, not how fast")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processor-time", action="store_true", help="one thread on a machine that others use too")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    heads, images, repeats = (20, 2, 1) if given.quick else (200, 6, given.repeats)
    cases = [Case("features", name, 0, heads) for name in ("source_only", "dann", "mmd")]
    cases += [Case("resnet18", name, 64, images) for name in ("source_only", "dann")]
    rate = peak_rate(given.device)
    clock = time.process_time if given.processor_time else time.perf_counter
    rows = [measure(case, given.device, repeats, rate, clock) for case in cases]
    columns = ["network", "algorithm", "ours ms", "bare ms", "floor ms", "ratio", "limit", "difference"]
    print_table(f"Trainer step beside a bare loop, 32 + 32 rows ({machine()})", columns, rows)


if __name__ == "__main__":
    main()
