"""ResNet-50 with DANN on a GPU: our trainer beside the bare network and beside an eager fp32 DataLoader pipeline.

    python benchmarks/speed/gpu.py [--quick] [--device cuda] [--suite] [--precision bf16] [--compile]

Ours: the trainer's steps, 32 + 32 rows at 224 px, bf16, channels_last, images as uint8 on the device. Bare: forward and
backward of the same network on synthetic tensors, no optimiser. Eager: fp32, JPEG files through torchvision and as many
DataLoader workers as cores. All three take turns. Then: the data path's share of a step, a run of steps in which CUDA
reports every wait, and what six Office-31-sized tasks cost (`--suite` runs them, otherwise steps/s is scaled). Last: a
step launched operation by operation beside the same step as one CUDA graph, on a feature head and on the network.
Anchors, as published: stock PyTorch with AMP on an H200 3 079 img/s; MLPerf Training on an H100 7 313 img/s.

Without a GPU (or with --quick) everything runs at a tiny size on the CPU, which shows that it runs and no more.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _timing import Timing, compare, machine, print_table
from torch import Tensor, nn

from dalib.backbones import load_backbone
from dalib.core.backbone import Backbone, identity
from dalib.core.listener import Listener, RunLike
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain, Task
from dalib.nn.adversarial import DomainDiscriminator, reverse_gradient
from dalib.train.config import TrainConfig
from dalib.train.device import autocast
from dalib.train.trainer import Trainer

K = 31
OFFICE31 = {"amazon": 2817, "dslr": 498, "webcam": 795}
ANCHORS = {"stock PyTorch, AMP, H200 (published)": 3079, "MLPerf Training, H100 (published)": 7313}


@dataclass(frozen=True)
class Size:
    """Backbone, rows of a domain per step, crop in px, images of a domain, steps per timed block and per suite run."""

    backbone: str
    rows: int
    crop: int
    images: int
    block: int
    suite_steps: int

    @property
    def side(self) -> int:
        return round(self.crop * 256 / 224)


FULL, TINY = Size("resnet50", 32, 224, 1024, 20, 1000), Size("resnet18", 4, 32, 32, 2, 4)


def make_domain(name: str, n: int, side: int) -> Domain:
    """Random pixels."""
    rng = np.random.default_rng(len(name))
    x = rng.integers(0, 256, (n, 3, side, side), np.uint8)
    return Domain(name, x, np.arange(n) % K, tuple(f"c{k}" for k in range(K)), f"{name}-{n}")


def make_task(size: Size, source: int, target: int) -> Task:
    s, t = make_domain("source", source, size.side), make_domain("target", target, size.side)
    return Task("source->target", s, t.unlabelled(), s.take(np.arange(0), "none"), t)


def make_backbone(size: Size) -> Backbone:
    return load_backbone(size.backbone, "none")


def recipe(size: Size, steps: int, given: argparse.Namespace, cuda_graph: bool = False) -> TrainConfig:
    return TrainConfig(
        steps=steps, batch_size=size.rows, crop=size.crop, evaluations=1, precision=given.precision,
        channels_last=True, compile=given.compile, cuda_graph=cuda_graph,
    )  # fmt: skip


class Pace(Listener):
    """Holds a fit, which runs in a thread of its own, between two steps until somebody asks for more of them."""

    def __init__(self, config: TrainConfig, device: torch.device, task: Task, backbone: Backbone) -> None:
        self.asked, self.made = threading.Semaphore(0), threading.Semaphore(0)
        self.left = 0
        self.error: BaseException | None = None
        trainer = Trainer(config, device=str(device), listeners=[self])
        fit = partial(trainer.fit, ALGORITHMS.get("dann")(), task, backbone)
        threading.Thread(target=fit, daemon=True).start()
        self.made.acquire()

    def begin_descent(self, run: RunLike) -> None:
        self.wait()

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        self.left -= 1
        if not self.left:
            self.wait()

    def end(self, run: RunLike, error: BaseException | None) -> None:
        self.error = error
        self.made.release()

    def wait(self) -> None:
        """In the fit's thread: hand over."""
        self.made.release()
        self.asked.acquire()

    def take(self, count: int) -> None:
        """That many steps."""
        self.left = count
        self.asked.release()
        self.made.acquire()
        if self.error:
            raise self.error


def our_steps(size: Size, device: torch.device, given: argparse.Namespace, cuda_graph: bool = False) -> Pace:
    """The trainer's own loop."""
    task = make_task(size, size.images, size.images)
    return Pace(recipe(size, 10**6, given, cuda_graph), device, task, make_backbone(size))


def head_steps(size: Size, device: torch.device, given: argparse.Namespace, cuda_graph: bool) -> Pace:
    """The trainer's own loop on 256 features, fp32."""
    rng = np.random.default_rng(0)
    y, classes = np.arange(size.images) % K, tuple(f"c{k}" for k in range(K))
    source, target = (
        Domain(name, rng.standard_normal((size.images, 256)).astype(np.float32), y, classes, f"{name}-{size.images}")
        for name in ("source", "target")
    )
    config = TrainConfig(steps=10**6, batch_size=size.rows, evaluations=1, cuda_graph=cuda_graph)
    task = Task("source->target", source, target.unlabelled(), source.take(np.arange(0), "none"), target)
    return Pace(config, device, task, identity(256))


def graph_rows(size: Size, device: torch.device, given: argparse.Namespace, repeats: int) -> list[list[str]]:
    """Milliseconds of a DANN step as plain operations and as one CUDA graph; without CUDA both are plain."""
    rows = []
    networks: dict[str, Callable[..., Pace]] = {
        "256-d feature head, fp32": head_steps,
        f"{size.backbone}, {given.precision}": our_steps,
    }
    for label, make in networks.items():
        runs = {how: block(make(size, device, given, how == "graph"), size.block, device) for how in ("plain", "graph")}
        times = compare(runs, repeats=repeats, warmup=1 if size is TINY else 3)
        plain, graph = times["plain"], times["graph"]
        gain = str(plain.over(graph)) if device.type == "cuda" else "not measured: needs a GPU"
        rows.append([label, *(f"{1000 * t.median / size.block:.3g}" for t in (plain, graph)), gain])
    return rows


def bare_steps(size: Size, device: torch.device, given: argparse.Namespace) -> Iterator[int]:
    """Forward and backward on one synthetic batch of both domains."""
    network = Network(make_backbone(size), K).to(device).to(memory_format=torch.channels_last)
    x = torch.randn(2 * size.rows, 3, size.crop, size.crop, device=device).contiguous(memory_format=torch.channels_last)
    y = torch.arange(2 * size.rows, device=device) % K
    while True:
        for p in network.parameters():
            p.grad = None
        with autocast(device, given.precision):
            logits = network(x)[1]
        F.cross_entropy(logits.float(), y).backward()
        yield 1


def eager_steps(size: Size, device: torch.device, folder: Path) -> Iterator[int]:
    """The usual script: JPEG files decoded every epoch, fp32, copies on the step."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    change = transforms.Compose([
        transforms.Resize((size.side, size.side)), transforms.RandomResizedCrop(size.crop),
        transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])  # fmt: skip
    workers = 0 if size is TINY else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4

    def batches() -> Iterator[Any]:
        options = {"num_workers": workers, "persistent_workers": bool(workers), "drop_last": True}
        loader: Any = DataLoader(ImageFolder(str(folder), change), size.rows, shuffle=True, **options)
        while True:
            yield from loader

    network, discriminator = Network(make_backbone(size), K).to(device), DomainDiscriminator(256).to(device)
    parts = nn.ModuleList([network, discriminator])
    optimiser = torch.optim.SGD(parts.parameters(), 0.01, momentum=0.9, weight_decay=1e-3, nesterov=True)
    sources, targets = batches(), batches()
    while True:
        (x_s, y), (x_t, _) = next(sources), next(targets)
        z, logits = network(torch.cat([x_s.to(device), x_t.to(device)]))
        domain = torch.cat([torch.ones(size.rows), torch.zeros(size.rows)]).to(device)
        adversarial = F.binary_cross_entropy_with_logits(discriminator(reverse_gradient(z)), domain)
        loss = F.cross_entropy(logits[: size.rows], y.to(device)) + adversarial
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
        yield 1


def write_jpegs(folder: Path, size: Size) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    side = 300 if size is FULL else 40
    for i in range(size.images):
        place = folder / f"c{i % K:02d}"
        place.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (side // 10, side // 10, 3), np.uint8))
        coarse.resize((side, side)).save(place / f"{i}.jpg", quality=90)


def block(steps: Iterator[Any] | Pace, count: int, device: torch.device) -> Callable[[], None]:
    def run() -> None:
        if isinstance(steps, Pace):
            steps.take(count)
        else:
            for _ in range(count):
                next(steps)
        synchronise(device)

    return run


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def data_seconds(size: Size, device: torch.device, repeats: int) -> Timing:
    """Both batches of a step, made and waited for."""
    trainer = Trainer(TrainConfig(crop=size.crop, batch_size=size.rows), device=str(device))
    task = make_task(size, size.images, size.images)
    engine = trainer.begin(ALGORITHMS.get("dann")(), task, make_backbone(size))
    stores = [engine.fitted.store(domain) for domain in (engine.labelled, engine.target)]
    index, draws = torch.arange(size.rows), torch.Generator().manual_seed(0)

    def both() -> None:
        for store in stores:
            store.batch(index, augment="standard", generator=draws)
        synchronise(device)

    return compare({"data": both}, repeats=repeats, warmup=2)["data"]


def waits(size: Size, device: torch.device, given: argparse.Namespace) -> str:
    """What CUDA's own detector says about ten steps."""
    if device.type != "cuda":
        return "not measured: needs a GPU"
    task = make_task(size, size.images, size.images)
    trainer = Trainer(recipe(size, 16, given), device=str(device), listeners=[Detector()])
    try:
        trainer.fit(ALGORITHMS.get("dann")(), task, make_backbone(size))
    except RuntimeError as error:
        return f"waits: {str(error).splitlines()[0]}"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return "none in 10 steps"


class Detector(Listener):
    """Makes CUDA's waits errors in steps 6 to 15 of 16: not where the losses are read."""

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        torch.cuda.set_sync_debug_mode("error" if 5 <= step < 15 else "default")


def suite_minutes(size: Size, device: torch.device, given: argparse.Namespace, per_step: float) -> tuple[str, str]:
    """(how it was found, minutes of the device) of six tasks, with one evaluation of the target at the end."""
    tasks = [(s, t) for s in OFFICE31.values() for t in OFFICE31.values() if s != t]
    if not given.suite:
        return f"{size.suite_steps} steps each, from steps/s", f"{6 * size.suite_steps * per_step / 60:.2f}"
    begun = time.perf_counter()
    for n_s, n_t in tasks:
        n_s, n_t = (n_s, n_t) if size is FULL else (40, 36)
        task = make_task(size, n_s, n_t)
        fitted = Trainer(recipe(size, size.suite_steps, given), device=str(device)).fit(
            ALGORITHMS.get("dann")(), task, make_backbone(size)
        )
        fitted.outputs(task.test)
    return f"{size.suite_steps} steps each, run", f"{(time.perf_counter() - begun) / 60:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run, not how fast")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--compile", action="store_true", help="torch.compile the trainer's network")
    parser.add_argument("--suite", action="store_true", help="run six tasks instead of scaling steps/s")
    given = parser.parse_args()
    device = torch.device(given.device)
    tiny = given.quick or device.type == "cpu"
    size, repeats = (TINY, 2) if tiny else (FULL, 9)
    with tempfile.TemporaryDirectory() as name:
        write_jpegs(Path(name), size)
        ours, bare = our_steps(size, device, given), bare_steps(size, device, given)
        eager = eager_steps(size, device, Path(name))
        candidates = {"ours": ours, "bare forward + backward": bare, "eager fp32 DataLoader": eager}
        runs = {label: block(steps, size.block, device) for label, steps in candidates.items()}
        times = compare(runs, repeats=repeats, warmup=1 if tiny else 3)
    images = 2 * size.rows * size.block
    speed = times["ours"]
    rows = [[label, t.per(images), str(t.over(speed))] for label, t in times.items()]
    rows += [[label, str(value), "-"] for label, value in ANCHORS.items()]
    network = f"{size.backbone}, DANN, {size.rows} + {size.rows} at {size.crop} px, {given.precision}"
    print_table(f"{network} ({machine()})", ["loop", "img/s", "ours is … times as fast"], rows)
    data, per_step = data_seconds(size, device, 4 * repeats), speed.median / size.block
    how, minutes = suite_minutes(size, device, given, per_step)
    rows = [
        ["part of bare throughput", f"{times['bare forward + backward'].over(speed).median:.2f}", ">= 0.90"],
        ["times the eager pipeline", f"{times['eager fp32 DataLoader'].over(speed).median:.2f}", ">= 3"],
        ["data path's share of a step, alone", f"{data.median / per_step:.3f}", "<= 0.05"],
        ["waits for the device", waits(size, device, given), "none"],
        [f"six tasks, minutes ({how})", minutes, "-"],
    ]
    print_table("Targets (for a GPU at full size)", ["what", "measured", "target"], rows)
    headers = ["network, DANN", "ms plain", "ms as a graph", "graph is … times as fast"]
    print_table("A step as one CUDA graph (train.cuda_graph)", headers, graph_rows(size, device, given, repeats))


if __name__ == "__main__":
    main()
