"""What closed-form maps cost: ours beside a textbook implementation, skada and POT, at the same result.

    python benchmarks/speed/mappers.py [--quick] [--only coral ...] [--repeats N] [--memory] [--skada FOLDER]

Features of width 2048: 2817 against 795 rows, and 795 against 498, fewer rows than features; float64, one thread, in
turn, in processor time. Transport plans and components at 795 against 498 rows. `off by` is the largest difference from
the textbook's result (else POT's) as a fraction of its largest entry. The floor is the time of multiply-adds at the
machine's own rate: a covariance or Gram matrix per domain and one product with the moved rows; one pass over the cost.
Peak memory: of one call, in a process of its own, beyond what it held before. `--skada`: a folder to import skada from.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _timing import compare, machine, print_table

from dalib.nn.components import make_landmarks, mean_contrasts, transfer_components
from dalib.nn.linalg import recolour
from dalib.nn.transport import class_regularised, move_gaussian, scale_cost, sinkhorn

Candidates = dict[str, Callable[[], np.ndarray]]
SIZES = {"large": (2817, 795, 2048), "thin": (795, 498, 2048), "quick": (90, 60, 160)}
REG, K = 0.1, 10


def draw(n_s: int, n_t: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes around centres, with a decaying spectrum; both domains with a mean variance of 1 (sum over n)."""
    rng = np.random.default_rng(0)
    centres, basis = rng.standard_normal((K, d)), rng.standard_normal((d, d)) / d**0.5
    y = np.arange(n_s) % K
    z_s = centres[y] + rng.standard_normal((n_s, d)) @ (basis * 0.998 ** np.arange(d))
    z_t = centres[np.arange(n_t) % K] + rng.standard_normal((n_t, d)) @ (basis[::-1] * 0.998 ** np.arange(d)) + 0.3
    return z_s / z_s.std(0).mean(), z_t / z_t.std(0).mean(), y


def equalise(z: np.ndarray, scale: float) -> np.ndarray:
    """Rows about their mean times `scale`: a covariance by n in place of n - 1, or by both means' variance."""
    return (z - z.mean(0)) * scale + z.mean(0)


def coral(n_s: int, n_t: int, d: int, skada: bool) -> Candidates:
    """Same mean variance in both domains, so that skada's shrinkage s is our ridge s / (1 - s)."""
    z_s, z_t, _ = draw(n_s, n_t, d)
    z_s, z_t = (equalise(z, (z.var(0, ddof=1).mean()) ** -0.5) for z in (z_s, z_t))
    a, b = torch.from_numpy(z_s), torch.from_numpy(z_t)

    def power(C: np.ndarray, p: float) -> np.ndarray:
        values, vectors = np.linalg.eigh(C)
        return (vectors * values**p) @ vectors.T

    def textbook() -> np.ndarray:
        c_s, c_t = (np.cov(z.T) + REG * np.eye(d) for z in (z_s, z_t))
        return (z_s - z_s.mean(0)) @ power(c_s, -0.5) @ power(c_t, 0.5) + z_t.mean(0)

    made: Candidates = {"ours": lambda: recolour(a, b, REG).numpy(), "textbook": textbook}
    if skada:
        from skada._mapping import CORALAdapter

        x, domain = np.concatenate([z_s, z_t]), np.concatenate([np.ones(n_s), -2 * np.ones(n_t)])
        factor = ((n_s - 1) / n_s * n_t / (n_t - 1)) ** 0.5

        def peer() -> np.ndarray:
            moved = CORALAdapter(reg=REG / (1 + REG)).fit_transform(x, sample_domain=domain)
            return np.asarray(moved[:n_s] * factor + z_t.mean(0))

        made["skada"] = peer
    return made


def linear(n_s: int, n_t: int, d: int, skada: bool) -> Candidates:
    """Rows scaled so that our covariances (n - 1) are POT's (n); POT's ridge is our reg * v."""
    z_s, z_t, _ = draw(n_s, n_t, d)
    a, b = (torch.from_numpy(equalise(z, ((len(z) - 1) / len(z)) ** 0.5)) for z in (z_s, z_t))
    v = float(a.var(0).mean() + b.var(0).mean()) / 2
    shrunk = ((n_s - 1) / n_s) ** 0.5

    def ours() -> np.ndarray:
        moved = move_gaussian(a, b, REG).numpy()
        return (moved - moved.mean(0)) / shrunk + moved.mean(0)

    def textbook() -> np.ndarray:
        from scipy.linalg import eigh

        def root(C: np.ndarray) -> np.ndarray:
            values, vectors = eigh(C)
            return (vectors * np.sqrt(values)) @ vectors.T

        c_s, c_t = (np.cov(z.T, bias=True) + REG * v * np.eye(d) for z in (z_s, z_t))
        half = root(c_s)
        inverse = np.linalg.inv(half)
        return (z_s - z_s.mean(0)) @ inverse @ root(half @ c_t @ half) @ inverse + z_t.mean(0)

    def pot() -> np.ndarray:
        import ot

        return np.asarray(ot.da.LinearTransport(reg=REG * v).fit(Xs=z_s, Xt=z_t).transform(Xs=z_s))

    return {"ours": ours, "textbook": textbook, "POT": pot}


def costs(n_s: int, n_t: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    z_s, z_t, y = draw(n_s, n_t, d)
    z_s, z_t = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (z_s, z_t))
    return torch.from_numpy(2 - 2 * z_s @ z_t.T), torch.from_numpy(y)


def plain_sinkhorn(M: np.ndarray, reg: float, iterations: int = 20_000) -> np.ndarray:
    """Cuturi's iteration until the columns' marginals are off by less than 1e-8."""
    K = np.exp(-M / reg)
    a, b = (np.full(n, 1 / n) for n in M.shape)
    v = np.ones(len(b))
    for _ in range(iterations):
        u = a / (K @ v)
        v = b / (K.T @ u)
        plan = u[:, None] * K * v
        if np.linalg.norm(plan.sum(1) - a) < 1e-8:
            break
    return plan


def sinkhorn_plans(n_s: int, n_t: int, d: int, skada: bool) -> Candidates:
    import ot

    cost, _ = costs(n_s, n_t, d)
    M = scale_cost(cost).numpy()
    a, b = (np.full(n, 1 / n) for n in M.shape)
    return {
        "ours": lambda: sinkhorn(cost, 0.02).numpy(),
        "textbook": lambda: plain_sinkhorn(M, 0.02),
        "POT": lambda: np.asarray(ot.sinkhorn(a, b, M, 0.02, numItermax=20_000, stopThr=1e-8)),
    }


def class_plans(n_s: int, n_t: int, d: int, skada: bool) -> Candidates:
    import ot

    cost, y = costs(n_s, n_t, d)
    M = scale_cost(cost).numpy()
    a, b = (np.full(n, 1 / n) for n in M.shape)

    return {
        "ours": lambda: class_regularised(cost, y, 0.02, 0.01).numpy(),
        "POT": lambda: np.asarray(ot.da.sinkhorn_lpl1_mm(a, y.numpy(), b, M, 0.02, 0.01, 10, 20_000, 1e-8)),
    }


def components(n_s: int, n_t: int, d: int, skada: bool, classes: bool = False) -> Candidates:
    """Twenty components of the linear kernel; every dense matrix of the textbook is (n, n). Rows, up to signs."""
    z_s, z_t, y = draw(n_s, n_t, d)
    z = np.concatenate([z_s, z_t])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    y_t = torch.from_numpy(np.arange(n_t) % K) if classes else None
    k = min(20, n_t // 4)
    E = mean_contrasts(torch.from_numpy(y), n_t, y_t, K, 1.0)

    def fix(x: np.ndarray) -> np.ndarray:
        return x * np.sign(x[np.abs(x).argmax(0), np.arange(x.shape[1])])

    def ours() -> np.ndarray:
        rows = torch.from_numpy(z)
        phi = rows @ make_landmarks("linear", rows).T
        return fix((phi @ transfer_components(phi, E, 1.0, k)).numpy())

    def textbook() -> np.ndarray:
        from scipy.linalg import eigh

        n = len(z)
        gram, H, M = z @ z.T, np.eye(n) - 1 / n, E.numpy() @ E.numpy().T
        _, W = eigh(gram @ H @ gram, gram @ M @ gram + np.eye(n))
        return fix(gram @ W[:, ::-1][:, :k])

    made: Candidates = {"ours": ours, "textbook": textbook}
    if skada and not classes:
        from skada._subspace import TransferComponentAnalysisAdapter

        domain = np.concatenate([np.ones(n_s), -2 * np.ones(n_t)])
        mu = float((1 / n_s + 1 / n_t) ** -1)  # our M has a Frobenius norm of 1
        adapter = TransferComponentAnalysisAdapter(kernel="linear", n_components=k, mu=mu)
        made["skada"] = lambda: fix(np.asarray(adapter.fit_transform(z, sample_domain=domain)))
    return made


MAPPERS: dict[str, Callable[[int, int, int, bool], Candidates]] = {
    "coral": coral,
    "linear": linear,
    "sinkhorn": sinkhorn_plans,
    "class_regularised": class_plans,
    "tca": components,
    "jda": lambda n_s, n_t, d, skada: components(n_s, n_t, d, skada, classes=True),
}


def floor(name: str, n_s: int, n_t: int, d: int, rate: float) -> float:
    """Seconds of the multiply-adds that no way round is known for."""
    gram = sum(n * d * min(n, d) for n in (n_s, n_t))
    product = n_s * d * (d if n_s >= d else n_s)
    pairs = {"sinkhorn": n_s * n_t, "class_regularised": 10 * n_s * n_t, "tca": gram, "jda": gram}
    return 2 * pairs.get(name, gram + product) / rate


def peak(name: str, size: str, candidate: str, skada: Path | None) -> float:
    """MiB that one call needs beside its arguments, in a process of its own."""
    arguments = [sys.executable, __file__, "--only", name, "--sizes", size, *(["--skada", str(skada)] if skada else [])]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what was freed is given back, and not used again
    done = subprocess.run(
        [*arguments, "--peak", candidate], capture_output=True, text=True, check=True, env=environment
    )
    return int(done.stdout) / 1024


def print_peak(call: Callable[[], np.ndarray]) -> None:
    """KiB between what the process holds now and the most that it holds during a call (Linux)."""

    def read(field: str) -> int:
        return int(re.findall(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))[0])

    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    held = read("VmRSS")
    call()
    print(read("VmHWM") - held)


def measure(name: str, size: str, skada: Path | None, repeats: int, rate: float, memory: bool) -> list[list[str]]:
    made = MAPPERS[name](*SIZES[size], skada is not None)
    found: dict[str, np.ndarray] = {}
    times = compare({k: lambda k=k: found.update({k: made[k]()}) for k in made}, repeats, 0, time.process_time)  # type: ignore[misc]
    reference = found["textbook" if "textbook" in found else "POT"]
    gaps = {k: float(np.abs(x - reference).max() / np.abs(reference).max()) for k, x in found.items()}
    n_s, n_t, d = SIZES[size]
    return [
        [
            name, f"{n_s} / {n_t} x {d}", key, f"{times[key].median:.3g}", str(times[key].over(times["ours"])),
            f"{floor(name, *SIZES[size], rate):.2g}", f"{gaps[key]:.0e}",
            f"{peak(name, size, key, skada):.0f}" if memory else "-",
        ]
        for key in made
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="90 against 60 rows of width 160, once each")
    parser.add_argument("--only", nargs="+", choices=list(MAPPERS), default=list(MAPPERS))
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), help="default: large and thin for the linear maps")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="peak memory too (Linux)")
    parser.add_argument("--skada", type=Path)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.skada:
        sys.path.insert(0, str(given.skada))
    if given.peak:
        made = MAPPERS[given.only[0]](*SIZES[given.sizes[0]], given.skada is not None)
        print_peak(made[given.peak])
        return
    a = np.random.default_rng(0).standard_normal((512, 512))
    rate = 2 * 512**3 / min(compare({"product": lambda: a @ a}, 10, 2, time.process_time)["product"].samples)
    print(f"{machine()}; {rate / 1e9:.0f} GFLOP/s in float64")
    rows = []
    for name in given.only:
        sizes = ["large", "thin"] if name in ("coral", "linear") else ["thin"]
        for size in ["quick"] if given.quick else given.sizes or sizes:
            rows += measure(name, size, given.skada, 1 if given.quick else given.repeats, rate, given.memory)
    headers = ["map", "rows x width", "by", "seconds", "times ours", "floor s", "off by", "peak MiB"]
    print_table("Closed-form maps (median and quartiles)", headers, rows)


if __name__ == "__main__":
    main()
