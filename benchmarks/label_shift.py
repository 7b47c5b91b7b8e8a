"""Label shift on Office-Caltech10: target rows drawn again to other proportions; accuracy, and how far these are off.

    python benchmarks/label_shift.py measure       # -> results/records/label_shift.csv; DALIB_DATA; some minutes
    python benchmarks/label_shift.py tables        # -> results/tables/label_shift.{md,csv}

Features of a frozen MobileNetV2 at 128 px. From every target 300 rows are drawn with replacement, three times, to
proportions that are `tweak one` (a class has 50 or 80 per cent, the others share the rest) or drawn from a Dirichlet
distribution (all parameters 0.1, 1 or 10: the smaller, the more uneven). `caltech halves` is label shift alone: both
halves of one domain.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import dalib
from dalib.algorithms._prior import PriorShift
from dalib.backbones import load_backbone
from dalib.data.catalog import load_data
from dalib.feed.embed import embed_data
from dalib.nn.classifiers import fit_classifier, score_classifier
from dalib.nn.label_shift import fit_calibration

RESULTS = Path(__file__).resolve().parent.parent / "results"
RECORDS, TABLES = RESULTS / "records" / "label_shift.csv", RESULTS / "tables" / "label_shift"
TASKS = (("amazon", "caltech"), ("caltech", "amazon"), ("webcam", "caltech"), ("caltech", "caltech"))
SHIFTS = ("none", "tweak one, 50 %", "tweak one, 80 %", "Dirichlet 10", "Dirichlet 1", "Dirichlet 0.1")
DRAWS, ROWS, K = 3, 300, 10
METHODS: dict[str, PriorShift | None] = {
    "linear_probe": None,
    "label_shift": dalib.LabelShift(),
    "label_shift, temperature": dalib.LabelShift(calibration="temperature"),
    "label_shift, bias_corrected": dalib.LabelShift(calibration="bias_corrected"),
    "bbse, hard": dalib.BBSE(),
    "bbse, soft": dalib.BBSE(confusion="soft"),
    "bbse, soft, bias_corrected": dalib.BBSE(confusion="soft", calibration="bias_corrected"),
}
HEADER = ("task", "shift", "draw", "method", "accuracy", "macro_recall", "off")


def proportions(shift: str, rng: np.random.Generator) -> np.ndarray:
    """Class proportions (K,) of a drawn target; `none`: even."""
    kind, _, size = shift.partition("Dirichlet ")
    if size:
        return rng.dirichlet(np.full(K, float(size)))
    q = np.full(K, 1 / K)
    if kind != "none":
        share = 0.5 if "50" in shift else 0.8
        q[:] = (1 - share) / (K - 1)
        q[rng.integers(K)] = share
    return q


def draw(y: np.ndarray, q: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """ROWS numbers of rows, with replacement, their classes as q says."""
    counts = rng.multinomial(ROWS, q)
    return np.concatenate([rng.choice(np.flatnonzero(y == c), n) for c, n in enumerate(counts)])


def answer(method: PriorShift | None, left: torch.Tensor, y_s: torch.Tensor, logits: torch.Tensor, p: torch.Tensor):
    """(answers (m,), proportions (K,)) as `fit` and `predict` of the algorithm give them."""
    if method is None:
        return logits.argmax(1), torch.bincount(logits.argmax(1), minlength=K) / len(logits)
    if method.calibration != "none":
        s, b = fit_calibration(left, y_s, method.calibration == "bias_corrected")
        left, logits = s * left + b, s * logits + b
        p = left.softmax(1).mean(0)
    q = method.estimate(left, y_s, logits, p)
    return (logits + q.clamp(min=1e-12).log() - p.log()).argmax(1), q


def measure() -> Iterator[tuple[object, ...]]:
    backbone = load_backbone("mobilenet_v2", "mobilenetv2_imagenet_int8.npz", frozen=True)
    backbone.preprocess = backbone.preprocess.at(128, 128)
    data = embed_data(backbone, load_data("office_caltech10", None), torch.device("cpu"))
    for number, (source, target) in enumerate(TASKS):
        z_s, y_s = (torch.from_numpy(np.array(a)) for a in (data.domain(source).x, data.domain(source).labels))
        z_t, y_t = (torch.from_numpy(np.array(a)) for a in (data.domain(target).x, data.domain(target).labels))
        name = f"{source}->{target}"
        if source == target:
            half = torch.from_numpy(np.random.default_rng(0).permutation(len(y_s)))
            first, second = half[: len(half) // 2], half[len(half) // 2 :]
            z_s, y_s, z_t, y_t, name = z_s[first], y_s[first], z_t[second], y_t[second], f"{source} halves"
        z_s, z_t = z_s.double(), z_t.double()
        state = fit_classifier("logistic", z_s, y_s, 1.0, K)
        left, y_left = dalib.LabelShift()._leave_out(z_s, y_s, K)
        p = torch.bincount(y_s, minlength=K).double() / len(y_s)
        for shift in SHIFTS:
            for turn in range(DRAWS):
                rng = np.random.default_rng([number, SHIFTS.index(shift), turn])
                rows = draw(y_t.numpy(), proportions(shift, rng), rng)
                logits, y = score_classifier("logistic", z_t[rows], state, K), y_t[rows]
                true = torch.bincount(y, minlength=K).double() / len(y)
                for label, method in METHODS.items():
                    said, q = answer(method, left, y_left, logits, p)
                    recall = float(torch.stack([(said[y == c] == c).double().mean() for c in y.unique()]).mean())
                    off = float((q - true).abs().sum() / 2)
                    accuracy = float((said == y).double().mean())
                    yield name, shift, turn, label, f"{accuracy:.4f}", f"{recall:.4f}", f"{off:.4f}"
        print(name, file=sys.stderr, flush=True)


def tables() -> None:
    with RECORDS.open() as file:
        found = list(csv.DictReader(file))
    cells: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in found:
        for what in ("accuracy", "off"):
            for group in (row["shift"], "halves" if row["task"].endswith("halves") else "domains"):
                if group in ("halves", "domains") or not row["task"].endswith("halves"):
                    cells[what, row["method"], group].append(100 * float(row[what]))
    columns = (*SHIFTS, "domains", "halves")
    with TABLES.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("what", "method", *columns))
        writer.writerows(
            (what, m, *(f"{np.mean(cells[what, m, c]):.2f}" for c in columns))
            for what in ("accuracy", "off")
            for m in METHODS
        )
    lines = []
    for what, word in (("accuracy", "Accuracy in %"), ("off", "Proportions off by, in % of the rows")):
        lines += [f"| {word} | " + " | ".join((*SHIFTS, "mean of domains", "caltech halves")) + " |"]
        lines += ["|---|" + "---:|" * len(columns)]
        lines += [
            f"| {m} | " + " | ".join(f"{np.mean(cells[what, m, c]):.1f}" for c in columns) + " |" for m in METHODS
        ]
        lines += [""]
    TABLES.with_suffix(".md").write_text("\n".join(lines))


def main(what: str) -> None:
    if what == "measure":
        with RECORDS.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(measure())
    tables()


if __name__ == "__main__":
    main(sys.argv[1])
