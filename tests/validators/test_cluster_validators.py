"""Validators of structure in the target: against loops and scikit-learn, at their limits, whatever order and names."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn import metrics

from dalib.core.registry import VALIDATORS
from dalib.core.types import Outputs
from dalib.validators import _clusters

AGREEMENT = ("v_measure", "ami", "ari", "fmi")
COMPACT = ("silhouette", "davies_bouldin", "calinski_harabasz")
PREDICTIONS = ("rank_me", "bnm")
DISTANCES = ("mmd_distance", "coral_distance")
ALL = AGREEMENT + COMPACT + PREDICTIONS + DISTANCES
N, D, K = 72, 6, 3


def score(name: str, target: Outputs, source: Outputs | None = None) -> float:
    return VALIDATORS.get(name)().score(source or target, target)


def blobs(seed: int = 0, wrong: int = 20, dtype: torch.dtype = torch.float64) -> tuple[Outputs, np.ndarray]:
    """Three groups of rows far apart, predicted as three classes except for some rows; and the group of every row."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(N) % K)
    guess = group.copy()
    guess[:wrong] = rng.integers(K, size=wrong)
    z = 20 * np.eye(K, D)[group] + rng.standard_normal((N, D))
    logits = 3 * np.eye(K)[guess] + rng.random((N, K))
    return Outputs(torch.as_tensor(z, dtype=dtype), torch.as_tensor(logits, dtype=dtype), None), group


def pairs(a: np.ndarray) -> np.ndarray:
    return np.array([a[i] == a[j] for i, j in combinations(range(len(a)), 2)])


def conditional_entropy(a: np.ndarray, given: np.ndarray) -> float:
    total = 0.0
    for g in set(given):
        for c in set(a):
            both = np.sum((a == c) & (given == g))
            total -= both / len(a) * math.log(both / np.sum(given == g)) if both else 0
    return total


def reference_v(guess: np.ndarray, cluster: np.ndarray) -> float:
    nothing = np.zeros(len(guess))
    h = 1 - conditional_entropy(guess, cluster) / conditional_entropy(guess, nothing)
    c = 1 - conditional_entropy(cluster, guess) / conditional_entropy(cluster, nothing)
    return 2 * h * c / (h + c)


def reference_ari(guess: np.ndarray, cluster: np.ndarray) -> float:
    a, b = pairs(guess), pairs(cluster)
    expected = a.sum() * b.sum() / len(a)
    return ((a & b).sum() - expected) / ((a.sum() + b.sum()) / 2 - expected)


def reference_fmi(guess: np.ndarray, cluster: np.ndarray) -> float:
    a, b = pairs(guess), pairs(cluster)
    return (a & b).sum() / math.sqrt(a.sum() * b.sum())


def reference_silhouette(z: np.ndarray, guess: np.ndarray) -> float:
    values = []
    for i in range(len(z)):
        distance = np.array([np.linalg.norm(z[i] - z[j]) for j in range(len(z))])
        own = (guess == guess[i]) & (np.arange(len(z)) != i)
        a, b = distance[own].mean(), min(distance[guess == c].mean() for c in set(guess) - {guess[i]})
        values.append((b - a) / max(a, b))
    return float(np.mean(values))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("v_measure", reference_v),
        ("ari", reference_ari),
        ("fmi", reference_fmi),
        ("ami", metrics.adjusted_mutual_info_score),
    ],
)
def test_agreement_is_that_of_predictions_and_groups(name: str, reference, seed: int) -> None:
    target, group = blobs(seed)
    guess = target.logits.argmax(1).numpy()
    assert 0.2 < reference(guess, group) < 0.9
    assert score(name, target) == pytest.approx(reference(guess, group), abs=1e-8)
    assert score(name, blobs(seed, dtype=torch.float32)[0]) == pytest.approx(reference(guess, group), abs=1e-8)


def test_four_measures_share_one_clustering_which_follows_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []
    fit = _clusters._fit
    monkeypatch.setattr(_clusters, "_fit", lambda z, k: fitted.append(k) or fit(z, k))
    target, _ = blobs(11)
    first = [score(name, target) for name in AGREEMENT]
    assert fitted == [K]
    target.z[: N // 2] = target.z[N // 2 :].clone()
    assert [score(name, target) for name in AGREEMENT] != first
    assert fitted == [K, K]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_compactness_is_scikit_learns_on_predicted_classes(dtype: torch.dtype, tolerance: float) -> None:
    target, _ = blobs(1, dtype=dtype)
    z, guess = blobs(1)[0].z.numpy(), target.logits.argmax(1).numpy()
    for name, reference in {
        "silhouette": reference_silhouette(z, guess),
        "davies_bouldin": -metrics.davies_bouldin_score(z, guess),
        "calinski_harabasz": metrics.calinski_harabasz_score(z, guess),
    }.items():
        assert score(name, target) == pytest.approx(reference, rel=tolerance)
    assert reference_silhouette(z, guess) == pytest.approx(metrics.silhouette_score(z, guess), abs=1e-12)


def test_predictions_are_measured_by_their_singular_values() -> None:
    target, _ = blobs(2)
    p = np.exp(target.logits.numpy())
    p /= p.sum(1, keepdims=True)
    sigma = np.linalg.svd(p, compute_uv=False)
    share = sigma / sigma.sum()
    assert score("bnm", target) == pytest.approx(sigma.sum() / N, abs=1e-8)
    assert score("rank_me", target) == pytest.approx(math.exp(-np.sum(share * np.log(share))), abs=1e-5)
    share = share + 1e-7
    assert score("rank_me", target) == pytest.approx(math.exp(-np.sum(share * np.log(share))), abs=1e-8)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_rank_counts_the_classes_that_are_predicted(name: str) -> None:
    z = torch.zeros(12, 2)
    found = [score(name, Outputs(z, 100 * torch.eye(4)[torch.arange(12) % classes], None)) for classes in (1, 2, 3, 4)]
    expected = [1, 2, 3, 4] if name == "rank_me" else [math.sqrt(c / 12) for c in (1, 2, 3, 4)]
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_mmd_is_the_mean_over_pairs(dtype: torch.dtype, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    s, t = rng.standard_normal((70, 3)), 0.7 * rng.standard_normal((300, 3)) + 1
    pooled = np.concatenate([s, t])
    squared = ((pooled[:, None] - pooled) ** 2).sum(2)
    kernel = sum(np.exp(-squared / (2 * squared.mean() * 2.0**k)) for k in range(-3, 2))
    np.fill_diagonal(kernel, 0)
    mmd2 = kernel[:70, :70].sum() / (70 * 69) + kernel[70:, 70:].sum() / (300 * 299) - 2 * kernel[:70, 70:].mean()
    source, target = (Outputs(torch.as_tensor(z, dtype=dtype), torch.zeros(len(z), 2), None) for z in (s, t))
    assert mmd2 > 0.1
    assert score("mmd_distance", target, source) == pytest.approx(-mmd2, abs=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_coral_is_the_distance_of_numpys_covariances(dtype: torch.dtype, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    s, t = rng.standard_normal((40, 5)), 3 * rng.standard_normal((60, 5)) + 7
    expected = np.linalg.norm(np.cov(s.T) - np.cov(t.T)) / (2 * 5)
    source, target = (Outputs(torch.as_tensor(z, dtype=dtype), torch.zeros(len(z), 2), None) for z in (s, t))
    assert score("coral_distance", target, source) == pytest.approx(-expected, abs=tolerance)


@pytest.mark.parametrize("name", ALL)
def test_order_and_names_do_not_matter(name: str) -> None:
    """Noise without groups: k-means has many near-ties there."""
    rng = np.random.default_rng(0)
    z = torch.tensor(rng.standard_normal((90, 4)), dtype=torch.float32)
    z[:10] = z[10:20]
    target = Outputs(z, torch.tensor(3 * rng.standard_normal((90, 5)), dtype=torch.float32), None)
    source = Outputs(torch.tensor(rng.standard_normal((50, 4)), dtype=torch.float32), torch.zeros(50, 5), None)
    expected = score(name, target, source)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        row, other, column = (torch.tensor(rng.permutation(n)) for n in (90, 50, 5))
        moved = Outputs(target.z[row], target.logits[row][:, column], None)
        found = score(name, moved, Outputs(source.z[other], source.logits[other], None))
        assert found == pytest.approx(expected, rel=1e-5 if name in DISTANCES else 1e-9, abs=1e-7)


@pytest.mark.parametrize("name", AGREEMENT + COMPACT + PREDICTIONS)
def test_one_predicted_class_scores_finite_and_below_every_other_model(name: str) -> None:
    target, _ = blobs(3)
    collapsed = torch.tensor([[9.0, 0.0, 0.0]]).repeat(N, 1)
    points = torch.ones(N, D)
    for z in (target.z, points, 0 * points, 1e20 * points):
        found = score(name, Outputs(z, collapsed, None))
        assert math.isfinite(found)
        assert found < score(name, target)


@pytest.mark.parametrize("name", AGREEMENT + COMPACT + PREDICTIONS)
def test_right_predictions_score_finite_and_above_wrong_ones(name: str) -> None:
    (target, group), (other, _) = blobs(4, wrong=0), blobs(4, wrong=60)
    certain = Outputs(target.z, 50 * torch.eye(K, dtype=torch.float64)[group], None)
    exact = Outputs(torch.eye(K, D)[group].contiguous(), certain.logits, None)
    assert math.isfinite(score(name, exact))
    assert min(score(name, exact), score(name, certain)) > score(name, other)


@pytest.mark.parametrize("name", COMPACT)
def test_classes_that_collapse_to_one_point_do_not_look_compact(name: str) -> None:
    target, _ = blobs(5)
    point = Outputs(torch.full((N, D), 0.1), target.logits, None)
    assert math.isfinite(score(name, point))
    assert score(name, point) < score(name, target)


@pytest.mark.parametrize("name", (*AGREEMENT, *COMPACT, "mmd_distance"))
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_unit_of_the_features_does_not_matter(name: str, scale: float) -> None:
    (target, _), (source, _) = blobs(6, dtype=torch.float32), blobs(7, dtype=torch.float32)
    source = Outputs(source.z + 5, source.logits, None)
    scaled = [Outputs(scale * o.z, o.logits, None) for o in (target, source)]
    assert score(name, *scaled) == pytest.approx(score(name, target, source), rel=1e-4)


@pytest.mark.parametrize("name", DISTANCES)
def test_aligned_domains_score_above_shifted_ones(name: str) -> None:
    (target, _), (source, _) = blobs(8), blobs(9)
    shifted = Outputs(2 * target.z + 10, target.logits, None)
    assert score(name, shifted, source) < min(score(name, target, source), -0.1)


@pytest.mark.parametrize("name", ALL)
def test_not_applicable_is_nan(name: str) -> None:
    target, _ = blobs(10)
    empty = Outputs(target.z[:0], target.logits[:0], None)
    broken = target.z.clone()
    broken[0, 0] = math.nan
    assert math.isnan(score(name, empty, target))
    assert math.isnan(score(name, target, empty)) == (name in DISTANCES)
    if name not in PREDICTIONS:
        assert math.isnan(score(name, Outputs(broken, target.logits, None), target))
    assert math.isnan(score(name, Outputs(target.z, torch.full((N, K), math.nan), None), target))


@pytest.mark.parametrize("name", AGREEMENT)
def test_fewer_rows_than_classes_cannot_be_clustered(name: str) -> None:
    target, _ = blobs(0)
    assert math.isnan(score(name, Outputs(target.z[:2], target.logits[:2], None)))


def test_a_class_for_every_row_is_not_a_clustering() -> None:
    lone = Outputs(torch.eye(4), 5 * torch.eye(4), None)
    assert score("silhouette", lone) == score("calinski_harabasz", lone) == 0
    assert math.isnan(score("davies_bouldin", lone))
