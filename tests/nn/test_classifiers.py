"""Solved classifiers against scikit-learn and plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import dalib
from dalib.core.errors import DalibError
from dalib.nn.classifiers import ABSENT, CLASSIFIERS, fit_classifier, fit_yes_or_no, score_classifier
from dalib.nn.metrics import accuracy


def rows(n: int, d: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return torch.from_numpy(rng.standard_normal((n, d)) + y[:, None]), torch.from_numpy(y)


def test_every_yes_or_no_is_scikit_learns_on_the_rows_where_somebody_said_with_their_weights() -> None:
    rng, (z, y) = np.random.default_rng(2), rows(60)
    told = torch.stack([(y == 0).long(), (y > 0).long(), torch.ones(60).long(), torch.full((60,), -1)], 1)
    told[:20, 0], told[30:, 1] = -1, -1
    weight = torch.from_numpy(rng.uniform(0.2, 3, 60))
    weight[25:28] = 0
    W, b = fit_yes_or_no(z, told, 0.5, weight)
    for k in (0, 1):
        known = ((told[:, k] >= 0) & (weight > 0)).numpy()
        w = weight.numpy()[known]
        solver = LogisticRegression(C=0.5, max_iter=5000, tol=1e-10)
        solver.fit(z.numpy()[known], told[known, k].numpy(), sample_weight=w / w.mean())
        np.testing.assert_allclose(W[k], solver.coef_[0], atol=1e-4)
        np.testing.assert_allclose(b[k], solver.intercept_[0], atol=1e-4)
    assert not W[2:].any() and b[2] > 1000 and b[3] == 0


def test_logistic_is_scikit_learns_decision_function() -> None:
    (z, y), (x, _) = rows(90), rows(40, seed=1)
    logits = score_classifier("logistic", x, fit_classifier("logistic", z, y, 0.5, 3), 3)
    solver = LogisticRegression(C=0.5, max_iter=5000, tol=1e-10)
    reference = solver.fit(z.numpy(), y.numpy()).decision_function(x.numpy())
    np.testing.assert_allclose(logits.numpy(), reference, atol=1e-4)  # gradient 1e-6 over curvature 1 / (C n)


def test_logistic_with_two_classes_present_has_scikit_learns_probabilities() -> None:
    z, y = rows(60)
    z, y = z[y != 1], y[y != 1]
    p = score_classifier("logistic", z, fit_classifier("logistic", z, y, 1.0, 3), 3).softmax(1)
    solver = LogisticRegression(C=1.0, max_iter=5000, tol=1e-10)
    reference = solver.fit(z.numpy(), y.numpy()).predict_proba(z.numpy())
    np.testing.assert_allclose(p[:, [0, 2]].numpy(), reference, atol=1e-4)  # gradient 1e-6 over curvature 1 / (C n)


@pytest.mark.parametrize(("K", "penalty"), [(2, 1.0), (3, 0.5)])
def test_logistic_is_least_in_its_formula_whose_penalty_is_twice_as_heavy_for_two_classes(
    K: int, penalty: float
) -> None:
    y, C = torch.arange(30) % K, 2.0
    z = torch.randn(30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + y[:, None]
    W, b = (v.requires_grad_() for v in fit_classifier("logistic", z, y, C, K).values())
    loss = penalty * W.square().sum() + C * torch.nn.functional.cross_entropy(z @ W.T + b, y, reduction="sum")
    assert max(g.abs().max() for g in torch.autograd.grad(loss, [W, b])) < 1e-4


def test_nearest_predicts_as_scikit_learns_one_nearest_neighbour() -> None:
    (z, y), (x, _) = rows(200, 20), rows(150, 20, seed=1)
    logits = score_classifier("nearest", x, fit_classifier("nearest", z, y, 1.0, 3), 3)
    reference = KNeighborsClassifier(1).fit(z.numpy(), y.numpy()).predict(x.numpy())
    assert (logits.argmax(1).numpy() == reference).all()


def test_nearest_logit_is_minus_the_distance_to_the_class() -> None:
    (z, y), (x, _) = rows(30), rows(7, seed=1)
    logits = score_classifier("nearest", x, fit_classifier("nearest", z, y, 1.0, 3), 3)
    for i in range(7):
        for c in range(3):
            assert logits[i, c] == pytest.approx(-min(np.linalg.norm(x[i] - r) for r in z[y == c]), abs=1e-8)


def test_nearest_in_chunks_is_nearest_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (z, y), (x, _) = rows(30), rows(50, seed=1)
    state = fit_classifier("nearest", z, y, 1.0, 3)
    at_once = score_classifier("nearest", x, state, 3)
    monkeypatch.setattr("dalib.nn.classifiers._CHUNK", 100)
    torch.testing.assert_close(score_classifier("nearest", x, state, 3), at_once, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("present", [[1], [1, 3], [0, 1, 3]])
def test_absent_classes_are_never_predicted_and_fit_in_float16(kind: str, present: list[int]) -> None:
    z, _ = rows(30)
    y = torch.tensor(present)[torch.arange(30) % len(present)]
    logits = score_classifier(kind, z, fit_classifier(kind, z, y, 1.0, 5), 5)
    absent = [c for c in range(5) if c not in present]
    assert (logits[:, absent] == ABSENT).all()
    assert logits.half().isfinite().all()
    assert set(logits.argmax(1).tolist()) <= set(present)
    assert (logits.softmax(1)[:, absent] == 0).all()


def test_absent_classes_stay_last_when_distances_are_huge() -> None:
    z, y = rows(30)
    logits = score_classifier("nearest", 1e6 * z, fit_classifier("nearest", z, y, 1.0, 4), 4)
    assert (logits[:, 3] < logits[:, :3].min(1).values).all()


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_no_rows_in_gives_no_logits_out(kind: str) -> None:
    z, y = rows(9)
    assert score_classifier(kind, z[:0], fit_classifier(kind, z, y, 1.0, 3), 3).shape == (0, 3)


def test_unknown_kind_and_empty_input_are_refused() -> None:
    z, y = rows(9)
    with pytest.raises(ValueError, match="known: logistic, svm, nearest, lda, k_nn"):
        fit_classifier("forest", z, y, 1.0, 3)
    with pytest.raises(ValueError, match="at least one row"):
        fit_classifier("nearest", z[:0], y[:0], 1.0, 3)


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_a_row_of_weight_two_counts_like_two_rows(kind: str) -> None:
    z, y = rows(30)
    weight = torch.ones(30, dtype=torch.float64)
    weight[:10], weight[20:] = 2.0, 0.0
    twice = torch.cat([z[:10], z[:10], z[10:20]]), torch.cat([y[:10], y[:10], y[10:20]])
    expected = fit_classifier(kind, *twice, 1.0 * weight[:20].mean().item() ** -1, 3)
    got = fit_classifier(kind, z, y, 1.0, 3, weight)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-3, atol=1e-3)


def test_equal_weights_change_nothing_and_neighbours_refuse_others() -> None:
    z, y = rows(12)
    plain, equal = (
        fit_classifier("logistic", z, y, 1.0, 3),
        fit_classifier("logistic", z, y, 1.0, 3, torch.full((12,), 7.0)),
    )
    assert all(torch.equal(plain[k], equal[k]) for k in plain)
    with pytest.raises(ValueError, match="no weights"):
        fit_classifier("nearest", z, y, 1.0, 3, torch.arange(12.0))


def test_the_machine_is_scikit_learns() -> None:
    from sklearn.svm import LinearSVC

    z, y = rows(40)
    reference = LinearSVC(C=0.7, random_state=0, max_iter=20000, tol=1e-8).fit(z - z.mean(0), y)
    logits = score_classifier("svm", z, fit_classifier("svm", z, y, 0.7, 3), 3)
    assert np.abs(logits.numpy() - reference.decision_function(z - z.mean(0))).max() < 2e-2


def test_accuracy_counts_right_rows() -> None:
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 3.0], [5.0, 4.0]])
    assert accuracy(logits, torch.tensor([0, 1, 0, 0])) == 0.75


def test_one_nearest_neighbour_on_surf_features_is_the_published_average(shared_data: Path) -> None:
    file = np.load(shared_data / "office_caltech10_surf.npz")
    x, y = {}, {}
    for d in ("amazon", "caltech", "dslr", "webcam"):
        z = file[f"{d}_x"].astype(float)
        z /= z.sum(1, keepdims=True)
        x[d] = torch.from_numpy(np.nan_to_num((z - z.mean(0)) / z.std(0, ddof=1)))
        y[d] = torch.from_numpy(file[f"{d}_y"].astype(np.int64))
    scores = {}
    for s in x:
        low = y[s].min()
        state = fit_classifier("nearest", x[s], y[s] - low, 1.0, 10)
        for t in x:
            if t != s:
                scores[s, t] = 100 * accuracy(score_classifier("nearest", x[t], state, 10), y[t] - low)
    assert np.mean(list(scores.values())) == pytest.approx(31.37, abs=0.05)
    assert scores["amazon", "webcam"] == pytest.approx(29.8, abs=0.06)
    assert scores["dslr", "webcam"] == pytest.approx(63.4, abs=0.06)


def apart(n: int, d: int, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.sort(rng.integers(classes, size=n))
    mix = np.random.default_rng(9).standard_normal((d, d))
    return rng.standard_normal((n, d)) @ mix + 2 * y[:, None] + 5, y


def fit_and_score(kind: str, z: np.ndarray, y: np.ndarray, x: np.ndarray, classes: int = 3, k: int = 5) -> np.ndarray:
    state = fit_classifier(kind, torch.from_numpy(z), torch.from_numpy(y), 1.0, classes, k=k)
    return score_classifier(kind, torch.from_numpy(x), state, classes).numpy()


@pytest.mark.parametrize(("n", "d"), [(90, 6), (20, 40)])
def test_lda_is_scikit_learns_at_ledoit_and_wolfs_factor(n: int, d: int) -> None:
    """At a given factor scikit-learn's classes are shrunk one by one, which averages to the same covariance."""
    (z, y), (x, _) = apart(n, d), apart(30, d, seed=1)
    inside = z - np.stack([z[y == c].mean(0) for c in range(3)])[y]
    factor = ledoit_wolf_shrinkage(inside, assume_centered=True)
    assert 0 < factor < 1
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=factor).fit(z, y)
    logits = fit_and_score("lda", z, y, x)
    np.testing.assert_allclose(
        torch.from_numpy(logits).softmax(1).numpy(), reference.predict_proba(x), rtol=1e-4, atol=1e-7
    )
    assert (logits.argmax(1) == reference.predict(x)).all()


def test_lda_of_one_row_per_class_is_the_nearest_mean() -> None:
    z, y = apart(40, 5)
    z, y = z[[0, 15, 39]], y[[0, 15, 39]]
    x, _ = apart(30, 5, seed=1)
    assert sorted(y) == [0, 1, 2]
    expected = ((x[:, None] - z) ** 2).sum(2).argmin(1)
    assert (fit_and_score("lda", z, y, x).argmax(1) == y[expected]).all()


@pytest.mark.parametrize("k", [1, 3, 5, 10])
def test_k_nn_predicts_as_scikit_learn_does_and_its_logits_are_votes(k: int) -> None:
    (z, y), (x, _) = apart(80, 4), apart(50, 4, seed=1)
    reference = KNeighborsClassifier(k).fit(z, y)
    logits = fit_and_score("k_nn", z, y, x, k=k)
    assert (logits.argmax(1) == reference.predict(x)).all()
    votes = np.exp(logits) * (k + 1) - 1 / 3
    np.testing.assert_allclose(votes / k, reference.predict_proba(x), atol=1e-9)


def test_more_neighbours_than_rows_are_all_rows() -> None:
    z, y = apart(4, 3)
    assert np.array_equal(fit_and_score("k_nn", z, y, z, k=4), fit_and_score("k_nn", z, y, z, k=100))


@pytest.mark.parametrize("kind", ["lda", "k_nn"])
def test_row_weights_are_refused(kind: str) -> None:
    z, y = (torch.from_numpy(a) for a in apart(9, 3))
    with pytest.raises(ValueError, match="takes no weights"):
        fit_classifier(kind, z, y, 1.0, 3, torch.arange(9.0))
    with pytest.raises(DalibError, match=f"classifier = '{kind}' takes no row weights"):
        dalib.KMM(classifier=kind).check()
