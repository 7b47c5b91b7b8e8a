"""Several sources and a target of other class proportions: Office-Caltech10, three domains to the fourth.

    python benchmarks/label_shift_several.py --root FOLDER --weights FILE --out rows.csv
    python benchmarks/label_shift_several.py --show rows.csv…

Frozen features of MobileNetV2 at 128 px, on the 128 first principal directions of all four domains together, which
saves most of the time. The target's rows are drawn with replacement, as many as it has (at most 500): as they are, with
one class, drawn by chance, half of all (`tweak_one`), or in proportions of a Dirichlet distribution. Rows are appended
as they come; what is there is not measured again. Means are over the targets that have been measured with all methods.
"""

from __future__ import annotations

import argparse
import csv
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import dalib
from dalib.backbones import load_backbone
from dalib.data.catalog import load_data
from dalib.feed.embed import embed_data

DOMAINS = ("amazon", "caltech", "dslr", "webcam")
SHIFTS = {"as it is": 0.0, "tweak_one 0.5": 0.5, "dirichlet 1": 1.0, "dirichlet 0.1": 0.1}
MOST, WIDTH = 500, 128
METHODS = {
    "linear_probe": lambda: dalib.LinearProbe(),
    "label_shift": lambda: dalib.LabelShift(),
    "bbse": lambda: dalib.BBSE(),
    "ot_label_propagation": lambda: dalib.OTLabelPropagation(),
    "jcpot": lambda: dalib.JCPOT(),
}


def read_features(root: str, weights: str, file: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Domain -> (features, labels), kept in `file`."""
    if not file.exists():
        backbone = load_backbone("mobilenet_v2", weights, frozen=True)
        data = load_data("office_caltech10", root, partial=True)
        small = replace(backbone, preprocess=backbone.preprocess.at(128))
        embedded = embed_data(small, data, torch.device("cpu"))
        domains = [embedded.domain(name) for name in DOMAINS]
        np.savez(file, **{f"{d.name}_x": np.asarray(d.x) for d in domains}, **{f"{d.name}_y": d.y for d in domains})
    with np.load(file) as arrays:
        features = {name: (arrays[f"{name}_x"], arrays[f"{name}_y"]) for name in DOMAINS}
    rows = np.concatenate([x for x, _ in features.values()])
    mean, directions = rows.mean(0), np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2][:WIDTH].T
    return {name: ((x - mean) @ directions, y) for name, (x, y) in features.items()}


def draw_rows(y: np.ndarray, shift: str, rng: np.random.Generator) -> np.ndarray:
    """Row numbers of a target with other class proportions."""
    n, K, amount = min(len(y), MOST), y.max() + 1, SHIFTS[shift]
    if shift.startswith("tweak_one"):
        p = np.full(K, (1 - amount) / (K - 1))
        p[rng.integers(K)] = amount
    elif shift.startswith("dirichlet"):
        p = rng.dirichlet(np.full(K, amount))
    else:
        p = np.bincount(y) / len(y)
    return np.array([rng.choice(np.flatnonzero(y == c)) for c in rng.choice(K, n, p=p)])


def measure(args: argparse.Namespace) -> None:
    """Append (sources, target, shift, draw, method, difference of proportions, accuracy, estimate's distance)."""
    features = read_features(args.root, args.weights, args.features)
    done = set()
    if args.out.exists():
        done = {tuple(row[:5]) for row in csv.reader(args.out.open())}
    methods = {name: make for name, make in METHODS.items() if name in (args.methods or METHODS)}
    pairs = [("+".join(d for d in DOMAINS if d != t), t) for t in DOMAINS]
    for draw in range(args.draws):
        for shift in SHIFTS:
            for source, target in pairs:
                x_t, y_t = features[target]
                rng = np.random.default_rng([zlib.crc32(f"{target} {shift}".encode()), draw])
                rows = draw_rows(y_t, shift, rng)
                x_t, y_t = x_t[rows], y_t[rows]
                x_s, y_s = (
                    np.concatenate(parts) for parts in zip(*(features[s] for s in source.split("+")), strict=True)
                )
                number = 1 + np.repeat(
                    np.arange(source.count("+") + 1), [len(features[s][1]) for s in source.split("+")]
                )
                true = np.bincount(y_t, minlength=10) / len(y_t)
                moved = np.abs(true - np.bincount(y_s, minlength=10) / len(y_s)).sum() / 2
                for name, make in methods.items():
                    if (source, target, shift, str(draw), name) in done:
                        continue
                    model = dalib.AdaptationClassifier(make(), device="cpu").fit(
                        np.concatenate([x_s, x_t]),
                        np.concatenate([y_s, np.full(len(y_t), -1)]),
                        sample_domain=np.concatenate([number, np.full(len(y_t), -1)]),
                    )
                    fitted = model.fitted_.algorithm
                    q = getattr(fitted, "proportions", None)
                    off = "" if q is None else round(float(np.abs(np.asarray(q) - true).sum() / 2), 4)
                    accuracy = round(100 * float((model.predict(x_t) == y_t).mean()), 2)
                    line = [source, target, shift, draw, name, round(float(moved), 4), accuracy, off]
                    with args.out.open("a", newline="") as file:
                        csv.writer(file).writerow(line)


def show(files: list[Path], methods: list[str]) -> None:
    """Means over the tasks and draws that have all `methods`: accuracy, and how far estimated proportions are off."""
    names = ["source", "target", "shift", "draw", "method", "moved", "accuracy", "off"]
    frame = pd.concat([pd.read_csv(file, names=names) for file in files], ignore_index=True)
    frame = frame[frame["method"].isin(methods or frame["method"].unique())]
    frame = frame.drop_duplicates(names[:5])
    cells = frame.pivot_table(index=names[:4], columns="method", values="accuracy").dropna()
    kept = frame.set_index(names[:4]).loc[cells.index].reset_index()
    order = [shift for shift in SHIFTS if shift in set(kept["shift"])]
    print(f"{len(cells)} fits of each;", "by shift", kept.groupby("shift")["target"].nunique().to_dict())
    for value in ("accuracy", "off"):
        table = kept.pivot_table(index="method", columns="shift", values=value, sort=False)
        print(value, table[order].round(1 if value == "accuracy" else 3).to_string(), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--features", type=Path, default=Path("office_caltech10_features.npz"))
    parser.add_argument("--out", type=Path, default=Path("label_shift_several.csv"))
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--show", type=Path, nargs="+")
    args = parser.parse_args()
    if args.show:
        show(args.show, args.methods)
        return
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    measure(args)


if __name__ == "__main__":
    main()
