"""Several sources, partial and open-set targets: losses are the papers' formulas, each method helps in its setting."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.splits import concatenate
from dalib.core.types import Domain, Outputs, Source, Target, Task
from dalib.evaluate.metrics import domain_metrics
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer

DIM, K = 6, 3
SEEDS = (0, 1)
HIDDEN = {"hidden": 64}
Shift = tuple[float, float, float, float]


def attached(name: str, origins: int = 1, **hparams: Any) -> Any:
    torch.manual_seed(0)
    algorithm: Algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network(identity(DIM), K, bottleneck=0, origins=origins))
    return algorithm


def batch(origin: Tensor | None = None, n: int = 9, m: int = 7) -> tuple[Source, Target]:
    """Leaves that require gradients; class 2 is missing from the source."""
    g = torch.Generator().manual_seed(0)
    z_s, z_t = torch.randn(n, DIM, generator=g), torch.randn(m, DIM, generator=g) + 1
    g_s, g_t = 2 * torch.randn(n, K, generator=g), 2 * torch.randn(m, K, generator=g)
    for leaf in (z_s, z_t, g_s, g_t):
        leaf.requires_grad_()
    return Source.of(z_s, g_s, torch.arange(n) % 2, origin), Target.of(z_t, g_t)


def array(x: Tensor) -> np.ndarray:
    return x.detach().double().numpy()


def cross_entropies(source: Source) -> list[float]:
    rows = zip(array(source.logits), source.y.tolist(), strict=True)
    return [math.log(sum(math.exp(v) for v in g)) - g[k] for g, k in rows]


def log_loss(logit: float, label: int) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -math.log(p if label else 1 - p)


def blobs(seed: int, shift: Shift = (0, 0, 0, 0), classes: tuple[int, ...] = (0, 1, 2, 3), n: int = 240) -> Domain:
    """Four classes at the corners of a square of side 3, a fifth, foreign one above its middle; noise 0.5."""
    rng = np.random.default_rng(seed)
    y = np.asarray(classes)[rng.integers(len(classes), size=n)]
    centre = np.array([[-1.5, -1.5, 0, 0], [1.5, -1.5, 0, 0], [-1.5, 1.5, 0, 0], [1.5, 1.5, 0, 0], [0, 0, 0, 3.0]])
    x = centre[y] + 0.5 * rng.standard_normal((n, 4)) + np.asarray(shift)
    return Domain("blobs", x.astype(np.float32), y, ("a", "b", "c", "d"), f"{seed}{shift}{classes}")


def measure(
    name: str, source: Domain, target: Domain, metric: str = "target_accuracy", reject: float = 1.0, **hparams: Any
) -> float:
    """Mean over two seeds of a metric after 200 steps."""
    found = []
    for seed in SEEDS:
        task = Task("s->t", source, target.unlabelled(), source.take(np.arange(0), "none"), target)
        config = TrainConfig(steps=200, bottleneck=32, lr=0.05, evaluations=1)
        fitted = Trainer(config, seed=seed, device="cpu").fit(getattr(dalib, name)(**hparams), task, identity(4))
        found.append(domain_metrics(fitted.outputs(target), "target", len(source.classes), reject)[metric])
    return float(np.mean(found))


@cache
def two_sources() -> tuple[Domain, Domain]:
    return concatenate([blobs(0), blobs(1, (1.2, -1.2, 1, 0))]), blobs(2, (1.6, 1.2, 0, 1.4))


@cache
def without_adaptation() -> tuple[float, float]:
    """Trained on both sources: batch norm without and with the target's rows."""
    return measure("SourceOnly", *two_sources()), measure("M3SDA", *two_sources(), weight=0.0)


@pytest.mark.parametrize(
    ("name", "hparams"), [("MDAN", HIDDEN), ("MDAN", {"hidden": 64, "hard": True}), ("M3SDA", {"weight": 0.1})]
)
def test_two_sources_are_used_better_than_by_training_on_both(name: str, hparams: dict[str, Any]) -> None:
    (plain, mixed), after = without_adaptation(), measure(name, *two_sources(), **hparams)
    assert after > plain + 0.1, f"{name}: {after:.3f}, source only: {plain:.3f}"
    assert after > mixed + 0.03, f"{name}: {after:.3f}, weight 0: {mixed:.3f}"


def test_absent_classes_make_dann_worse_than_source_only_and_not_pada() -> None:
    source, target = blobs(0), blobs(2, (0.5, 0.2, 0, 0.5), classes=(0,))
    plain, dann, pada = (
        measure(name, source, target, **h)  # type: ignore[arg-type]
        for name, h in (("SourceOnly", {}), ("DANN", HIDDEN), ("PADA", HIDDEN))
    )
    assert dann < plain - 0.03, f"DANN: {dann:.3f}, source only: {plain:.3f}"
    assert pada > max(plain, dann + 0.05), f"PADA: {pada:.3f}, DANN: {dann:.3f}, source only: {plain:.3f}"


def test_osbp_separates_a_foreign_class_better_than_rejection_by_entropy() -> None:
    source, target = blobs(0), blobs(2, (0.8, 0.3, 0, 0), classes=(0, 1, 2, 3, 4))
    plain = measure("SourceOnly", source, target, "target_h_score", reject=0.5)
    osbp = measure("OSBP", source, target, "target_h_score")
    assert osbp > plain + 0.1, f"OSBP: {osbp:.3f}, source only with rejection at 0.5: {plain:.3f}"


@pytest.mark.parametrize("origin", [None, [0, 1, 1, 2, 0, 1, 1, 2, 1], [0, 2, 0, 0, 2, 0, 0, 0, 0]])
@pytest.mark.parametrize("hard", [False, True])
def test_mdan_terms_and_feature_gradients_are_those_of_the_papers_maximum(origin: list[int] | None, hard: bool) -> None:
    n, weight, gamma, progress = (1 if origin is None else 3), 0.5, 4.0, 0.3
    r = 2 / (1 + math.exp(-10 * progress)) - 1
    algorithm = attached("MDAN", origins=n, weight=weight, gamma=gamma, hard=hard, hidden=8)
    source, target = batch(None if origin is None else torch.tensor(origin))
    ce, bce = [], []
    for i in sorted(set(source.origin.tolist())):
        rows = source.origin.numpy() == i
        d_s, d_t = (array(algorithm.discriminators[i](z)) for z in (source.z, target.z))
        ce.append(np.mean(np.array(cross_entropies(source))[rows]))
        own = np.mean([log_loss(v, 1) for v in d_s[rows]])
        bce.append((own + np.mean([log_loss(v, 0) for v in d_t])) / 2)
    value = np.array(ce) - weight * r * np.array(bce)
    share = np.exp(gamma * value) / np.exp(gamma * value).sum()
    if hard:
        share = (value == value.max()).astype(float)
    terms = algorithm.loss(source, target, progress)
    assert terms["classification"].item() == pytest.approx(share @ np.array(ce), abs=1e-5)
    assert terms["adversarial"].item() == pytest.approx(weight * share @ np.array(bce), abs=1e-5)

    def maximum(z_s: Tensor, z_t: Tensor, g_s: Tensor) -> Tensor:
        values = []
        for i in sorted(set(source.origin.tolist())):
            rows, D = source.origin == i, algorithm.discriminators[i]
            adversary = -D(z_s[rows]).sigmoid().log().mean() - (1 - D(z_t).sigmoid()).log().mean()
            right = -g_s.softmax(1).log()[rows].gather(1, source.y[rows, None]).mean()
            values.append(right - weight * r * adversary / 2)
        v = torch.stack(values)
        return v.max() if hard else (gamma * v).exp().sum().log() / gamma

    leaves = [source.z, target.z, source.logits]
    expected = torch.autograd.grad(maximum(*leaves), leaves)
    found = torch.autograd.grad(terms["classification"] + terms["adversarial"], leaves)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_mdan_has_a_discriminator_per_source_and_leaves_that_of_an_absent_one_alone() -> None:
    algorithm = attached("MDAN", origins=3, hidden=8)
    terms = algorithm.loss(*batch(torch.tensor([0, 2, 0, 0, 2, 0, 0, 0, 0])), 0.5)
    sum(terms.values()).backward()
    gradients = [max(p.grad.abs().max().item() for p in D.parameters()) for D in algorithm.discriminators]
    assert len(gradients) == 3
    assert gradients[1] == 0 and min(gradients[0], gradients[2]) > 0


def test_m3sda_takes_the_origins_of_the_batch() -> None:
    origin = torch.tensor([0, 1, 1, 0, 0, 1, 1, 0, 1])
    source, target = batch(origin)
    moment = []
    for z in (array(source.z)[origin.numpy() == 0], array(source.z)[origin.numpy() == 1], array(target.z)):
        moment.append([z.mean(0), (z**2).mean(0)])
    a, b, t = moment
    distance = sum(
        (np.linalg.norm(a[k] - t[k]) + np.linalg.norm(b[k] - t[k])) / 2 + np.linalg.norm(a[k] - b[k]) for k in (0, 1)
    )
    terms = attached("M3SDA", origins=2, weight=0.3).loss(source, target, 0.5)
    assert terms["discrepancy"].item() == pytest.approx(0.3 * distance, abs=1e-5)
    assert terms["classification"].item() == pytest.approx(np.mean(cross_entropies(source)), abs=1e-5)


def test_m3sda_can_be_added_to_an_idea_about_the_target() -> None:
    both = dalib.M3SDA() + dalib.MCC()
    both.attach(Network(identity(DIM), K, bottleneck=0, origins=2))
    terms = both.loss(*batch(torch.arange(9) % 2), 0.5)
    assert {"classification", "discrepancy", "confusion"} == set(terms)


@pytest.mark.parametrize("name", ["MDAN", "PADA", "OSBP"])
def test_a_method_with_a_classification_term_of_its_own_is_not_added(name: str) -> None:
    with pytest.raises(DalibError, match="cannot be combined"):
        dalib.MCC() + getattr(dalib, name)()


def test_pada_weighs_both_source_terms_by_the_class() -> None:
    algorithm = attached("PADA", weight=0.5, hidden=8)
    algorithm.gamma.copy_(torch.tensor([1.0, 0.25, 0.0]))
    source, target = batch()
    gamma = [[1.0, 0.25, 0.0][k] for k in source.y.tolist()]
    d_s, d_t = (array(algorithm.discriminator(z)) for z in (source.z, target.z))
    ce = sum(w * v for w, v in zip(gamma, cross_entropies(source), strict=True)) / sum(gamma)
    bce_s = np.mean([w * log_loss(v, 1) for w, v in zip(gamma, d_s, strict=True)])
    bce_t = np.mean([log_loss(v, 0) for v in d_t])
    terms = algorithm.loss(source, target, 1.0)
    assert terms["classification"].item() == pytest.approx(ce, abs=1e-5)
    assert terms["adversarial"].item() == pytest.approx(0.5 * (bce_s + bce_t) / 2, abs=1e-5)


def test_pada_stays_finite_when_no_class_of_a_batch_counts() -> None:
    algorithm = attached("PADA", hidden=8)
    algorithm.gamma.copy_(torch.tensor([0.0, 0.0, 1.0]))
    source, target = batch()
    terms = algorithm.loss(source, target, 1.0)
    gradients = torch.autograd.grad(sum(terms.values()), [source.z, source.logits, target.z])
    assert terms["classification"].item() == 0
    assert all(g.isfinite().all() for g in gradients)


def test_pada_asks_for_the_mean_prediction_of_the_target_before_each_pass() -> None:
    class Predictions:
        """The trainer's part."""

        def outputs(self, algorithm: Algorithm, domain: Domain) -> Outputs:
            return Outputs(torch.zeros(2, DIM), torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]).log(), None)

    algorithm = attached("PADA")
    assert algorithm.gamma.tolist() == [1, 1, 1]
    algorithm.begin_epoch(Predictions(), Domain("t", np.zeros((2, DIM), np.float32), None, ("a", "b", "c"), ""))
    np.testing.assert_allclose(algorithm.gamma.numpy(), [0.8, 1.0, 0.2], atol=1e-6)
    assert "gamma" in algorithm.state_dict()


@pytest.mark.parametrize("boundary", [0.5, 0.3])
def test_osbp_terms_are_the_papers_and_features_go_against_the_boundary(boundary: float) -> None:
    algorithm = attached("OSBP", weight=0.5, boundary=boundary)
    torch.nn.init.normal_(algorithm.classifier.weight)
    source, target = batch()
    W, b = array(algorithm.classifier.weight), array(algorithm.classifier.bias)
    total, ce = 0.0, []
    for row in array(target.z):
        e = np.exp(W @ row + b)
        p = e[-1] / e.sum()
        total -= boundary * math.log(p) + (1 - boundary) * math.log(1 - p)
    for row, k in zip(array(source.z), source.y.tolist(), strict=True):
        e = np.exp(W @ row + b)
        ce.append(-math.log(e[k] / e.sum()))
    terms = algorithm.loss(source, target, 0.5)
    assert terms["boundary"].item() == pytest.approx(0.5 * total / len(target), abs=1e-5)
    assert terms["classification"].item() == pytest.approx(np.mean(ce), abs=1e-5)
    z = target.z.detach().clone().requires_grad_()
    p = algorithm.classifier(z).softmax(1)[:, -1]
    straight = -0.5 * (boundary * p.log() + (1 - boundary) * (1 - p).log()).mean()
    (expected,) = torch.autograd.grad(straight, z)
    (found,) = torch.autograd.grad(terms["boundary"], target.z)
    torch.testing.assert_close(found, -expected, atol=1e-6, rtol=1e-4)


def test_osbp_predicts_an_unknown_class_from_a_head_of_its_own() -> None:
    algorithm, x = attached("OSBP"), torch.randn(5, DIM)
    z, logits = algorithm.predict(x)
    assert type(algorithm).rejects and logits.shape == (5, K + 1)
    torch.testing.assert_close(logits, algorithm.classifier(z))
    sum(algorithm.loss(*batch(), 0.5).values()).backward()
    assert all(p.grad is None for p in algorithm.network.head.parameters())


def test_osbp_stays_finite_when_it_is_certain() -> None:
    algorithm = attached("OSBP")
    torch.nn.init.normal_(algorithm.classifier.weight, 0.0, 1000.0)
    source, target = batch()
    term = algorithm.loss(source, target, 0.5)["boundary"]
    (gradient,) = torch.autograd.grad(term, target.z)
    assert term.isfinite() and gradient.isfinite().all() and gradient.abs().max() > 0


@pytest.mark.parametrize(
    ("name", "setting"),
    [("PADA", "partial"), ("OSBP", "open-set"), ("MDAN", "multi-source"), ("M3SDA", "multi-source")],
)
def test_each_says_what_it_is_for(name: str, setting: str) -> None:
    assert getattr(dalib, name).setting == setting


@pytest.mark.parametrize(
    ("name", "hparams", "message"),
    [
        ("MDAN", {"weight": -1.0}, "mdan.weight = -1.0 is out of range; give a number >= 0"),
        ("MDAN", {"gamma": 0.0}, "mdan.gamma = 0.0 is out of range; give a number > 0"),
        ("MDAN", {"hidden": 0}, "mdan.hidden = 0"),
        ("M3SDA", {"weight": float("nan")}, "weight = nan"),
        ("M3SDA", {"moments": 0}, "moments = 0 is out of range; give a whole number >= 1"),
        ("PADA", {"weight": -1.0}, "pada.weight = -1.0"),
        ("OSBP", {"boundary": 0.0}, "osbp.boundary = 0.0 is out of range"),
        ("OSBP", {"boundary": 1.0}, "osbp.boundary = 1.0 is out of range; give a number in (0, 1)"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(name: str, hparams: Any, message: str) -> None:
    with pytest.raises(DalibError) as error:
        attached(name, **hparams)
    assert message in str(error.value)
