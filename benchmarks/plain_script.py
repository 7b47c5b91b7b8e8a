"""dalib beside a plain training script at equal settings, on the Office-31 subset: is anything lost in the engine?

    python benchmarks/plain_script.py measure     # both programs, both settings, five seeds, of some more
    python benchmarks/plain_script.py tables      # -> results/tables/plain_script.{md,csv}

The script below reads rows through dalib and shares nothing else with it: its own network, losses, batches and loop.
Measures what is missing and appends a line per run to results/records/plain_script.csv, so it can be interrupted. No
default is chosen by these runs: the Office-31 subset is held out (docs/recipe.md).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recipe_study import MOBILE
from scipy import stats
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

HERE = Path(__file__).resolve().parent
OUT, TABLES = HERE.parent / "results" / "records" / "plain_script.csv", HERE.parent / "results" / "tables"
FIELDS = ("program", "setting", "method", "dataset", "task", "seed", "accuracy", "seconds")
METHODS = ("source_only", "mmd", "dann", "cdan", "bnm", "mcc")
TASKS, SEEDS = ("amazon->webcam", "webcam->amazon"), range(5)
MORE = {("defaults", "dann"): range(16)}
"""Three seeds left open whether dalib's is worse."""
Cell = tuple[str, str, str, str, str, int]


@dataclass(frozen=True)
class Setting:
    """What both programs are given. Defaults are dalib's; map: of cdan, which `auto` is at 31 classes."""

    steps: int = 1000
    lr: float = 0.03
    validation: float = 0.1
    hidden: int = 256
    dropout: float = 0.5
    rate: float = 3.0
    map: str = "random"

    def for_method(self, method: str) -> Setting:
        """mcc has a rate and a number of steps of its own beside the old ones."""
        return replace(self, lr=0.1, steps=500) if self.lr == 0.01 and method == "mcc" else self


SETTINGS = {
    "defaults": Setting(),
    "plain": Setting(steps=1500, lr=0.01, validation=0.0, hidden=1024, dropout=0.0, rate=1.0),
}


# The plain script.


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, coefficient: float) -> Tensor:
        ctx.coefficient = coefficient
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.coefficient * gradient, None


def mmd(z_s: Tensor, z_t: Tensor) -> Tensor:
    """Five Gaussian kernels around the mean squared distance, pairs i = j left out."""
    z, n = torch.cat([z_s, z_t]), len(z_s)
    squared = torch.cdist(z, z) ** 2
    k = sum(torch.exp(-squared / (2 * 2.0**u * squared.detach().mean())) for u in range(-3, 2))
    off = 1 - torch.eye(n)
    return ((k[:n, :n] + k[n:, n:]) * off).sum() / (n * (n - 1)) - 2 * k[:n, n:].mean()


def confusion(logits: Tensor) -> Tensor:
    p = (logits / 2.5).softmax(1)
    w = 1 + torch.exp(((p + 1e-5) * torch.log(p + 1e-5)).sum(1)).detach()
    c = (p * (len(p) * w / w.sum())[:, None]).T @ p
    c = c / c.sum(1, keepdim=True)
    return (c.sum() - c.trace()) / len(c)


def batches(rows: int, generator: torch.Generator, size: int = 32) -> Any:
    """As a DataLoader with shuffle and drop_last, over and over."""
    while True:
        yield from torch.randperm(rows, generator=generator)[: rows // size * size].split(size)


def train_plainly(
    x_s: Tensor, y_s: Tensor, x_t: Tensor, classes: int, method: str, setting: Setting, seed: int
) -> nn.Module:
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    bottleneck = nn.Sequential(nn.Linear(x_s.shape[1], 256), nn.BatchNorm1d(256), nn.ReLU())
    head = nn.Linear(256, classes)
    width, layers = 256 * classes if method == "cdan" and setting.map == "exact" else 256, []
    random_z, random_p = torch.randn(256, 1024), torch.randn(classes, 1024)
    width = 1024 if method == "cdan" and setting.map == "random" else width
    for a, b in ((width, setting.hidden), (setting.hidden, setting.hidden)):
        layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(setting.dropout)]
    critic = nn.Sequential(*layers, nn.Linear(setting.hidden, 1))
    groups = [
        {"params": [*bottleneck.parameters(), *head.parameters()], "factor": 1.0},
        {"params": list(critic.parameters()) if method in ("dann", "cdan") else [], "factor": setting.rate},
    ]
    optimiser = torch.optim.SGD(
        [g for g in groups if g["params"]], lr=setting.lr, momentum=0.9, nesterov=True, weight_decay=1e-3
    )
    from_s, from_t = batches(len(x_s), draw), batches(len(x_t), draw)
    is_source = torch.cat([torch.ones(32, 1), torch.zeros(32, 1)])
    for step in range(setting.steps):
        progress = step / setting.steps
        for group in optimiser.param_groups:
            group["lr"] = setting.lr * group["factor"] * (1 + 10 * progress) ** -0.75
        i, j = next(from_s), next(from_t)
        z = bottleneck(torch.cat([x_s[i], x_t[j]]) if method != "source_only" else x_s[i])
        logits = head(z)
        loss = cross_entropy(logits[:32], y_s[i])
        if method == "mmd":
            loss = loss + mmd(z[:32], z[32:])
        elif method == "bnm":
            loss = loss - torch.linalg.matrix_norm(logits[32:].softmax(1), "nuc") / 32
        elif method == "mcc":
            loss = loss + confusion(logits[32:])
        elif method in ("dann", "cdan"):
            back = Reverse.apply(z, 2 / (1 + math.exp(-10 * progress)) - 1)
            if method == "cdan":
                p = logits.softmax(1).detach()
                if setting.map == "exact":
                    back = torch.bmm(p[:, :, None], back[:, None, :]).flatten(1)
                else:
                    back = (back @ random_z) * (p @ random_p) / 32
            loss = loss + binary_cross_entropy_with_logits(critic(back), is_source)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return nn.Sequential(bottleneck, head).eval()


# Both programs on one task.


def hparams(method: str, setting: Setting) -> dict[str, Any]:
    if method not in ("dann", "cdan"):
        return {}
    own: dict[str, Any] = {"hidden": setting.hidden, "dropout": setting.dropout, "rate": setting.rate}
    return own | ({"map": setting.map} if method == "cdan" else {})


def measure(program: str, setting: Setting, method: str, dataset: str, task: str, seed: int) -> tuple[float, float]:
    """Accuracy on all target rows of the model at the end, and seconds."""
    from dalib import fit
    from dalib.assemble import assemble
    from dalib.bench.describe import describe_run

    source, target = task.split("->")
    setting = setting.for_method(method)
    given: dict[str, Any] = {
        "backbone": MOBILE, "data": {"partial": True}, "seed": seed, "hparams": hparams(method, setting),
        "protocol": {"validation": setting.validation},
        "train": {"steps": setting.steps, "lr": setting.lr, "evaluations": 1},
    }  # fmt: skip
    if program == "dalib":
        began = time.perf_counter()
        run = fit(dataset, source, target, method, **given)
        return run.values["target"], time.perf_counter() - began
    rows = assemble(describe_run(dataset, source, target, method, **given)).task
    x_s, y_s, x_t, x, y = (
        torch.tensor(np.asarray(a))
        for a in (rows.labelled.x, rows.labelled.labels, rows.target.x, rows.test.x, rows.test.labels)
    )
    began = time.perf_counter()
    model = train_plainly(x_s, y_s, x_t, len(rows.classes), method, setting, seed)
    took = time.perf_counter() - began
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean()), took


def run_cells(cells: list[Cell], settings: dict[str, Setting]) -> None:
    """Measure those of (program, setting, method, dataset, task, seed) that the records lack."""
    if not OUT.exists():
        OUT.write_text(",".join(FIELDS) + "\n")
    for cell in cells:
        program, name, method, dataset, task, seed = cell
        have = {tuple(line[k] for k in FIELDS[:6]) for line in csv.DictReader(OUT.open())}
        if (*cell[:5], str(seed)) in have:
            continue
        accuracy, seconds = measure(program, settings[name], method, dataset, task, seed)
        with OUT.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([*cell, f"{accuracy:.4f}", f"{seconds:.2f}"])


def cells() -> list[Cell]:
    """Seeds in turn, so that what is cut short is of equal budget; what the suite has recorded is left to it."""
    have = {tuple(line) for line in suite_runs()[list(FIELDS[:6])].astype(str).to_numpy()}
    most = max(SEEDS.stop, *(seeds.stop for seeds in MORE.values()))
    return [
        cell
        for seed in range(most)
        for setting in SETTINGS
        for method in METHODS
        if seed in MORE.get((setting, method), SEEDS)
        for task in TASKS
        for program in ("script", "dalib")
        for cell in [(program, setting, method, "office31", task, seed)]
        if tuple(map(str, cell)) not in have
    ]


def suite_runs() -> pd.DataFrame:
    """The suite's own runs of the same methods, tasks and seeds."""
    with gzip.open(HERE.parent / "results" / "records" / "office31_subset.jsonl.gz", "rt") as file:
        lines = [json.loads(line) for line in file]
    labels = {run["key"]: run["label"] for run in lines[0]["runs"]}
    suite = [
        ("dalib", "defaults", labels[r["key"]], "office31", f"{spec['source']}->{spec['target']}", spec["seed"], found)
        for r, spec in ((r, r["spec"]) for r in lines[1:] if labels.get(r.get("key")) in METHODS)
        for found in [r["candidates"][-1]["metrics"]["target_accuracy"]]
    ]
    return pd.DataFrame(suite, columns=list(FIELDS[:-1]))


def read() -> pd.DataFrame:
    """The runs of this script and the suite's."""
    return pd.concat([pd.read_csv(OUT)[list(FIELDS[:-1])], suite_runs()])


def averages(runs: pd.DataFrame, program: str, setting: str, method: str) -> np.ndarray:
    """Average of the tasks by seed, in per cent, of the seeds that have all."""
    own = runs[(runs.program == program) & (runs.setting == setting) & (runs.method == method)]
    by_seed = own.pivot_table(index="seed", columns="task", values="accuracy").reindex(columns=TASKS).dropna()
    return 100 * by_seed.mean(axis=1).to_numpy()


def write_tables(folder: Path = TABLES) -> None:
    """A line per setting and method: both programs' averages and what dalib is ahead, with Welch's 95 % interval."""
    runs, lines = read(), []
    for setting in SETTINGS:
        for method in METHODS:
            script, ours = (averages(runs, program, setting, method) for program in ("script", "dalib"))
            if min(len(script), len(ours)) < 2:
                continue
            low, high = stats.ttest_ind(ours, script, equal_var=False).confidence_interval()
            line = {"setting": setting, "method": f"`{method}`", "script": script.mean(), "dalib": ours.mean()}
            line |= {"difference": ours.mean() - script.mean(), "from": low, "to": high}
            lines.append(line | {"seeds": f"{len(script)}, {len(ours)}"})
    table = pd.DataFrame(lines).round(1)
    table.to_csv(folder / "plain_script.csv", index=False, lineterminator="\n")
    head = ["| " + " | ".join(table.columns) + " |", "|---|---|" + "---:|" * (len(table.columns) - 2)]
    rows = ["| " + " | ".join(map(str, row)) + " |" for row in table.to_numpy()]
    (folder / "plain_script.md").write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "tables"])
    if parser.parse_args().what == "tables":
        write_tables()
    else:
        run_cells(cells(), SETTINGS)


if __name__ == "__main__":
    main()
