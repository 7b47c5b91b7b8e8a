"""Examples of skada, ADAPT and POT on dalib: accuracy on the target, processor seconds and MiB on the same arrays.

pip install dalib-toolkit skada adapt pot
OMP_NUM_THREADS=1 python benchmarks/peers/tables.py [--only WORD] > table.md

Every line is a process of its own. Seconds are processor time of fit and predict, the least of three; MiB what the peak
of the resident memory lies above its level before the first fit, when data are drawn and libraries loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def skada_data(shift: str, **more: Any) -> Arrays:
    """X_s, y_s, X_t, y_t of skada's generator, 20 rows per cloud, as its examples draw them."""
    from skada.datasets import make_shifted_datasets

    X, y, d = make_shifted_datasets(20, 20, shift=shift, random_state=42, **more)
    return X[d > 0], y[d > 0], X[d < 0], y[d < 0]


def adapt_data() -> Arrays:
    """The data of ADAPT's docstrings."""
    from adapt.utils import make_classification_da

    X_s, y_s, X_t, y_t = make_classification_da()
    return X_s, y_s.astype(int), X_t, y_t.astype(int)


def clouds(n: int, d: int) -> Arrays:
    """Ten classes; the target is stretched and moved."""
    rng = np.random.default_rng(0)
    means, y = rng.normal(size=(10, d)), rng.integers(0, 10, 2 * n)
    X = means[y] + 1.5 * rng.normal(size=(2 * n, d))
    return X[:n], y[:n], X[n:] * np.linspace(0.6, 1.6, d) + 0.5, y[n:]


def table(X_s: np.ndarray, y_s: np.ndarray, X_t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One table, target labels hidden."""
    d = np.r_[np.ones(len(X_s), int), -np.ones(len(X_t), int)]
    return np.vstack([X_s, X_t]), np.r_[y_s, -np.ones(len(X_t), int)], d


def _skada(name: str, *base: Any, **how: Any) -> Fit:
    def fit(X_s: np.ndarray, y_s: np.ndarray, X_t: np.ndarray, y_t: np.ndarray) -> np.ndarray:
        import skada

        X, y, d = table(X_s, y_s, X_t)
        return np.asarray(getattr(skada, name)(*base, **how).fit(X, y, sample_domain=d).predict(X_t))

    return fit


def _adapt(module: str, name: str, few: int = 0, **how: Any) -> Fit:
    def fit(X_s: np.ndarray, y_s: np.ndarray, X_t: np.ndarray, y_t: np.ndarray) -> np.ndarray:
        import importlib

        from sklearn.linear_model import RidgeClassifier

        cls = getattr(importlib.import_module(f"adapt.{module}"), name)
        seen = {"Xt": X_t[:few], "yt": y_t[:few]} if few else {"Xt": X_t}
        return np.asarray(cls(RidgeClassifier(), **seen, verbose=0, random_state=0, **how).fit(X_s, y_s).predict(X_t))

    return fit


def _pot(name: str, **how: Any) -> Fit:
    def fit(X_s: np.ndarray, y_s: np.ndarray, X_t: np.ndarray, y_t: np.ndarray) -> np.ndarray:
        import ot
        from sklearn.svm import SVC

        moved = getattr(ot.da, name)(**how).fit_transform(Xs=X_s, ys=y_s, Xt=X_t)
        return np.asarray(SVC().fit(moved, y_s).predict(X_t))

    return fit


def _dalib(make: Callable[..., Any], few: int = 0) -> Fit:
    def fit(X_s: np.ndarray, y_s: np.ndarray, X_t: np.ndarray, y_t: np.ndarray) -> np.ndarray:
        import dalib

        marks = np.where(np.arange(len(y_t)) < few, y_t, -1) if few else None
        return np.asarray(make(dalib, X_s, X_t).fit(X_s, y_s, X_t, marks).predict(X_t))

    return fit


def width(gamma: float, X_s: np.ndarray, X_t: np.ndarray) -> float:
    """The `bandwidth` of the kernel exp(-gamma d²): its sigma in root mean squared distances of all rows."""
    return float(np.sqrt(1 / (2 * gamma)) / np.sqrt(2 * np.vstack([X_s, X_t]).var(0).sum()))


def entropy(reg: float, X_s: np.ndarray, X_t: np.ndarray) -> float:
    """The `reg` of an entropy in the unit of squared distances: over the largest of them."""
    return float(reg / np.square(X_s[:, None] - X_t).sum(2).max())


def _ridge(**how: Any) -> Any:
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier(**how)


def _svc(**how: Any) -> Any:
    from sklearn.svm import SVC

    return SVC(**how)


def _logistic(**how: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**how)


def _weighted_svc() -> Any:
    return _svc().set_fit_request(sample_weight=True)


def cases() -> dict[str, tuple[Callable[[], Arrays], dict[str, Fit]]]:
    """Example -> (its data, library -> fit and predict)."""
    import sklearn

    sklearn.set_config(enable_metadata_routing=True)
    noisy = {"label": "binary", "noise": 0.4}
    conditional = lambda: skada_data("conditional_shift")  # noqa: E731
    return {
        "skada, how to use: CORAL, logistic": (
            conditional,
            {
                "skada": _skada("CORAL", base_estimator=_logistic()),
                "dalib": _dalib(lambda d, *x: d.AdaptationClassifier("coral")),
            },
        ),
        "skada, how to use: CORAL, SVC": (
            conditional,
            {
                "skada": _skada("CORAL", base_estimator=_svc()),
                "dalib": _dalib(lambda d, *x: d.AdaptationClassifier("coral", estimator=_svc())),
            },
        ),
        "skada, comparison: KLIEP, SVC": (
            lambda: skada_data("covariate_shift", **noisy),
            {
                "skada": _skada("KLIEPReweight", _weighted_svc(), gamma=[1, 0.1, 0.001]),
                "dalib": _dalib(lambda d, *x: d.WeightedEstimator("kliep", _svc())),
            },
        ),
        "skada, reweighting: KMM, logistic": (
            lambda: skada_data("covariate_shift", noise=0.1),
            {
                "skada": _skada(
                    "KMMReweight", _logistic().set_fit_request(sample_weight=True), gamma=10.0, max_iter=1000
                ),
                "dalib": _dalib(lambda d, *x: d.WeightedEstimator(d.KMM(bandwidth=width(10.0, *x)), _logistic())),
            },
        ),
        "skada, comparison: OT mapping, SVC": (
            lambda: skada_data("conditional_shift", **noisy),
            {
                "skada": _skada("OTMapping", base_estimator=_svc()),
                "POT": _pot("EMDTransport"),
                "dalib": _dalib(
                    lambda d, *x: d.AdaptationClassifier(d.OTMap(method="emd", unit_rows=False), estimator=_svc())
                ),
            },
        ),
        "skada, comparison: entropic OT, SVC": (
            lambda: skada_data("conditional_shift", **noisy),
            {
                "skada": _skada("EntropicOTMapping", base_estimator=_svc()),
                "POT": _pot("SinkhornTransport", reg_e=1.0),
                "dalib": _dalib(
                    lambda d, *x: d.AdaptationClassifier(
                        d.OTMap(reg=entropy(1.0, *x), unit_rows=False), estimator=_svc()
                    )
                ),
            },
        ),
        "skada, comparison: subspace alignment, SVC": (
            lambda: skada_data("subspace", **noisy),
            {
                "skada": _skada("SubspaceAlignment", base_estimator=_svc(), n_components=1),
                "dalib": _dalib(
                    lambda d, *x: d.AdaptationClassifier(d.SubspaceAlignment(components=1), estimator=_svc())
                ),
            },
        ),
        "skada, comparison: TCA, SVC": (
            lambda: skada_data("subspace", **noisy),
            {
                "skada": _skada("TransferComponentAnalysis", base_estimator=_svc(), n_components=1, mu=0.5),
                "dalib": _dalib(
                    lambda d, *x: d.AdaptationClassifier(
                        d.TCA(components=1, kernel="rbf", gamma=0.5, unit_rows=False, reg=0.1), estimator=_svc()
                    )
                ),
            },
        ),
        "ADAPT, docstring: CORAL": (
            adapt_data,
            {
                "ADAPT": _adapt("feature_based", "CORAL"),
                "dalib": _dalib(lambda d, *x: d.AdaptationClassifier("coral", estimator=_ridge())),
            },
        ),
        "ADAPT, docstring: SA": (
            adapt_data,
            {
                "ADAPT": _adapt("feature_based", "SA"),
                "dalib": _dalib(lambda d, *x: d.AdaptationClassifier("subspace_alignment", estimator=_ridge())),
            },
        ),
        "ADAPT, docstring: TCA": (
            adapt_data,
            {
                "ADAPT": _adapt("feature_based", "TCA", n_components=1, mu=0.1, kernel="rbf", gamma=0.1),
                "dalib": _dalib(
                    lambda d, *x: d.AdaptationClassifier(
                        # mu = 0.1 beside an M of norm 1/50, and components of unit length for the ridge's penalty
                        d.TCA(components=1, kernel="rbf", gamma=0.1, unit_rows=False, reg=500.0),
                        estimator=_ridge(alpha=1 / 500),
                    )
                ),
            },
        ),
        "ADAPT, docstring: KMM": (
            adapt_data,
            {
                "ADAPT": _adapt("instance_based", "KMM", kernel="rbf", gamma=1.0),
                "dalib": _dalib(lambda d, *x: d.WeightedEstimator(d.KMM(bandwidth=width(1.0, *x)), _ridge())),
            },
        ),
        "ADAPT, docstring: KLIEP": (
            adapt_data,
            {
                "ADAPT": _adapt("instance_based", "KLIEP", kernel="rbf", gamma=[0.1, 1.0]),
                "dalib": _dalib(lambda d, *x: d.WeightedEstimator(d.KLIEP(bandwidth=width(1.0, *x)), _ridge())),
            },
        ),
        "ADAPT, docstring: ULSIF": (
            adapt_data,
            {
                "ADAPT": _adapt(
                    "instance_based", "ULSIF", kernel="rbf", lambdas=[0.1, 1.0, 10.0], gamma=[0.1, 1.0, 10.0]
                ),
                "dalib": _dalib(lambda d, *x: d.WeightedEstimator(d.ULSIF(bandwidth=width(1.0, *x)), _ridge())),
            },
        ),
        "ADAPT, docstring: FA, 10 target labels": (
            adapt_data,
            {
                "ADAPT": _adapt("feature_based", "FA", few=10),
                "dalib": _dalib(
                    lambda d, *x: d.AdaptationClassifier("feature_augmentation", estimator=_ridge()), few=10
                ),
            },
        ),
        "ADAPT, docstring: balanced weighting, 3 target labels": (
            adapt_data,
            {
                "ADAPT": _adapt("instance_based", "BalancedWeighting", few=3),
                "dalib": _dalib(lambda d, *x: d.WeightedEstimator("balanced_weighting", _ridge()), few=3),
            },
        ),
        "ADAPT, docstring: TrAdaBoost, 10 target labels": (
            adapt_data,
            {
                "ADAPT": _adapt("instance_based", "TrAdaBoost", few=10, n_estimators=10),
                "dalib": _dalib(lambda d, *x: d.TrAdaBoost(_ridge(), n_estimators=10), few=10),
            },
        ),
        "1 500 + 1 500 rows of 50 columns, CORAL": (
            lambda: clouds(1500, 50),
            {
                "skada": _skada("CORAL", base_estimator=_logistic(max_iter=5000)),
                "dalib": _dalib(lambda d, *x: d.AdaptationClassifier("coral", estimator=_logistic(max_iter=5000))),
            },
        ),
        "1 500 + 1 500 rows of 50 columns, OT mapping": (
            lambda: clouds(1500, 50),
            {
                "skada": _skada("OTMapping", base_estimator=_svc()),
                "POT": _pot("EMDTransport"),
                "dalib": _dalib(
                    lambda d, *x: d.AdaptationClassifier(d.OTMap(method="emd", unit_rows=False), estimator=_svc())
                ),
            },
        ),
        "1 500 + 1 500 rows of 50 columns, KMM": (
            lambda: clouds(1500, 50),
            {
                "ADAPT": _adapt("instance_based", "KMM", kernel="rbf", gamma=0.01, max_size=10_000),
                "dalib": _dalib(lambda d, *x: d.WeightedEstimator(d.KMM(bandwidth=width(0.01, *x)), _ridge())),
            },
        ),
        "1 500 + 1 500 rows of 50 columns, KMM in parts": (
            lambda: clouds(1500, 50),
            {
                "ADAPT": _adapt("instance_based", "KMM", kernel="rbf", gamma=0.01),
                "dalib": _dalib(
                    lambda d, *x: d.WeightedEstimator(d.KMM(bandwidth=width(0.01, *x), block_rows=1000), _ridge())
                ),
            },
        ),
    }


def resident(what: str) -> float:
    """VmRSS or VmHWM of this process in MiB."""
    with Path("/proc/self/status").open(encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def measure(example: str, library: str) -> dict[str, float]:
    """Accuracy, least processor seconds of three, MiB above the start."""
    warnings.filterwarnings("ignore")
    data, fits = cases()[example]
    X_s, y_s, X_t, y_t = data()
    __import__({"ADAPT": "adapt", "POT": "ot"}.get(library, library))
    if library == "dalib":
        import dalib

        dalib.AdaptationClassifier("coral", estimator=_ridge()).fit(X_s[::8], y_s[::8], X_t[::8])
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, seconds, answers = resident("VmRSS"), [], y_t
    for _ in range(3):
        start = time.process_time()
        answers = fits[library](X_s, y_s, X_t, y_t)
        seconds.append(time.process_time() - start)
    return {"accuracy": float((answers == y_t).mean()), "seconds": min(seconds), "MiB": resident("VmHWM") - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="examples that hold this word")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        sys.stdout.write(json.dumps(measure(*given.one)))
        return
    lines = ["| example | library | accuracy | seconds | MiB |", "|---|---|---|---|---|"]
    for example, (_, fits) in cases().items():
        if given.only not in example:
            continue
        for library in fits:
            command = [sys.executable, __file__, "--one", example, library]
            env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "POT_BACKEND_DISABLE_TENSORFLOW": "1"}
            done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
            try:
                made = json.loads(done.stdout[done.stdout.rindex("{") :])
                row = f"{made['accuracy']:.1%} | {made['seconds']:.3g} | {made['MiB']:.0f}"
            except ValueError:
                row = f"fails: {(done.stderr.strip().splitlines() or ['no word'])[-1][:90]} | |"
            lines.append(f"| {example} | {library} | {row} |")
            sys.stderr.write(lines[-1] + "\n")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
