"""Weighted, neighbourhood, reverse and mixing validators against loops, on known shifts, and at their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import RidgeClassifier

from dalib.core.registry import VALIDATORS
from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.density_ratio import discriminative_weights
from dalib.validators import _weights, circular, dev, importance_weighted, mix_val, snd

ALL = ("circular", "dev", "importance_weighted", "mix_val", "snd")
WEIGHTED = ("dev", "importance_weighted")
K = 4


def make(name: str) -> Validator:
    return VALIDATORS.get(name)()


def random_outputs(n: int, seed: int, shift: float = 0.0) -> Outputs:
    """Labelled class clouds with noisy logits: about one row in four is predicted wrongly."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    z = 2 * np.eye(K, 6)[y] + rng.standard_normal((n, 6)) + shift
    logits = 2 * np.eye(K)[y] + 1.2 * rng.standard_normal((n, K))
    return Outputs(torch.tensor(z).float(), torch.tensor(logits).float(), torch.as_tensor(y))


def blind(outputs: Outputs) -> Outputs:
    return Outputs(outputs.z, outputs.logits, None)


SOURCE, TARGET = random_outputs(70, 0), blind(random_outputs(90, 1, shift=0.5))
WRONG = (SOURCE.logits.argmax(1) != SOURCE.y).double().numpy()


def covariate_shift(seed: int, n: int = 400) -> tuple[Outputs, Outputs, np.ndarray]:
    """z is N(0, 1) in the source and N(1, 1) in the target; a row is wrong with probability sigmoid(2 z)."""
    rng = np.random.default_rng(seed)

    def domain(mean: float) -> Outputs:
        z = rng.standard_normal((n, 1)) + mean
        wrong = rng.random(n) < 1 / (1 + np.exp(-2 * z[:, 0]))
        return Outputs(
            torch.tensor(z).float(), torch.tensor(np.eye(2)[wrong.astype(int)]).float(), torch.zeros(n).long()
        )

    source, target = domain(0.0), domain(1.0)
    return source, target, np.exp(source.z[:, 0].numpy().astype(float) - 0.5)


# --- what holds for all


@pytest.mark.parametrize("name", ALL)
def test_row_order_and_class_names_do_not_matter(name: str) -> None:
    score, new = make(name).score(SOURCE, TARGET), torch.tensor([2, 0, 3, 1])
    s, t = (torch.randperm(n, generator=torch.Generator().manual_seed(n)) for n in (70, 90))
    moved = Outputs(SOURCE.z[s], SOURCE.logits[s], SOURCE.y[s]), Outputs(TARGET.z[t], TARGET.logits[t], None)
    old = new.argsort()
    named = Outputs(SOURCE.z, SOURCE.logits[:, old], new[SOURCE.y]), Outputs(TARGET.z, TARGET.logits[:, old], None)
    assert make(name).score(*moved) == pytest.approx(score, rel=1e-5)
    assert make(name).score(*named) == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_collapsed_and_perfect_models_have_finite_scores(name: str) -> None:
    y = torch.arange(40) % K
    perfect = Outputs(100 * torch.eye(K)[y], 100 * torch.eye(K)[y], y)
    for z, logits in (
        (torch.ones(40, 6), torch.zeros(40, K)),
        (torch.full((40, 6), 1e20), torch.tensor([[1e4, 0.0, 0.0, 0.0]]).repeat(40, 1)),
        (100 * torch.eye(K)[y], torch.eye(K)[y] * 2e4 - 1e4),
    ):
        source = Outputs(z, logits, y)
        assert math.isfinite(make(name).score(source, blind(source)))
    score = make(name).score(perfect, blind(perfect))
    share = softmax([20.0] * 9 + [0.0] * 30)  # nine rows of one's class, thirty at right angles
    expected = {"circular": 1.0, "mix_val": 1.0, "snd": -float((share * np.log(share)).sum())}.get(name, 0.0)
    assert score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_scores_are_nan_where_they_do_not_apply(name: str) -> None:
    empty = Outputs(torch.zeros(0, 6), torch.zeros(0, K), torch.zeros(0).long())
    assert math.isnan(make(name).score(SOURCE, blind(empty)))
    reads_source = name not in ("snd", "mix_val")
    for source in (empty, blind(SOURCE)):
        assert math.isnan(make(name).score(source, TARGET)) == reads_source


# --- importance weights


def test_importance_weighted_is_the_weighted_error_rate() -> None:
    w = discriminative_weights(SOURCE.z, TARGET.z).numpy()
    assert WRONG.mean() > 0.1
    assert make("importance_weighted").score(SOURCE, TARGET) == pytest.approx(-np.average(WRONG, weights=w), abs=1e-12)


def test_dev_is_the_weighted_error_with_numpys_control_variate() -> None:
    w = discriminative_weights(SOURCE.z, TARGET.z).numpy()
    eta = -np.cov(w * WRONG, w)[0, 1] / np.var(w, ddof=1)
    risk = np.mean(w * WRONG) + eta * np.mean(w) - eta
    assert make("dev").score(SOURCE, TARGET) == pytest.approx(-risk, abs=1e-12)


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_model_that_is_always_wrong_scores_minus_one(name: str) -> None:
    wrong = Outputs(SOURCE.z, torch.eye(K)[(SOURCE.y + 1) % K], SOURCE.y)
    assert make(name).score(wrong, TARGET) == pytest.approx(-1, abs=1e-9)


@pytest.mark.parametrize("name", WEIGHTED)
def test_weighting_finds_the_target_accuracy_under_covariate_shift(name: str) -> None:
    source, target, _ = covariate_shift(0, n=4000)
    accuracy = {n: float((o.logits.argmax(1) == o.y).double().mean()) for n, o in (("s", source), ("t", target))}
    assert accuracy["s"] - accuracy["t"] > 0.2
    assert 1 + make(name).score(source, blind(target)) == pytest.approx(accuracy["t"], abs=0.03)


def test_the_control_variate_narrows_the_estimate_and_keeps_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the true density ratio, over 300 draws; the risk is E_t sigmoid(2 z) by quadrature."""
    node, mass = np.polynomial.hermite_e.hermegauss(60)
    truth = float((mass / (1 + np.exp(-2 * (node + 1)))).sum() / mass.sum())
    plain, controlled = [], []
    for seed in range(300):
        source, target, w = covariate_shift(seed)
        monkeypatch.setattr(dev, "importance_weights", lambda *_, w=w: torch.tensor(w))
        wrong = source.logits.argmax(1).numpy() != 0
        plain.append(np.mean(w * wrong))
        controlled.append(-make("dev").score(source, blind(target)))
    assert np.mean(plain) == pytest.approx(truth, abs=0.015)
    assert np.mean(controlled) == pytest.approx(truth, abs=0.015)
    assert np.var(controlled) < 0.25 * np.var(plain)


def test_both_weighted_validators_share_one_fit_per_content(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(_weights, "discriminative_weights", lambda *z: seen.append(z) or discriminative_weights(*z))
    monkeypatch.setattr(_weights, "_last", (b"", torch.zeros(0)))
    assert dev.importance_weights is importance_weighted.importance_weights
    source, target = random_outputs(30, 5), blind(random_outputs(30, 6))
    for name in (*WEIGHTED, *WEIGHTED):
        make(name).score(source, target)
    assert len(seen) == 1
    before = make("dev").score(source, target)
    source.z.mul_(-1)
    assert make("dev").score(source, target) != before
    assert len(seen) == 2


# --- soft neighbourhoods


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_snd_is_the_mean_entropy_of_neighbourhoods(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    p = softmax(TARGET.logits.double().numpy(), axis=1)
    entropies = []
    for i, row in enumerate(p):
        cosine = [row @ q / np.linalg.norm(row) / np.linalg.norm(q) for j, q in enumerate(p) if j != i]
        share = softmax(np.array(cosine) / temperature)
        entropies.append(-(share * np.log(share)).sum())
    assert snd.SND(temperature).score(SOURCE, TARGET) == pytest.approx(np.mean(entropies), abs=1e-8)
    monkeypatch.setattr(snd, "_CHUNK", 200)
    assert snd.SND(temperature).score(SOURCE, TARGET) == pytest.approx(np.mean(entropies), abs=1e-8)


def test_snd_is_best_for_a_collapsed_model() -> None:
    flat = Outputs(TARGET.z, torch.zeros(90, K), None)
    assert make("snd").score(SOURCE, flat) == pytest.approx(math.log(89))
    assert make("snd").score(SOURCE, flat) > make("snd").score(SOURCE, TARGET)


# --- the way back


@pytest.mark.parametrize("units", [1.0, 1e3])
@pytest.mark.parametrize("rows", [90, 5])
def test_circular_is_scikit_learns_ridge_classifier_from_target_to_source(units: float, rows: int) -> None:
    z = units * TARGET.z[:rows]
    variance = z.double().var(0, correction=0).sum().item()
    back = RidgeClassifier(alpha=variance).fit(z.double().numpy(), TARGET.logits[:rows].argmax(1).numpy())
    expected = back.score(units * SOURCE.z.double().numpy(), SOURCE.y.numpy())
    source = Outputs(units * SOURCE.z, SOURCE.logits, SOURCE.y)
    assert 0.2 < expected < 0.9
    assert make("circular").score(source, Outputs(z, TARGET.logits[:rows], None)) == pytest.approx(expected, abs=1e-12)


def test_circular_sees_target_clusters_with_exchanged_labels() -> None:
    y = torch.arange(40) % K
    z = 5 * torch.eye(K, 6)[y] + 0.1 * torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    source = Outputs(z, torch.eye(K)[y], y)
    assert make("circular").score(source, Outputs(z, torch.eye(K)[y], None)) == 1
    assert make("circular").score(source, Outputs(z, torch.eye(K)[(y + 1) % K], None)) == 0
    assert make("circular").score(source, Outputs(z, torch.eye(K)[0 * y], None)) == 0.25


def test_circular_gives_tied_classes_an_equal_part() -> None:
    source = Outputs(torch.ones(8, 3), torch.zeros(8, K), torch.arange(8) % K)
    two = Outputs(torch.ones(6, 3), torch.eye(K)[torch.tensor([1, 2, 1, 2, 2, 1])], None)
    assert circular.Circular().score(source, two) == pytest.approx(0.25)


# --- mixtures


def test_mix_val_is_a_loop_over_pairs_of_unlike_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = TARGET.logits.numpy()
    hits = [
        np.argmax(np.float32(0.55) * a + np.float32(0.45) * b) == a.argmax()
        for a in logits
        for b in logits
        if a.argmax() != b.argmax()
    ]
    assert 0.5 < np.mean(hits) < 0.95
    assert make("mix_val").score(SOURCE, TARGET) == pytest.approx(np.mean(hits), abs=1e-4)
    monkeypatch.setattr(mix_val, "_CHUNK", 1000)
    assert make("mix_val").score(SOURCE, TARGET) == pytest.approx(np.mean(hits), abs=1e-4)


def test_mixed_logits_are_those_of_mixed_features_below_a_linear_head() -> None:
    """The probe of the paper, run on features; and its other probe, within a class, cannot fail there."""
    head, bias = torch.randn(K, 6, generator=torch.Generator().manual_seed(0)).double(), torch.arange(K).double()
    z = TARGET.z.double()
    c = (z @ head.T + bias).argmax(1)
    mixed = ((0.55 * z[:, None] + 0.45 * z) @ head.T + bias).argmax(2)
    unlike = c[:, None] != c
    expected = (mixed == c[:, None])[unlike].double().mean()
    score = make("mix_val").score(SOURCE, Outputs(TARGET.z, z @ head.T + bias, None))
    assert score == pytest.approx(float(expected), abs=1e-12)
    assert (mixed == c[:, None])[~unlike].all()


def test_mix_val_prefers_even_confidence_and_rejects_a_single_class() -> None:
    y = torch.arange(40) % K
    even = torch.eye(K)[y]
    uneven = even * torch.linspace(0.1, 3, 40)[:, None]
    scores = [make("mix_val").score(SOURCE, Outputs(TARGET.z[:40], logits, None)) for logits in (even, uneven)]
    assert scores[0] == 1 > scores[1]
    assert make("mix_val").score(SOURCE, Outputs(TARGET.z[:40], even[:, :1] + 5 * torch.eye(K)[0], None)) == 0
