"""Files that somebody made to do harm: is each told in one line, or carried without doing any?

    python -m tests.faults.hostile

Every command runs in a process of its own with 4 GB of address space beyond what the interpreter has, and 20 seconds of
processor time. right: status 0; refused: one line; silent: memory without bound.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import os
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.faults.children import dalib_line, in_a_process
from tests.faults.mutated import prepare
from tests.faults.table import show

GB = 1 << 30


def write_images(root: Path) -> None:
    chance = np.random.default_rng(0)
    for domain in "ab":
        for i in range(6):
            path = root / domain / f"c{i % 2}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(chance.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(path)


def write_png(path: Path, width: int, height: int, rows: int, extra: bytes = b"") -> None:
    """One bit per pixel; of `rows` lines of zeros."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    line = bytes(width // 8 + 1)
    content = b"".join(packer.compress(line) for _ in range(rows)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", content) + chunk(b"IEND", b""))


def pictures(folder: Path) -> Counter[str]:
    """Pictures of more than 100 megapixels, or that say so."""
    bomb = Path("img/b/c0/bomb.png")
    write_images(Path("img"))
    makers: list[Callable[[], None]] = [
        lambda: write_png(bomb, 13_000, 13_000, 13_000),
        lambda: write_png(bomb, 200_000, 1000, 1000),
        lambda: write_png(bomb, 1000, 200_000, 100),
        lambda: write_png(bomb, 2**31 - 1, 2**31 - 1, 1),
        lambda: write_png(bomb, 2**31 - 1, 1, 0),
        lambda: write_png(bomb, 10_001, 10_000, 1),
        lambda: bomb.write_bytes(
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
        ),
        lambda: bomb.write_bytes(b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";"),
        lambda: bomb.write_bytes(b"P6 100000 100000 255\n" + bytes(1000)),
        lambda: Image.new("1", (12_000, 12_000)).save(bomb, "TIFF", compression="group4"),
        lambda: Image.new("L", (16_000, 16_000)).save(bomb, "JPEG", quality=1),
    ]
    return try_images(makers, Path("img"), folder)


def try_images(makers: list[Callable[[], None]], root: Path, folder: Path) -> Counter[str]:
    counts = Counter[str]()
    for number, make in enumerate(makers):
        make()
        train = ("train", "--dataset", "image_folder", "--data-root", root, "--source", "a", "--target", "b",
                 "--algorithm", "source_only", "--backbone", "tiny", "--train.steps", "1")  # fmt: skip
        outcomes = [in_a_process(dalib_line(*words), folder, f"{root.stem}{number}")
                    for words in (train, ("data", "verify", root), ("advise", root))]  # fmt: skip
        counts[next((o for o in ("traceback", "hang", "silent", "refused") if o in outcomes), "right")] += 1
    return counts


def archives(folder: Path) -> Counter[str]:
    """Zips and tars with a member that inflates hugely, or that lies about it."""
    counts = Counter[str]()
    write_images(Path("plain"))

    def zipped(method: int, size: int, count: int = 1, name: str = "b/c0/bomb{}.png") -> None:
        with zipfile.ZipFile("bomb.zip", "w", method) as archive:
            for path in Path("plain").rglob("*.png"):
                archive.write(path, path.relative_to("plain"))
            for number in range(count):
                with archive.open(name.format(number), "w", force_zip64=size > 2**31) as file:
                    for _ in range(size >> 20):
                        file.write(bytes(1 << 20))

    def lie(told: int) -> None:
        zipped(zipfile.ZIP_DEFLATED, 1 << 30)
        with zipfile.ZipFile("bomb.zip") as archive:
            size = archive.getinfo("b/c0/bomb0.png").file_size
        content = Path("bomb.zip").read_bytes()
        Path("bomb.zip").write_bytes(content.replace(struct.pack("<I", size), struct.pack("<I", told)))

    def tarred(mode: str, size: int, name: str = "b/c0/bomb.png") -> None:
        ending = {"w:gz": ".tar.gz", "w:bz2": ".tar.bz2", "w:xz": ".tar.xz"}[mode]
        with tarfile.open(f"bomb{ending}", mode) as archive:  # type: ignore[call-overload]
            for path in Path("plain").rglob("*.png"):
                archive.add(path, path.relative_to("plain"))
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, Zeros())
        Path("bomb.zip").unlink(missing_ok=True)

    for make, root in (
        (lambda: zipped(zipfile.ZIP_DEFLATED, 3 * GB), "bomb.zip"), (lambda: zipped(zipfile.ZIP_LZMA, GB), "bomb.zip"),
        (lambda: zipped(zipfile.ZIP_BZIP2, GB), "bomb.zip"),
        (lambda: zipped(zipfile.ZIP_DEFLATED, 400 << 20, 8), "bomb.zip"),
        (lambda: zipped(zipfile.ZIP_DEFLATED, GB, name="b/c0/big.bin"), "bomb.zip"), (lambda: lie(1000), "bomb.zip"),
        (lambda: lie(0), "bomb.zip"), (lambda: tarred("w:gz", 2 * GB), "bomb.tar.gz"),
        (lambda: tarred("w:bz2", GB), "bomb.tar.bz2"), (lambda: tarred("w:xz", GB), "bomb.tar.xz"),
        (lambda: tarred("w:gz", 2 * GB, "notes.bin"), "bomb.tar.gz"),
    ):  # fmt: skip
        counts += try_images([make], Path(root), folder)
    return counts


class Zeros(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def feature_files(folder: Path) -> Counter[str]:
    """Arrays that inflate hugely, headers that lie, and packed records that inflate."""
    counts, ones = Counter[str](), np.zeros(5, np.int64)

    def head(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]
        return file.getvalue()

    def npz(content: bytes) -> None:
        labels = io.BytesIO()
        np.save(labels, ones)
        with zipfile.ZipFile("h.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for domain in "ab":
                archive.writestr(f"{domain}_x.npy", content)
                archive.writestr(f"{domain}_y.npy", labels.getvalue())

    contents = [
        *(head(shape) + bytes(64) for shape in ((10**6, 10**6), (2**31, 2), (2**62, 8), (-1, 4), (5, 2**40))),
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b" " * 100, head((5, 4), "|O") + b"cos\nsystem\n(S'x'\ntR.",
        head((5, 4), "<U100000000") + bytes(64), b"\x93NUMPY\x01\x00\x10\x00" + b"[" * 16, head((5,) * 30) + bytes(64),
    ]  # fmt: skip
    for number, content in enumerate(contents):
        npz(content)
        counts[in_a_process(dalib_line("data", "info", "features:h.npz"), folder, f"npz{number}")] += 1
    npz(head((2_000_000, 100)) + bytes(800_000_000))
    counts[in_a_process(dalib_line("data", "info", "features:h.npz"), folder, "npz")] += 1
    with gzip.open("r.jsonl.gz", "wb", 1) as file:
        for _ in range(2000):
            file.write(b" " * (1 << 20))
    counts[in_a_process(dalib_line("table", "demo", "--records", "r.jsonl.gz"), folder, "gz")] += 1
    return counts


def models(folder: Path) -> Counter[str]:
    """Model files that describe huge networks, and headers that are bombs themselves."""
    from safetensors.numpy import load_file
    from safetensors.torch import save_file
    from torch import from_numpy, zeros

    from dalib.train.model_file import read_facts

    counts = Counter[str]()
    facts = read_facts("model.safetensors") | {"format": 1}
    tensors = {name: from_numpy(array) for name, array in load_file("model.safetensors").items()}
    whole = Path("model.safetensors").read_bytes()

    def told(value: Any, *places: tuple[str, ...]) -> dict[str, Any]:
        changed = copy.deepcopy(facts)
        for *way, last in places:
            place = changed
            for key in way:
                place = place[key]
            place[last] = value
        return changed

    bottleneck, hidden, dim = ("config", "bottleneck"), ("hparams", "hidden"), ("backbone", "dim")
    described = [
        *(told(v, hidden) for v in (2**20, 2**16, 30_000)), told(2**20, bottleneck), told(2**17, bottleneck, hidden),
        told(2**20, dim), told(2**20, ("origins",)), told([str(i) for i in range(300_000)], ("classes",)),
        told(2**40, hidden), told(-(2**20), hidden), told({"x": "a" * 40_000_000}, ("extra",)),
    ]  # fmt: skip
    for changed in described:
        save_file(tensors, "bomb.safetensors", metadata={"dalib": json.dumps(changed)})
        counts[predict(folder)] += 1
    save_file(tensors | {"x": zeros(0, 2**40)}, "bomb.safetensors", metadata={"dalib": json.dumps(told(2**40, hidden))})
    counts[predict(folder)] += 1
    for header in (
        json.dumps({"__metadata__": {"dalib": "[" * 4_000_000}}).encode(),
        json.dumps({"__metadata__": {"dalib": " " * 90_000_000 + "{}"}}).encode(),
        b'{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}',
        b'{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}',
        b"{" + b",".join(b'"a%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i for i in range(500_000)) + b"}",
    ):
        Path("bomb.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
        counts[predict(folder)] += 1
    Path("bomb.safetensors").write_bytes(struct.pack("<Q", 2**62) + whole[8:])
    counts[predict(folder)] += 1
    return counts


def predict(folder: Path) -> str:
    return in_a_process(dalib_line("predict", "bomb.safetensors", "toy.npz", "--domain", "b"), folder, "model")


def pipes(folder: Path) -> Counter[str]:
    """A pipe that nobody writes to, in the place of every file that is read."""
    counts = Counter[str]()
    for ending in (".toml", ".npz", ".safetensors", ".zip", ".py", ".jsonl", ".jsonl.gz", ".png", ".tar", ".pth"):
        os.mkfifo(f"pipe{ending}")
    train = ("train", "--dataset", "features:toy.npz", "--source", "a", "--target", "b", "--algorithm", "dann")
    images = (*train[:1], "--dataset", "image_folder", "--data-root", "img", *train[3:], "--backbone", "tiny")
    for words in (
        ("run", "pipe.toml", "--dry-run"), ("data", "info", "features:pipe.npz"), ("data", "verify", "pipe.zip"),
        ("predict", "pipe.safetensors", "toy.npz"), ("list", "--plugin", "pipe.py"), ("check", "pipe.py"),
        ("table", "demo", "--records", "pipe.jsonl"), ("table", "demo", "--records", "pipe.jsonl.gz"),
        ("predict", "model.safetensors", "pipe.npz"), ("advise", "pipe.tar"), ("data", "verify", "pipe.png"),
        (*images, "--weights", "pipe.pth"), ("table", "demo", "--records", "/dev/zero"),
    ):  # fmt: skip
        counts[in_a_process(dalib_line(*words), folder, "pipe")] += 1
    return counts


KINDS: dict[str, Callable[[Path], Counter[str]]] = {
    "pictures of > 100 megapixels": pictures,
    "archives that inflate hugely": archives,
    "arrays and records that inflate": feature_files,
    "models that describe too much": models,
    "pipes in the place of files": pipes,
}


def tabulate(kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, Counter[str]]:
    """Kind -> outcomes."""
    before, table = Path.cwd(), {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            prepare(Path(folder))
            for kind in kinds:
                table[kind] = KINDS[kind](Path(folder))
        finally:
            os.chdir(before)
    return table


if __name__ == "__main__":
    print(show(tabulate(tuple(sys.argv[1:]) or tuple(KINDS))))
