"""What rules that look at the data do to the solved methods, in place of constants: what their defaults are chosen by.

    python benchmarks/closed_form_study.py run          # -> results/records/closed_form_study.csv
    python benchmarks/closed_form_tables.py             # -> results/tables/closed_forms.{md,csv}

Measures what is missing and appends a line per run; `--pools`, `--factors`, `--algorithms` take a part. Pool, levels
and the rule by which a default is chosen are in docs/recipe.md, section "Closed forms", and were there before the runs.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from recipe_study import POOL  # noqa: E402

RECORDS = HERE.parent / "results" / "records"
FIELDS = ("factor", "level", "pool", "task", "algorithm", "chosen", "accuracy", "seconds")
Rows = tuple[Any, Any, Any]
"""z_s, y_s, z_t in float64."""
Setting = Callable[[Rows], Any]
BEFORE: dict[str, dict[str, Any]] = {
    **{name: {"components": 20} for name in ("subspace_alignment", "gfk", "pca_map")},
    **{name: {"components": 20, "reg": 1.0} for name in ("tca", "jda", "bda")},
}
"""What the defaults were, which the levels are compared with."""
MOST = 400
"""Rows of a domain that are seen in training; all rows of the target are tested."""
UNIT = ("tca", "jda", "bda", "tjm", "jgsa", "ot_map")
"""They scale rows to unit length themselves."""
SUBSPACE = ("subspace_alignment", "gfk", "pca_map", "tca", "jda")
LATER = ("bda", "tjm", "jgsa", "meda")
"""Measured on the levels that the others of their group have chosen, for the time they take."""
PROBED = ("linear_probe", "coral", "subspace_alignment", "gfk", "pca_map", "tca", "jda", "ot_map",
          "ot_label_propagation", "label_shift")  # fmt: skip


@dataclass(frozen=True)
class Level:
    """One value of one factor: hyper-parameters, those computed from rows by a rule, or a change of code or rows."""

    factor: str
    name: str
    algorithms: tuple[str, ...]
    hparams: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, Setting] = field(default_factory=dict)
    change: Callable[[], AbstractContextManager[Any]] = nullcontext
    rows: Callable[[Any, Any], Callable[[Any], Any]] | None = None


# Rules: rows -> value


def spectrum(rows: Rows) -> Any:
    """Eigenvalues of the covariance of all rows, largest first."""
    import torch

    z = torch.cat([rows[0], rows[2]])
    return torch.linalg.svdvals(z - z.mean(0)) ** 2


def energy(part: float) -> Setting:
    def rule(rows: Rows) -> int:
        values = spectrum(rows)
        return int((values.cumsum(0) < part * values.sum()).sum()) + 1

    return rule


def participation(rows: Rows) -> int:
    values = spectrum(rows)
    return max(round(float(values.sum() ** 2 / values.square().sum())), 1)


def above_mean(rows: Rows) -> int:
    values = spectrum(rows)
    return max(int((values > values.mean()).sum()), 1)


def classes(times: int) -> Setting:
    return lambda rows: times * len(rows[1].unique())


def disagreement(rows: Rows, least: float = 0.99) -> int:
    """The least d at which the d-th principal angles between a domain's axes and those of all rows are right ones."""
    import torch

    from dalib.nn.subspaces import principal_axes

    most = min(len(rows[0]), len(rows[2]), rows[0].shape[1])
    s, t, both = (principal_axes(z, most) for z in (rows[0], rows[2], torch.cat([rows[0], rows[2]])))

    def sine(a: Any, b: Any, d: int) -> float:
        return float((1 - torch.linalg.svdvals(a[:, :d].T @ b[:, :d])[-1].clamp(max=1) ** 2).sqrt())

    for d in range(1, most + 1):
        if (sine(s, both, d) + sine(t, both, d)) / 2 >= least:
            return d
    return most


def gap(rows: Rows) -> float:
    z_s, _, z_t = rows
    return float((z_s.mean(0) - z_t.mean(0)).square().sum() / (1 / len(z_s) + 1 / len(z_t)))


def mean_eigenvalue(rows: Rows) -> float:
    return float(spectrum(rows).sum() / rows[0].shape[1])


def median_gamma(rows: Rows) -> float:
    import torch

    z = torch.cat([rows[0], rows[2]])[::4]
    return float(1 / torch.pdist(z).square().median())


def shrinkage(rows: Rows) -> float:
    from sklearn.covariance import ledoit_wolf_shrinkage

    parts = [float(ledoit_wolf_shrinkage(z.numpy())) for z in (rows[0], rows[2])]
    return max(sum(a / max(1 - a, 1e-3) for a in parts) / 2, 1e-4)


def columns_over_rows(rows: Rows) -> float:
    return max(1.0, rows[0].shape[1] / min(len(rows[0]), len(rows[2])))


def mean_cost(times: float) -> Setting:
    def rule(rows: Rows) -> float:
        from dalib.nn.discrepancy import squared_distances

        cost = squared_distances(rows[0], rows[2])
        return float(times * cost.mean() / cost.max())

    return rule


def left_out_ridge(rows: Rows) -> float:
    import torch
    from _left_out import total_variance
    from torch.nn.functional import one_hot

    z, y = rows[0] - rows[0].mean(0), one_hot(rows[1]).double()
    y = y - y.mean(0)
    U, s, _ = torch.linalg.svd(z, full_matrices=False)
    best = float("inf"), 0.0
    for reg in torch.logspace(-4, 1, 11).tolist():
        shrink = s**2 / (s**2 + len(z) * reg * total_variance(z))
        hat = (U**2 * shrink).sum(1) + 1 / len(z)
        error = float((((y - U @ (shrink[:, None] * (U.T @ y))) / (1 - hat)[:, None]) ** 2).mean())
        best = min(best, (error, reg))
    return best[1]


# Changes of the code.

PLACES = (
    "dalib.core.algorithm",
    "dalib.algorithms._components",
    "dalib.algorithms.ot_label_propagation",
    "dalib.algorithms.jgsa",
)


@contextmanager
def penalty(rule: Callable[[Any, Any], float]) -> Iterator[None]:
    """Every logistic regression's C is rule(z, y)."""
    from dalib.nn.classifiers import fit_classifier

    def fit(kind: str, z: Any, y: Any, C: float, *args: Any, **kwargs: Any) -> Any:
        CHOSEN["C"] = C = rule(z, y) if kind == "logistic" else C
        return fit_classifier(kind, z, y, C, *args, **kwargs)

    with ExitStack() as stack:
        for place in PLACES[:3]:
            stack.enter_context(patch(f"{place}.fit_classifier", fit))
        yield


def spread(times: float) -> Callable[[Any, Any], float]:
    from _left_out import total_variance

    return lambda z, y: times / total_variance(z)


LOSSES: dict[tuple[Any, ...], Any] = {}
"""Left-out losses of rows that were seen before."""


def left_out(which: int) -> Callable[[Any, Any], float]:
    def rule(z: Any, y: Any) -> float:
        from _left_out import PENALTIES, left_out_losses, total_variance

        v, name = total_variance(z), (z.shape, float(z.sum()), float(z.square().sum()))
        if name not in LOSSES:
            LOSSES[name] = left_out_losses(z / v**0.5, y, PENALTIES)
        return float(PENALTIES[int(LOSSES[name][which].argmin())] / v)

    return rule


@contextmanager
def better_classifier() -> Iterator[None]:
    """Logistic regression or 1-NN, whichever errs less on rows left out."""
    import torch
    from _left_out import left_out_losses

    from dalib.nn.classifiers import fit_classifier, score_classifier

    def fit(kind: str, z: Any, y: Any, C: float, *args: Any, **kwargs: Any) -> Any:
        nearest = y[torch.cdist(z, z).fill_diagonal_(torch.inf).argmin(1)]
        errs = float((nearest != y).double().mean()), float(left_out_losses(z, y, (C,))[0])
        CHOSEN["classifier"] = kind = "nearest" if errs[0] <= errs[1] else "logistic"
        return fit_classifier(kind, z, y, C, *args, **kwargs)

    def score(kind: str, z: Any, state: Any, K: int) -> Any:
        return score_classifier("nearest" if "rows" in state else "logistic", z, state, K)

    with ExitStack() as stack:
        for place in (PLACES[0], PLACES[1], PLACES[3]):
            stack.enter_context(patch(f"{place}.fit_classifier", fit))
            stack.enter_context(patch(f"{place}.score_classifier", score))
        yield


# Changes of the rows.


def unit_length(z_s: Any, z_t: Any) -> Any:
    from torch.nn.functional import normalize

    return normalize


def over_deviation(z_s: Any, z_t: Any) -> Any:
    import torch

    z = torch.cat([z_s, z_t])
    deviation = z.std(0).clamp(min=1e-6 * float(z.std()))
    return lambda x: (x - z.mean(0)) / deviation


CHOSEN: dict[str, Any] = {}


def levels() -> list[Level]:
    numbers: dict[str, Setting] = {
        "energy 95": energy(0.95), "energy 99": energy(0.99), "participation": participation,
        "above mean": above_mean, "K": classes(1), "2 K": classes(2), "disagreement": disagreement,
    }  # fmt: skip
    components = ("tca", "jda")
    with_classifier = ("coral", "subspace_alignment", "gfk", "pca_map", "tca", "jda")
    with_rows = ("linear_probe", "coral", "gfk", "pca_map", "easy_tl", "jdot")
    alone = ("nearest_neighbour", "kliep", "ulsif", "kmm", "importance_weighted")
    everyone = tuple(dict.fromkeys((*PROBED, *SUBSPACE, *LATER, *with_rows, *alone)))
    regs = {"of the gap": (gap, (0.01, 0.1))}
    return [
        Level("default", "default", everyone),
        *(Level("C", f"{t:g} / variance", PROBED, change=lambda t=t: penalty(spread(t))) for t in (1.0, 10.0, 100.0)),  # type: ignore[misc]
        Level("C", "left-out accuracy", PROBED, change=lambda: penalty(left_out(0))),
        Level("C", "left-out loss", PROBED, change=lambda: penalty(left_out(1))),
        *(Level("components", name, SUBSPACE, rules={"components": rule}) for name, rule in numbers.items()),
        *(Level("components", name, LATER, rules={"components": numbers[name]})
          for name in ("energy 95", "K", "2 K", "above mean")),
        Level("reg", "0.1", ("bda", "tjm"), {"reg": 0.1}),
        *(Level("combined", f"{name}, reg 0.1", ("tca", "jda", "bda"), {"reg": 0.1}, {"components": numbers[name]})
          for name in ("energy 95", "K", "2 K", "above mean")),
        Level("classifier", "logistic", with_classifier, {"classifier": "logistic"}),
        Level("classifier", "nearest", with_classifier, {"classifier": "nearest"}),
        Level("classifier", "left-out accuracy", with_classifier, {"classifier": "logistic"}, change=better_classifier),
        Level("reg", "0.1", components, {"reg": 0.1}),
        *(Level("reg", f"{t:g} {name}", components, rules={"reg": lambda rows, t=t, f=f: t * f(rows)})  # type: ignore[misc]
          for name, (f, times) in regs.items() for t in times),
        Level("reg", "mean eigenvalue", components, rules={"reg": mean_eigenvalue}),
        Level("kernel", "linear", ("tca",), {"kernel": "linear"}),
        Level("kernel", "rbf", ("tca",), {"kernel": "rbf"}, {"gamma": median_gamma}),
        Level("rows", "unit length", with_rows, rows=unit_length),
        Level("rows", "over deviation", with_rows, rows=over_deviation),
        Level("ridge", "0.1", ("coral", "easy_tl"), {"reg": 0.1}),
        Level("ridge", "0.01", ("coral", "easy_tl"), {"reg": 0.01}),
        Level("ridge", "shrinkage", ("coral", "easy_tl"), rules={"reg": shrinkage}),
        *(Level("ridge", f"{reg:g}", ("coral", "easy_tl"), {"reg": reg}) for reg in (3.0, 10.0, 100.0)),
        Level("ridge", "columns / rows", ("coral", "easy_tl"), rules={"reg": columns_over_rows}),
        *(Level("entropy", f"{t:g} of the mean", ("ot_map", "ot_label_propagation"), rules={"reg": mean_cost(t)})
          for t in (0.05, 0.1, 0.2)),
        Level("jdot", "left-out error", ("jdot",), rules={"reg": left_out_ridge}),
        Level("mu", "0.5", ("bda",), {"mu": 0.5}),
        Level("mu", "estimated", ("bda",), {"mu": "estimated"}),
        Level("kmm", "bandwidth 1", ("kmm",), {"bandwidth": 1.0}),
        Level("kmm", "B 10", ("kmm",), {"B": 10.0}),
        Level("kmm", "bandwidth 1, B 10", ("kmm",), {"bandwidth": 1.0, "B": 10.0}),
    ]  # fmt: skip


def open_task(pool: str, task: str) -> Any:
    """Task, backbone and trainer as `dalib train` puts them together."""
    from dalib.assemble import RunContext, assemble
    from dalib.bench.describe import describe_run

    where, (source, target) = POOL[pool], task.split("->")
    spec = describe_run(where.dataset, source, target, "linear_probe", train=where.train | {"augment": "none"},
                        backbone=where.backbone, data=where.data)  # fmt: skip
    run = assemble(spec, RunContext(threads=1, device="cpu"))
    few = {name: take_evenly(getattr(run.task, name), MOST) for name in ("labelled", "target")}
    return replace(run, task=replace(run.task, **few))


def take_evenly(domain: Any, most: int) -> Any:
    import numpy as np

    return (
        domain.take(np.unique(np.linspace(0, len(domain) - 1, most).round().astype(int)), f"{most} rows")
        if len(domain) > most
        else domain
    )


def change_rows(task: Any, make: Any) -> Any:
    import numpy as np
    import torch

    as_rows = lambda domain: torch.as_tensor(np.asarray(domain.x[:])).double()  # noqa: E731
    change = make(as_rows(task.labelled), as_rows(task.target))
    parts = {name: getattr(task, name) for name in ("labelled", "target", "test", "validation")}
    return replace(task, **{n: replace(d, x=change(as_rows(d)).float().numpy()) for n, d in parts.items() if len(d)})


def measure(run: Any, algorithm: str, level: Level) -> tuple[float, float, str]:
    """Accuracy on the target's test rows, seconds, and what a rule has chosen."""
    import numpy as np
    import torch
    from torch.nn.functional import normalize

    from dalib import accuracy
    from dalib.core.registry import ALGORITHMS

    CHOSEN.clear()
    task = change_rows(run.task, level.rows) if level.rows else run.task
    z_s, z_t = (torch.as_tensor(np.asarray(d.x[:])).double() for d in (task.labelled, task.target))
    if algorithm in UNIT:
        z_s, z_t = normalize(z_s), normalize(z_t)
    with level.change():
        began = time.perf_counter()
        rules = {name: rule((z_s, torch.as_tensor(task.labelled.labels), z_t)) for name, rule in level.rules.items()}
        method = ALGORITHMS.get(algorithm).create(algorithm, BEFORE.get(algorithm, {}) | level.hparams | rules)
        fitted = run.trainer.fit(method, task, run.backbone)
        took = time.perf_counter() - began
        test = fitted.outputs(task.test)
    chosen = " ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in (rules | CHOSEN).items())
    return accuracy(test.logits, test.y), took, chosen


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("run",))
    parser.add_argument("--pools", default=",".join(POOL))
    parser.add_argument("--tasks", default="")
    parser.add_argument("--factors", default="")
    parser.add_argument("--levels", default="")
    parser.add_argument("--algorithms", default="")
    parser.add_argument("--out", default=str(RECORDS / "closed_form_study.csv"))
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    out, have = Path(a.out), set()
    if out.exists():
        with out.open() as f:
            have = {tuple(row[k] for k in FIELDS[:5]) for row in csv.DictReader(f)}
    else:
        out.write_text(",".join(FIELDS) + "\n")
    for pool in a.pools.split(","):
        for task in POOL[pool].tasks:
            if a.tasks and task not in a.tasks.split(","):
                continue
            run = None
            for level in levels():
                for algorithm in level.algorithms:
                    name = (level.factor, level.name, pool, task, algorithm)
                    if name in have or (a.factors and level.factor not in a.factors.split(",")):
                        continue
                    if a.levels and level.name not in a.levels.split(","):
                        continue
                    if a.algorithms and algorithm not in a.algorithms.split(","):
                        continue
                    run = run or open_task(pool, task)
                    score, took, chosen = measure(run, algorithm, level)
                    with out.open("a", newline="") as f:
                        csv.writer(f).writerow((*name, chosen, f"{100 * score:.2f}", f"{took:.2f}"))


if __name__ == "__main__":
    main()
