"""Measures against loops of their own, at their limits, and on the differences they are made for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from scipy.stats import multivariate_normal, spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from dalib.core.measure import Measure
from dalib.core.registry import MEASURES
from dalib.core.types import Outputs
from dalib.measures._pca import principal_components

ALL = ("gbc", "h_score", "k_nn", "leep", "log_me", "n_leep", "nce", "parc", "trans_rate")


def make(name: str, **arguments: float) -> Measure:
    return MEASURES.get(name)(**arguments)


def make_rows(n: int = 45, d: int = 6, seed: int = 0, distance: float = 1.5, dtype: type = np.float64) -> Outputs:
    """Three overlapping classes of unequal sizes with unequal spreads, and logits of five pretrained classes."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    z = distance * rng.normal(size=(3, d))[y] + (1 + y[:, None]) * rng.normal(size=(n, d))
    logits = rng.normal(size=(n, 5)) + 2 * np.eye(5)[(y + rng.integers(0, 2, n)) % 5]
    return Outputs(torch.tensor(z.astype(dtype)), torch.tensor(logits.astype(dtype)), torch.tensor(y))


def read(rows: Outputs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert rows.y is not None
    return rows.z.double().numpy(), rows.logits.double().numpy(), rows.y.numpy()


def reference_leep(rows: Outputs) -> float:
    _, logits, y = read(rows)
    theta = softmax(logits, axis=1)
    total = 0.0
    for i in range(len(y)):
        inner = 0.0
        for c in range(theta.shape[1]):
            inner += theta[y == y[i], c].sum() / theta[:, c].sum() * theta[i, c]
        total += math.log(inner)
    return total / len(y)


def reference_nce(rows: Outputs) -> float:
    _, logits, y = read(rows)
    pairs = [(int(a), int(b)) for a, b in zip(y, logits.argmax(1), strict=True)]
    both, named = Counter(pairs), Counter(b for _, b in pairs)
    return sum(count / len(y) * math.log(count / named[b]) for (_, b), count in both.items())


def reference_h_score(rows: Outputs) -> float:
    f, _, y = read(rows)
    f = f - f.mean(0)
    fitted = LedoitWolf(assume_centered=True).fit(f)
    g = np.stack([f[y == label].mean(0) for label in y])
    return float(np.trace(np.linalg.pinv(fitted.covariance_) @ ((1 - fitted.shrinkage_) * g.T @ g / len(y))))


def reference_trans_rate(rows: Outputs) -> float:
    f, _, y = read(rows)
    f = f - f.mean(0)

    def rate(part: np.ndarray) -> float:
        return 0.5 * float(np.linalg.slogdet(np.eye(f.shape[1]) + part.T @ part / (len(part) * 1e-4))[1])

    return rate(f) - sum(float(np.mean(y == c)) * rate(f[y == c]) for c in np.unique(y))


def reference_gbc(rows: Outputs) -> float:
    """The coefficient of two Gaussians from its definition: the integral of sqrt(p q) as a ratio of densities."""
    f, _, y = read(rows)
    s = PCA(min(64, f.shape[1], len(f) - 1), svd_solver="full").fit_transform(f)
    total = 0.0
    for a in np.unique(y):
        for b in np.unique(y):
            if a == b:
                continue
            (m, v), (n, w) = ((s[y == c].mean(0), s[y == c].var(0).mean() * np.eye(s.shape[1])) for c in (a, b))
            # sqrt(p q) is an unnormalised Gaussian around `centre`: integral = value there / normalised density there
            precision = (np.linalg.inv(v) + np.linalg.inv(w)) / 2
            covariance = np.linalg.inv(precision)
            centre = covariance @ (np.linalg.inv(v) @ m + np.linalg.inv(w) @ n) / 2
            height = (multivariate_normal.logpdf(centre, m, v) + multivariate_normal.logpdf(centre, n, w)) / 2
            total += math.exp(height - multivariate_normal.logpdf(centre, centre, covariance))
    return -total


def reference_parc(rows: Outputs) -> float:
    f, _, y = read(rows)
    s = StandardScaler().fit_transform(PCA(min(32, f.shape[1]), svd_solver="full").fit_transform(f))
    one, two = 1 - np.corrcoef(s), 1 - np.corrcoef(np.eye(y.max() + 1)[y])
    upper = np.triu_indices(len(y), 1)
    return float(spearmanr(one[upper], np.round(two[upper], 12)).statistic)


def reference_k_nn(rows: Outputs) -> float:
    f, _, y = read(rows)
    right = 0.0
    for i in range(len(y)):
        others = np.arange(len(y)) != i
        fitted = KNeighborsClassifier(5, metric="cosine").fit(f[others], y[others])
        p = fitted.predict_proba(f[i : i + 1])[0]
        winners = fitted.classes_[p == p.max()]
        right += (y[i] in winners) / len(winners)
    return right / len(y)


def reference_log_me(rows: Outputs) -> float:
    """The marginal likelihood itself, N(0, I / beta + F Fᵀ / alpha), maximised over both by bounded search."""
    f, _, y = read(rows)
    gram, n = f @ f.T, len(y)
    found = []
    for c in np.unique(y):
        target = (y == c).astype(float)

        def loss(log_ratio: float, target: np.ndarray = target) -> float:
            shape = np.eye(n) + gram / math.exp(log_ratio)
            variance = target @ np.linalg.solve(shape, target) / n
            return -float(multivariate_normal.logpdf(target, np.zeros(n), variance * shape))

        found.append(min(minimize_scalar(loss, bounds=(a, a + 8), options={"xatol": 1e-9}).fun for a in (-8, 0, 8)))
    return -float(np.mean(found)) / n


def reference_n_leep(rows: Outputs) -> float:
    """The mixture of scikit-learn, its posteriors and LEEP's sums by loops."""
    f, _, y = read(rows)
    order = np.array(sorted(range(len(y)), key=lambda i: tuple(f[i])))
    f, y = f[order], y[order]
    fitted = PCA(svd_solver="full").fit(f)
    k = int(np.searchsorted(np.cumsum(fitted.explained_variance_ratio_), 0.8)) + 1
    s = fitted.transform(f)[:, :k]
    s /= np.sqrt((s**2).mean())
    v = min(5 * len(np.unique(y)), len(y) // 2)
    mixture = GaussianMixture(v, covariance_type="diag", random_state=0).fit(s)
    density = np.empty((len(y), v))
    for j in range(v):
        spread = np.diag(mixture.covariances_[j])
        density[:, j] = mixture.weights_[j] * multivariate_normal.pdf(s, mixture.means_[j], spread)
    theta = density / density.sum(1, keepdims=True)
    share = np.stack([theta[y == c].sum(0) / theta.sum(0) for c in range(3)])
    return float(np.mean([math.log(share[y[i]] @ theta[i]) for i in range(len(y))]))


REFERENCES: dict[str, Callable[[Outputs], float]] = {
    "gbc": reference_gbc,
    "h_score": reference_h_score,
    "k_nn": reference_k_nn,
    "leep": reference_leep,
    "log_me": reference_log_me,
    "n_leep": reference_n_leep,
    "nce": reference_nce,
    "parc": reference_parc,
    "trans_rate": reference_trans_rate,
}


def test_all_are_found_by_file() -> None:
    assert set(ALL) == set(REFERENCES) <= set(MEASURES.names())
    assert [name for name in ALL if MEASURES.get(name).needs_classifier] == ["leep", "nce"]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ALL)
def test_a_measure_is_its_formula(name: str, seed: int) -> None:
    rows = make_rows(seed=seed)
    assert make(name).score(rows) == pytest.approx(REFERENCES[name](rows), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_float32_rows_give_the_same_to_their_precision(name: str) -> None:
    rows = make_rows(dtype=np.float32)
    assert make(name).score(rows) == pytest.approx(REFERENCES[name](rows), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", ["h_score", "log_me", "trans_rate"])
def test_more_features_than_rows_follow_the_formula_too(name: str) -> None:
    rows = make_rows(n=20, d=40)
    assert make(name).score(rows) == pytest.approx(REFERENCES[name](rows), rel=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_clearer_classes_score_higher(name: str) -> None:
    """Features of three qualities, from noise to separable, in this order for every measure."""
    rng = np.random.default_rng(3)
    y = np.arange(90) % 3
    z, noise = 3 * np.eye(3, 10)[y], rng.normal(size=(90, 10))
    scores = []
    for quality in (0.0, 0.5, 2.0):
        logits = torch.tensor(quality * 2 * np.eye(6)[y] + rng.normal(size=(90, 6)))
        scores.append(make(name).score(Outputs(torch.tensor(quality * z + noise), logits, torch.tensor(y))))
    assert scores == sorted(scores) and len(set(scores)) == 3


def test_certain_and_right_predictions_reach_the_upper_ends() -> None:
    y = torch.arange(40) % 4
    noise = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    clean = Outputs(20 * torch.eye(4)[y] + 0.01 * noise, 200 * torch.eye(7)[y], y)
    for name, best in {"leep": 0.0, "nce": 0.0, "n_leep": 0.0, "gbc": 0.0, "k_nn": 1.0}.items():
        assert make(name).score(clean) == pytest.approx(best, abs=1e-9)


def test_predictions_that_say_nothing_cost_the_entropy_of_the_labels() -> None:
    y = torch.arange(40) % 4
    blind = Outputs(torch.eye(3)[y % 3], torch.ones(40, 7), y)
    for name in ("leep", "nce"):
        assert make(name).score(blind) == pytest.approx(-math.log(4))


def test_scale_does_not_matter_where_the_docstring_does_not_say_so() -> None:
    rows = make_rows()
    scaled = Outputs(1000 * rows.z, rows.logits, rows.y)
    for name in ("gbc", "h_score", "k_nn", "log_me", "n_leep", "parc"):
        assert make(name).score(scaled) == pytest.approx(make(name).score(rows), rel=1e-6)
    assert make("trans_rate").score(scaled) > make("trans_rate").score(rows)


def test_evidence_prefers_few_useful_features_to_many_useless_ones() -> None:
    """What a training accuracy cannot see: 60 noise features fit 60 rows perfectly."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    useful = torch.tensor((2 * y - 1)[:, None] + rng.normal(size=(60, 2)))
    noise = torch.tensor(rng.normal(size=(60, 60)))
    score = make("log_me").score
    useful_alone = score(Outputs(useful, noise[:, :0], torch.tensor(y)))
    assert useful_alone > score(Outputs(noise, noise[:, :0], torch.tensor(y)))


def test_shrinkage_keeps_noise_features_from_looking_separable() -> None:
    """Without it 80 noise features of 60 rows separate any labels: the plain score is K - 1."""
    rng = np.random.default_rng(0)
    z, y = torch.tensor(rng.normal(size=(60, 80))), torch.arange(60) % 3
    centred = (z - z.mean(0)).numpy()
    g = np.stack([centred[y.numpy() == c].mean(0) for c in y.numpy()])
    plain = float(np.trace(np.linalg.pinv(centred.T @ centred) @ (g.T @ g)))
    assert plain == pytest.approx(2, abs=1e-6)
    assert make("h_score").score(Outputs(z, z[:, :0], y)) < 0.3


def test_k_nn_shares_ties() -> None:
    """Two rows of each of two classes, all alike: the one vote of a row's class loses to the other's two."""
    rows = Outputs(torch.ones(4, 2), torch.ones(4, 0), torch.tensor([0, 0, 1, 1]))
    assert make("k_nn").score(rows) == 0.0
    square = Outputs(torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), torch.ones(4, 0), rows.y)
    assert make("k_nn", k=1).score(square) == 1.0
    assert make("k_nn", k=2).score(square) == pytest.approx(0.5)


@pytest.mark.parametrize(("width", "energy", "k"), [(0, 1.0, 3), (2, 1.0, 2), (0, 0.5, 1), (9, 1.0, 3)])
def test_principal_components_are_sklearns_up_to_rank(width: int, energy: float, k: int) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 3)) * [5, 2, 1] @ rng.normal(size=(3, 7))
    found = principal_components(torch.tensor(z), width, energy).numpy()
    expected = PCA(k, svd_solver="full").fit_transform(z)
    assert found.shape == (12, k)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)
    order = rng.permutation(12)
    np.testing.assert_allclose(principal_components(torch.tensor(z[order]), width, energy), found[order], atol=1e-9)
