"""FixMatch, MeanTeacher, SDAT and VADA: terms, steps, and the shifts they are built for."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from test_shifts import Data, translated
from test_source_first import make_task, reached, train
from test_zoo import play, source_only, trained
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.types import Source, Target
from dalib.nn.sharpness import sharpest_perturbation
from dalib.train.config import TrainConfig
from dalib.train.loop import Loop
from dalib.train.trainer import Trainer

DIM, K, RATE = 6, 3, 0.1


def attached(name: str, bottleneck: int = 0, **hparams: Any) -> Any:
    """In double precision, with logits that are not all alike."""
    torch.manual_seed(0)
    algorithm: Algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(DIM, K, bottleneck))
    nn.init.normal_(algorithm.network.head.weight)
    return algorithm.double().train()


def inputs(n: int = 9, m: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    x_s, x_t = (torch.randn(k, DIM, generator=g, dtype=torch.float64) for k in (n, m))
    return x_s, torch.arange(n) % 2, x_t + 1


def batch(algorithm: Any) -> tuple[Source, Target]:
    """Both views of the target are there; the strong one is another sample."""
    x_s, y_s, x_t = inputs()
    (z_s, g_s), (z_t, g_t), strong = (algorithm.network(x) for x in (x_s, x_t, x_t.flip(0) + 0.5))
    target = Target.of(z_t, g_t, Target.of(*strong))
    return replace(Source.of(z_s, g_s, y_s), x=x_s), replace(target, x=x_t)


def ce(logits: Tensor, y: Tensor) -> float:
    log_p = log_softmax(logits.detach().numpy(), axis=1)
    return -sum(row[label] for row, label in zip(log_p, y.tolist(), strict=True)) / len(y)


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
def test_fixmatch_takes_the_confident_labels_of_the_mild_view_for_the_strong_one(threshold: float) -> None:
    algorithm = attached("FixMatch", threshold=threshold, weight=0.5)
    source, target = batch(algorithm)
    p, log_strong = (
        softmax(target.logits.detach().numpy(), axis=1),
        log_softmax(target.strong.logits.detach().numpy(), 1),
    )
    taken = [(q.argmax(), row) for q, row in zip(p, log_strong, strict=True) if q.max() >= threshold]
    assert {0.0: len(taken) == 7, 0.7: 0 < len(taken) < 7, 1.0: not taken}[threshold]
    terms = algorithm.loss(source, target, 0.5)
    assert terms["consistency"].item() == pytest.approx(0.5 * -sum(row[c] for c, row in taken) / 7, abs=1e-8)
    assert terms["classification"].item() == pytest.approx(ce(source.logits, source.y), abs=1e-8)
    mild = torch.autograd.grad(terms["consistency"], target.logits, allow_unused=True, retain_graph=True)[0]
    assert mild is None


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
def test_mean_teachers_term_is_the_masked_squared_difference_and_the_balance(threshold: float) -> None:
    algorithm = attached("MeanTeacher", threshold=threshold, balance=0.1)
    nn.init.normal_(algorithm.teacher.head.weight)
    source, target = batch(algorithm)
    head = algorithm.teacher.head
    q = softmax(target.x.numpy() @ head.weight.numpy().T + head.bias.numpy(), axis=1)
    p, total = softmax(target.strong.logits.detach().numpy(), axis=1), 0.0
    for one, other in zip(p, q, strict=True):
        total += (other.max() >= threshold) * sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / K / 7
    balance = -sum(math.log(m + 1e-6) / K + (1 - 1 / K) * math.log(1 - m + 1e-6) for m in p.mean(0))
    term = algorithm.loss(source, target, 0.5)["consistency"]
    assert term.item() == pytest.approx(3 * (total + 0.1 * balance), abs=1e-8)
    assert torch.autograd.grad(term, target.logits, allow_unused=True)[0] is None


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_the_teacher_averages_the_students_weights_and_batch_norm_statistics(decay: float) -> None:
    algorithm = attached("MeanTeacher", bottleneck=5, decay=decay)
    loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=RATE))
    expected: dict[str, np.ndarray] = {}
    for n in range(4):
        loop.step(*inputs(), 0.5)
        a = min(1 - 1 / (n + 1), decay)
        for name, value in algorithm.network.state_dict().items():
            before = expected.get(name, np.zeros(value.shape))
            expected[name] = a * before + (1 - a) * value.numpy() if value.is_floating_point() else value.numpy()
        expected = {k: v.copy() for k, v in expected.items()}
    for name, value in algorithm.teacher.state_dict().items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=0, atol=1e-12)
    assert not algorithm.teacher.training and algorithm.network.training
    assert not any(p.requires_grad for p in algorithm.teacher.parameters())
    x = inputs()[2]
    assert torch.equal(algorithm.predict(x)[1], algorithm.teacher(x)[1])
    assert not torch.equal(algorithm.predict(x)[1], algorithm.eval().network(x)[1])


def test_the_trainer_never_trains_the_teacher() -> None:
    """A student that stands still keeps the teacher where it is, weight decay or not."""
    fitted = train(dalib.MeanTeacher(), make_task(translated()), steps=5, lr=1e-30, weight_decay=0.5)
    algorithm = fitted.algorithm
    for mine, other in zip(algorithm.teacher.parameters(), algorithm.network.parameters(), strict=True):  # type: ignore[union-attr]
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)
        assert mine.grad is None


def numpy_sdat_step(weight: np.ndarray, bias: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Sharpness-aware descent on softmax regression; lr = RATE."""
    x, y = (v.numpy() for v in inputs()[:2])

    def gradient(w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        error = (softmax(x @ w.T + b, axis=1) - np.eye(K)[y]) / len(y)
        return error.T @ x, error.sum(0)

    first = gradient(weight, bias)
    scale = rho / np.sqrt(sum((g**2).sum() for g in first))
    second = gradient(weight + scale * first[0], bias + scale * first[1])
    return weight - RATE * second[0], bias - RATE * second[1]


@pytest.mark.parametrize("base", ["dann", "cdan"])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_sdats_step_is_sharpness_aware_on_the_source_loss(rho: float, base: str) -> None:
    algorithm = attached("SDAT", base=base, weight=0.0, rho=rho, hidden=8)
    head = algorithm.network.head
    weight, bias = numpy_sdat_step(head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy(), rho)
    Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=RATE)).step(*inputs(), 0.5)
    np.testing.assert_allclose(head.weight.detach().numpy(), weight, rtol=0, atol=1e-8)
    np.testing.assert_allclose(head.bias.detach().numpy(), bias, rtol=0, atol=1e-8)


@pytest.mark.parametrize("base", ["dann", "cdan", "cdan+mcc", "dann+mcc"])
def test_sdat_takes_every_gradient_at_the_weights_that_the_task_terms_alone_perturb(base: str) -> None:
    """With the frozen bottleneck left where it is; the discriminator is not perturbed."""
    algorithm = attached("SDAT", bottleneck=4, base=base, rho=0.5, hidden=8)
    algorithm.network.bottleneck.requires_grad_(False)
    other = copy.deepcopy(algorithm)
    object.__setattr__(other.base_algorithm, "network", other.network)
    optimiser = torch.optim.SGD(other.parameters(), lr=RATE)
    loop = Loop(other, optimiser)
    x_s, y_s, x_t = inputs()
    source, target = loop._wrap(x_s, y_s, x_t, None)
    terms = other.base_algorithm.loss(source, target, 0.5)
    task = terms["classification"] + (terms["confusion"] if "mcc" in base else 0)
    head = [other.network.head.weight, other.network.head.bias]
    gradients = torch.autograd.grad(task, head)
    length = math.sqrt(sum(float(g.square().sum()) for g in gradients))
    moves = [0.5 / length * g for g in gradients]
    for sign in (1, -1):
        with torch.no_grad():
            for w, e in zip(head, moves, strict=True):
                w += sign * e
        if sign == 1:
            optimiser.zero_grad()
            source, target = loop._wrap(x_s, y_s, x_t, None)
            torch.stack(list(other.base_algorithm.loss(source, target, 0.5).values())).sum().backward()
    optimiser.step()
    Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=RATE)).step(x_s, y_s, x_t, 0.5)
    for (name, a), b in zip(algorithm.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10, msg=name)


def test_sdat_without_perturbation_is_its_base() -> None:
    states = []
    hparams: dict[str, Any] = {"rho": 0.0}
    for name in ("CDAN", "SDAT"):
        algorithm = attached(name, hidden=8, **(hparams if name == "SDAT" else {}))
        loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=RATE))
        for _ in range(3):
            loop.step(*inputs(), 0.5)
        states.append([p.detach() for p in algorithm.parameters()])
    assert len(states[0]) == len(states[1])
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_vadas_terms_are_the_papers() -> None:
    """On a linear network; the perturbation is found by the gradient W (q - p) of each row."""
    algorithm = attached("VADA", source_weight=0.7, target_weight=0.2, radius=0.8, hidden=8)
    source, target = batch(algorithm)
    w, b = (v.detach().numpy() for v in (algorithm.network.head.weight.T, algorithm.network.head.bias))
    x = torch.cat([source.x, target.x])
    torch.manual_seed(3)
    divergences = []
    for row, d in zip(x.numpy(), torch.randn_like(x).numpy(), strict=True):
        p = softmax(row @ w + b)
        gradient = w @ (softmax((row + 1e-3 * d / np.linalg.norm(d)) @ w + b) - p)
        log_q = log_softmax((row + 0.8 * gradient / np.linalg.norm(gradient)) @ w + b)
        divergences.append(sum(p * (np.log(p) - log_q)))
    p_t = softmax(target.logits.detach().numpy(), axis=1)
    entropy = -np.mean([sum(p * np.log(p)) for p in p_t])
    expected = 0.7 * np.mean(divergences[:9]) + 0.2 * (entropy + np.mean(divergences[9:]))
    torch.manual_seed(3)
    terms = algorithm.loss(source, target, 0.5)
    assert terms["cluster"].item() == pytest.approx(expected, abs=1e-8)
    d_s, d_t = (1 / (1 + np.exp(-algorithm.discriminator(r.z).detach().numpy())) for r in (source, target))
    bce = -(np.log(d_s).mean() + np.log(1 - d_t).mean()) / 2
    assert terms["adversarial"].item() == pytest.approx(bce, abs=1e-8)


def test_vadas_discriminator_learns_at_full_rate_and_the_features_at_its_weight() -> None:
    z, own = [], []
    for weight in (0.01, 1.0):
        algorithm = attached("VADA", weight=weight, hidden=8)
        source, target = batch(algorithm)
        features = target.z.detach().clone().requires_grad_()
        term = algorithm.loss(source, replace(target, z=features), 0.5)["adversarial"]
        gradients = torch.autograd.grad(term, [features, *algorithm.discriminator.parameters()])
        z.append(gradients[0])
        own.append(gradients[1:])
    torch.testing.assert_close(100 * z[0], z[1])
    assert z[1].abs().max() > 0 and all(torch.equal(a, b) for a, b in zip(*own, strict=True))


def test_vadas_extra_passes_leave_batch_norm_statistics_alone() -> None:
    algorithm = attached("VADA", bottleneck=5, hidden=8)
    source, target = batch(algorithm)
    before = {k: v.clone() for k, v in algorithm.state_dict().items()}
    algorithm.loss(source, target, 0.5)
    assert all(torch.equal(v, before[k]) for k, v in algorithm.state_dict().items())
    assert all(m.training for m in algorithm.modules())


@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        ("FixMatch", {"threshold": 1.1}),
        ("FixMatch", {"weight": -1.0}),
        ("MeanTeacher", {"threshold": 1.1}),
        ("MeanTeacher", {"decay": 1.0}),
        ("SDAT", {"base": "mcd"}),
        ("SDAT", {"rho": -0.1}),
        ("VADA", {"radius": 0.0}),
        ("VADA", {"iterations": 1.5}),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(name: str, hparams: dict[str, Any]) -> None:
    with pytest.raises(DalibError, match=next(iter(hparams))):
        attached(name, **hparams)


def target_cues(n: int = 240) -> Data:
    """Half of the rows are easy by two features that both domains have; six more tell the class in the target only."""
    g = torch.Generator().manual_seed(0)
    centres = torch.randn(4, 6, generator=torch.Generator().manual_seed(5))

    def draw(informative: float) -> tuple[Tensor, Tensor]:
        y = torch.randint(4, (n,), generator=g)
        noise = torch.where(torch.rand(n, 1, generator=g) < 0.5, 0.3, 1.5)
        corner = 3.0 * torch.stack([y % 2, y // 2], 1) - 1.5
        shared = corner + noise * torch.randn(n, 2, generator=g)
        return torch.cat([shared, informative * centres[y] + 0.5 * torch.randn(n, 6, generator=g)], 1), y

    return *draw(0.0), *draw(1.0)


def brittle_cue(n: int = 240) -> Data:
    """Two noisy features hold in both domains; a third, its values +-1, is the class in the source only."""
    g = torch.Generator().manual_seed(0)

    def draw(holds: bool) -> tuple[Tensor, Tensor]:
        y, chance = torch.randint(2, (n,), generator=g), torch.randint(2, (n,), generator=g)
        sign, cue = 2.0 * y[:, None] - 1, 2.0 * (y if holds else chance)[:, None] - 1
        noise = torch.randn(n, 3, generator=g)
        return torch.cat([sign + noise[:, :2], cue + 0.05 * noise[:, 2:]], 1), y

    return *draw(True), *draw(False)


def reach(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy of a linear model, without a batch norm that adapts by itself: trade-offs 0 are source-only."""
    task, dim = make_task(data), data[0].shape[1]
    config = TrainConfig(steps=200, batch_size=36, bottleneck=0, lr=0.1, evaluations=1)
    return reached(Trainer(config, device="cpu").fit(getattr(dalib, name)(**hparams), task, identity(dim)), task)


@pytest.mark.parametrize(
    ("name", "data", "hparams", "off"),
    [
        ("FixMatch", target_cues, {}, {"weight": 0.0}),
        ("MeanTeacher", target_cues, {"threshold": 0.8}, {"weight": 0.0}),
        ("VADA", brittle_cue, {}, {"source_weight": 0.0, "target_weight": 0.0}),
    ],
)
def test_a_method_beats_itself_without_its_term(
    name: str, data: Any, hparams: dict[str, Any], off: dict[str, Any]
) -> None:
    before, after = reach(name, data(), **off), reach(name, data(), **hparams)
    assert after > before + 0.05, f"{name}: {after:.3f}, without: {before:.3f}"


@pytest.mark.parametrize("base", ["dann", "cdan+mcc"])
def test_sdat_beats_source_only_where_the_target_is_moved(base: str) -> None:
    before, after = source_only(translated), play("SDAT", translated(), hidden=64, base=base)
    assert after > before + 0.05, f"{after:.3f}, source only: {before:.3f}"


def test_sdats_task_loss_is_flatter_than_its_bases() -> None:
    (x, y, *_), rises = translated(), []
    for algorithm in (trained("CDAN", translated(), hidden=64), trained("SDAT", translated(), hidden=64, rho=0.5)):
        weights: list[Tensor] = [*algorithm.network.parameters()]
        before = cross_entropy(algorithm.network(x)[1], y)
        move = sharpest_perturbation(before, weights, 0.5)
        with torch.no_grad():
            for w, e in zip(weights, move, strict=True):
                w.add_(e)
            rises.append(float(cross_entropy(algorithm.network(x)[1], y) - before))
    assert rises[1] < 0.75 * rises[0], rises
