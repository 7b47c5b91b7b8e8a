"""Batches of augmented images: ours beside torchvision's loaders, in one run, second epoch on.

    python benchmarks/speed/data_path.py [--data FOLDER --domain NAME] [--images 512] [--repeats 5] [--quick]

Every candidate makes one pass over the same JPEG files (drawn in a temporary folder at the sizes of Office-31's, or
your own) in shuffled batches of 64: random resized crop to 224 px, flip, float32, normalised. The candidates take
turns. The floor is the time to read the pixels of the crops and to write the batch, at the bandwidth of a copy in
memory measured beside them. Then: batches of a split against batches of the memory map it is picked from; decoding
once, and features from the cache against features made again.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import compare, machine, print_table
from PIL import Image

from dalib.backbones import load_backbone
from dalib.core.backbone import Preprocess
from dalib.core.splits import concatenate
from dalib.core.types import Domain
from dalib.data.decode import decode_domain
from dalib.data.folders import ImageTree
from dalib.feed.batches import DomainStore
from dalib.feed.embed import embed_domain, embed_images
from dalib.feed.streams import IndexStream

CPU = torch.device("cpu")
BATCH, CROP, RESIZE = 64, 224, 256
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def draw_jpegs(folder: Path, count: int) -> None:
    """JPEG files of 300 to 500 px; smooth and weakly coloured like photographs, 75 %."""
    rng = np.random.default_rng(0)
    for i in range(count):
        side = int(rng.integers(300, 501))
        frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) + 1 / side
        noise = np.fft.rfft2(rng.standard_normal((3, side, side))) / frequency**1.6
        x = np.fft.irfft2(noise, (side, side))
        x -= x.mean((1, 2), keepdims=True)
        x = 128 + 48 * (x[:1] + 0.3 * x) / x.std((1, 2), keepdims=True)
        path = folder / "domain" / f"class_{i % 8}" / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)).save(path, quality=75)


def read_uint8(path: str) -> torch.Tensor:
    from torchvision.io import ImageReadMode, decode_image, read_file

    return decode_image(read_file(path), ImageReadMode.RGB)


def loader(dataset: Any, workers: int) -> Any:
    return torch.utils.data.DataLoader(
        dataset, BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )


def one_pass(batches: Any) -> Callable[[], int]:
    return lambda: sum(len(x) for x, _ in batches)


def make_candidates(folder: str, pixels: np.ndarray) -> dict[str, Callable[[], Any]]:
    """One pass over the images each; all but the last begin at the files."""
    from torchvision import transforms as v1
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    pil = v1.Compose([v1.RandomResizedCrop(CROP), v1.RandomHorizontalFlip(), v1.ToTensor(), v1.Normalize(MEAN, STD)])
    tensors = v2.Compose(
        [
            v2.RandomResizedCrop(CROP, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    decoded = [(torch.from_numpy(image), 0) for image in np.array(pixels)]
    store = DomainStore(Domain("d", pixels, None, ("c",), "0"), Preprocess(RESIZE, CROP, MEAN, STD), CPU)
    stream, draws = IndexStream(len(store), BATCH, seed=0), torch.Generator().manual_seed(0)

    def ours() -> int:
        return sum(
            len(store.batch(stream.next(), augment="standard", generator=draws)) for _ in range(len(store) // BATCH)
        )

    return {
        "torchvision, PIL, 2 workers": one_pass(loader(ImageFolder(folder, pil), 2)),
        "torchvision v2, uint8 tensors, 2 workers": one_pass(
            loader(ImageFolder(folder, tensors, loader=read_uint8), 2)
        ),
        "torchvision v2 on decoded images, 2 workers": one_pass(loader(Transformed(decoded, tensors), 2)),
        "dalib, 1 thread": ours,
    }


class Transformed(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Images that are decoded already, kept in memory: the peer with the same advantage as ours."""

    def __init__(self, rows: list[tuple[torch.Tensor, int]], transform: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.rows = rows
        self.transform = transform

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.rows[i][0]), self.rows[i][1]


def copy_seconds(size: float) -> float:
    """Seconds to move `size` bytes, half of them read and half written, by the fastest of twenty copies."""
    source, target = np.ones((2, 8 << 20), np.float32)
    timing = compare({"copy": lambda: np.copyto(target, source)}, repeats=20, warmup=2)["copy"]
    return size * min(timing.samples) / (2 * source.nbytes)


def measure_batches(folder: str, pixels: np.ndarray, repeats: int) -> None:
    count = len(pixels) // BATCH * BATCH
    times = compare(make_candidates(folder, pixels), repeats=repeats, warmup=1)
    ours = times["dalib, 1 thread"]
    rows = [[name, t.per(count), t.over(ours)] for name, t in times.items()]
    mean_area = (1 + 0.08) / 2 * RESIZE**2
    floor = copy_seconds(count * 3 * (mean_area + 4 * CROP**2))
    rows.append(["floor: bytes / bandwidth", f"{count / floor:.0f}", f"{floor / ours.median:.3f}"])
    print_table(
        f"{CROP} px batches of {BATCH}, {count} images a pass, {repeats} passes",
        ["pipeline", "images/s", "time / dalib's"],
        rows,
    )


def measure_splits(pixels: np.ndarray, repeats: int) -> None:
    """The same number of rows out of the memory map, of a copy, of a split, and of splits of two maps."""
    half, count = len(pixels) // 2, len(pixels) // 2 // BATCH * BATCH or len(pixels) // 2
    order = np.sort(np.random.default_rng(0).permutation(len(pixels))[:count])
    first, second = (Domain(name, x, None, ("c",), name) for name, x in (("a", pixels[:half]), ("b", pixels[half:])))
    whole = Domain("d", pixels, None, ("c",), "0")
    some = np.arange(count // 2)
    domains = {
        "memory map": whole.with_x(pixels[:count], "map"),
        "copy of the rows picked": whole.with_x(np.array(pixels[order]), "copy"),
        "split, not copied": whole.take(order, "split"),
        "splits of two maps, not copied": concatenate([first.take(some, "split"), second.take(some, "split")]),
    }
    size = min(BATCH, count)

    def one(domain: Domain) -> Callable[[], None]:
        store = DomainStore(domain, Preprocess(RESIZE, CROP, MEAN, STD), CPU)
        stream, draws = IndexStream(len(store), size, seed=0), torch.Generator()

        def run() -> None:
            draws.manual_seed(0)
            for _ in range(max(1, count // size)):
                store.batch(stream.next(), augment="standard", generator=draws)

        return run

    times = compare({k: one(d) for k, d in domains.items()}, repeats=repeats, warmup=1, clock=time.process_time)
    rows = [[name, f"{1000 * t.median * size / count:.2f}", t.over(times["memory map"])] for name, t in times.items()]
    print_table(
        f"Batches of {size} out of {count} rows, seconds of the processor",
        ["rows", "ms per batch", "time / map's"],
        rows,
    )


def measure_once(tree: ImageTree, domain: str, backbone: str, repeats: int) -> None:
    """What is done once per data set, against what it saves in every later run; features of 64 images."""
    network = load_backbone(backbone, "none")
    assert network.preprocess is not None
    resize = network.preprocess.resize
    sizes = iter(range(RESIZE - 100, RESIZE + 100))
    pixels = decode_domain(tree, domain, resize)
    some = Domain("d", pixels[:BATCH], None, ("c",), tree.fingerprint(domain))
    times = compare(
        {
            "decode, write the array": lambda: decode_domain(tree, domain, next(sizes)),
            "open the decoded array": lambda: decode_domain(tree, domain, resize),
            f"embed, {backbone}": lambda: embed_images(network, some, CPU),
            "open the cached features": lambda: embed_domain(network, some, CPU),
        },
        repeats=repeats,
        warmup=1,
    )
    (_, decoded), (_, cached) = list(times.items())[1::2]
    rows = [
        [name, n, t, t.per(n), t.over(base)]
        for (name, t), n, base in zip(
            times.items(), [len(pixels)] * 2 + [len(some)] * 2, [decoded] * 2 + [cached] * 2, strict=True
        )
    ]
    print_table("Once per data set", ["work", "images", "seconds", "images/s", "time / from the cache"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with domain/class/image; default: drawn images")
    parser.add_argument("--domain", default="", help="default: the first one")
    parser.add_argument("--images", type=int, default=512, help="how many are drawn")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backbone", default="resnet18", help="for the features; random weights")
    parser.add_argument("--quick", action="store_true", help="few images, two repeats, a tiny backbone")
    given = parser.parse_args()
    if given.quick:
        given.images, given.repeats, given.backbone = BATCH, 2, "tiny"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["DALIB_CACHE"] = str(Path(scratch) / "cache")
        if given.data is None:
            draw_jpegs(Path(scratch) / "images", given.images)
        tree = ImageTree(given.data or Path(scratch) / "images")
        domain = given.domain or tree.domains[0]
        files = tree.of_domain(domain)
        size = math.fsum(tree.checksums[f.member][0] for f in files) / len(files) / 1024
        print(f"{machine()}; {len(files)} JPEG files of {size:.0f} KiB on average")
        pixels = decode_domain(tree, domain, RESIZE)
        classes = (tree.root / files[0].member).parent.parent
        measure_batches(str(classes), pixels, given.repeats)
        measure_splits(pixels, 2 * given.repeats)
        measure_once(tree, domain, given.backbone, min(given.repeats, 3))


if __name__ == "__main__":
    main()
