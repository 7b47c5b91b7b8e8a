"""The zoo's deep methods: the term is the paper's formula, and the shift each is built for is reduced."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import ot
import pytest
import torch
from test_shifts import D, Data, K, N, translated
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import dalib
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.types import Source, Target
from dalib.nn.adversarial import conditional_map, margin_disparity
from dalib.nn.entropy import information_maximisation
from dalib.nn.joint_discrepancy import joint_mmd2, local_mmd2
from dalib.nn.metrics import accuracy
from dalib.nn.moments import central_moments
from dalib.train.loop import Loop

DIM, CLASSES = 6, 3


def attached(name: str, **hparams: Any) -> Algorithm:
    torch.manual_seed(0)
    algorithm: Algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(DIM, CLASSES, bottleneck=0))
    return algorithm


def batch(n: int = 9, m: int = 7) -> tuple[Source, Target]:
    """Leaves that require gradients; class 2 is missing from the source."""
    g = torch.Generator().manual_seed(0)
    z_s, z_t = torch.randn(n, DIM, generator=g), torch.randn(m, DIM, generator=g) + 1
    g_s, g_t = 2 * torch.randn(n, CLASSES, generator=g), 2 * torch.randn(m, CLASSES, generator=g)
    for leaf in (z_s, z_t, g_s, g_t):
        leaf.requires_grad_()
    return Source.of(z_s, g_s, torch.arange(n) % 2), Target.of(z_t, g_t)


def trained(name: str, data: Data, steps: int = 200, **hparams: Any) -> Algorithm:
    """The algorithm in evaluation mode after a plain loop over `step`, alternating games included."""
    torch.manual_seed(0)
    algorithm: Algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(D, K, bottleneck=32))
    optimiser = torch.optim.SGD(algorithm.parameters(), lr=0.05, momentum=0.9)

    loop = Loop(algorithm, optimiser)
    x_s, y_s, x_t, _ = data
    for step in range(steps):
        i, j = torch.randint(N, (2, 36))
        loop.step(x_s[i], y_s[i], x_t[j], step / steps, index=j)
    return algorithm.eval()


@torch.no_grad()
def play(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy after training."""
    with torch.enable_grad():
        algorithm = trained(name, data, **hparams)
    return accuracy(algorithm.predict(data[2])[1], data[3])


@cache
def source_only(data: Callable[[], Data]) -> float:
    return play("SourceOnly", data())


SHIFTS: list[tuple[str, Any, dict[str, Any]]] = [
    ("CDAN", translated, {"hidden": 64}),
    ("CDAN", translated, {"hidden": 64, "entropy": True}),
    ("CDAN", translated, {"hidden": 64, "map": "random", "random_dim": 64}),
    ("JAN", translated, {}),
    ("JAN", translated, {"estimator": "biased"}),
    ("BNM", translated, {}),
    ("MCD", translated, {"weight": 10.0}),
    ("MDD", translated, {"hidden": 64, "reversal": 0.3}),
    ("DDC", translated, {}),
    ("CMD", translated, {}),
    ("BSP", translated, {"hidden": 64}),
    ("DSAN", translated, {}),
    ("EntropyMinimisation", translated, {}),
    ("JUMBOT", translated, {}),
    ("SlicedWasserstein", translated, {}),
]
HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("MCD", {}),
    ("MDD", {"hidden": 64}),
    ("AFN", {}),
    ("AFN", {"hard": True, "radius": 12.0, "ent_weight": 0.0}),
]


@pytest.mark.parametrize(("name", "data", "hparams"), SHIFTS)
def test_a_method_beats_source_only_on_its_shift(name: str, data: Any, hparams: dict[str, Any]) -> None:
    before, after = source_only(data), play(name, data(), **hparams)
    assert after > before + 0.05, f"{name}: {after:.3f}, source only: {before:.3f}"


@pytest.mark.parametrize(("name", "hparams"), [(n, h) for n, _, h in SHIFTS] + HARMLESS)
def test_a_method_does_no_harm_without_a_shift(name: str, hparams: dict[str, Any]) -> None:
    assert play(name, translated(0.0), **hparams) > 0.9


@pytest.mark.parametrize("entropy", [False, True])
def test_cdan_term_is_the_cross_entropy_of_the_joint_map_weighted_by_certainty(entropy: bool) -> None:
    source, target = batch()
    algorithm = attached("CDAN", weight=0.5, hidden=16, entropy=entropy)
    total = 0.0
    for rows, label in ((source, 1.0), (target, 0.0)):
        p = rows.logits.softmax(1)
        d = algorithm.discriminator(conditional_map(rows.z, p))  # type: ignore[operator]
        w = 1 + torch.exp((p * p.log()).sum(1)) if entropy else torch.ones(len(p))
        bce = [float(binary_cross_entropy_with_logits(x, torch.tensor(label))) for x in d.detach()]
        total += sum(a * b for a, b in zip((w / w.sum()).tolist(), bce, strict=True)) / 2
    term = algorithm.loss(source, target, 1.0)["adversarial"]
    assert term.item() == pytest.approx(0.5 * total, abs=1e-5)
    term.backward()
    assert source.logits.grad is None and target.z.grad is not None and target.z.grad.abs().max() > 0


def test_cdan_takes_the_random_map_where_the_product_is_wide_and_keeps_its_matrices() -> None:
    torch.manual_seed(0)
    wide, narrow, again = (dalib.CDAN(hidden=8, random_dim=16) for _ in range(3))
    for algorithm, dim in ((wide, 256), (narrow, 128), (again, 256)):
        algorithm.attach(Network.on_features(dim, 31, bottleneck=0))
    assert {"R_z", "R_p"} <= {*wide.state_dict()} and "R_z" not in narrow.state_dict()
    again.load_state_dict(wide.state_dict())
    assert torch.equal(again.R_z, wide.R_z)
    assert narrow.discriminator.layers[0].in_features == 128 * 31


def layers(rows: Any) -> list[Tensor]:
    return [rows.z, rows.logits.softmax(1)]


@pytest.mark.parametrize(
    ("name", "hparams", "term", "expected"),
    [
        (
            "JAN",
            {"weight": 2.0, "sigma": 0.5, "estimator": "biased"},
            "discrepancy",
            lambda s, t: 2 * joint_mmd2(layers(s), layers(t), [None, [0.25]], "biased"),
        ),
        ("DDC", {"weight": 2.0}, "discrepancy", lambda s, t: 2 * (s.z.mean(0) - t.z.mean(0)).square().sum()),
        (
            "CMD",
            {"weight": 2.0, "moments": 3},
            "discrepancy",
            lambda s, t: 2 * central_moments(torch.special.expit(s.z), torch.special.expit(t.z), 3),
        ),
        (
            "BSP",
            {"beta": 0.5, "hidden": 8},
            "spectral",
            lambda s, t: sum(0.5 * torch.linalg.matrix_norm(rows.z, 2) ** 2 for rows in (s, t)),
        ),
        (
            "DSAN",
            {"weight": 2.0},
            "discrepancy",
            lambda s, t: 2 * math.tanh(2.5) * local_mmd2(s.z, t.z, s.y, t.logits.softmax(1)),
        ),
        (
            "EntropyMinimisation",
            {"weight": 2.0, "diversity": 0.5},
            "information",
            lambda s, t: 2 * information_maximisation(t.logits, 0.5),
        ),
        ("AFN", {"ent_weight": 2.0}, "entropy", lambda s, t: 2 * information_maximisation(t.logits, 0.0)),
        ("BNM", {"weight": 2.0}, "nuclear", lambda s, t: -2 * torch.linalg.svdvals(t.logits.softmax(1)).sum() / 7),
    ],
)
def test_the_adaptation_term_is_weight_times_the_function(name: str, hparams: Any, term: str, expected: Any) -> None:
    source, target = batch()
    torch.testing.assert_close(attached(name, **hparams).loss(source, target, 0.5)[term], expected(source, target))


@pytest.mark.parametrize(
    ("name", "hparams", "message"),
    [
        ("CDAN", {"map": "randon"}, "no cdan.map named 'randon'; did you mean 'random'"),
        ("CDAN", {"random_dim": 0}, "cdan.random_dim = 0 is out of range; give a whole number >= 1"),
        ("JAN", {"sigma": 0.0}, "jan.sigma = 0.0 is out of range; give a number > 0"),
        ("JAN", {"estimator": "linear"}, "no jan.estimator named 'linear'"),
        ("AFN", {"delta": 0.0}, "afn.delta = 0.0"),
        ("MCD", {"inner": 1.5}, "mcd.inner = 1.5 is out of range; give a whole number >= 1"),
        ("MDD", {"reversal": -1.0}, "mdd.reversal = -1.0"),
        ("CMD", {"moments": 0}, "cmd.moments = 0"),
        ("BSP", {"hidden": 0}, "bsp.hidden = 0"),
        ("JUMBOT", {"reg": 0.0}, "jumbot.reg = 0.0"),
        ("SlicedWasserstein", {"directions": True}, "sliced_wasserstein.directions = True"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(name: str, hparams: Any, message: str) -> None:
    with pytest.raises(DalibError) as error:
        attached(name, **hparams)
    assert message in str(error.value)


def mean_norms(name: str, **hparams: Any) -> list[float]:
    """Mean ||z|| of source and target, whose rows are three times smaller, after training."""
    x_s, y_s, x_t, y_t = translated(0.0)
    algorithm = trained(name, (x_s, y_s, x_t / 3, y_t), **hparams)
    with torch.no_grad():
        return [float(algorithm.predict(x)[0].norm(dim=1).mean()) for x in (x_s, x_t / 3)]


def test_afn_enlarges_norms_and_closes_the_gap_between_those_of_the_domains() -> None:
    plain = mean_norms("SourceOnly")
    stepwise, hard = mean_norms("AFN"), mean_norms("AFN", hard=True, radius=12.0)
    assert stepwise[0] > 1.5 * plain[0] and stepwise[1] > 1.5 * plain[1]
    assert hard == pytest.approx([12.0, 12.0], rel=0.1)
    assert plain[1] / plain[0] < min(stepwise[1] / stepwise[0], hard[1] / hard[0])


def test_afn_asks_every_norm_for_one_more_step_or_their_mean_for_the_radius() -> None:
    source, target = batch()
    term = attached("AFN", weight=0.5, delta=2.0).loss(source, target, 0.5)["norm"]
    gradient = torch.autograd.grad(term, source.z)[0]
    assert term.item() == pytest.approx(0.5 * 2 * 4, abs=1e-5)
    torch.testing.assert_close(gradient, -2 * source.z / source.z.norm(dim=1, keepdim=True) / 9)
    hard = attached("AFN", weight=0.5, hard=True, radius=3.0, ent_weight=0.0).loss(source, target, 0.5)
    off = [sum(sum(v * v for v in row) ** 0.5 for row in z.tolist()) / len(z) - 3 for z in (source.z, target.z)]
    assert hard["norm"].item() == pytest.approx(0.5 * (off[0] ** 2 + off[1] ** 2), abs=1e-4)


def test_mdd_reverses_the_disparity_for_features_by_a_tenth_and_not_for_its_head() -> None:
    source, target = batch()
    algorithm = attached("MDD", hidden=16)
    term = algorithm.loss(source, target, 1.0)["disparity"]
    (reversed_,) = torch.autograd.grad(term, target.z, retain_graph=True)
    a_s, a_t = algorithm.adversary(source.z), algorithm.adversary(target.z)  # type: ignore[operator]
    plain = margin_disparity(source.logits, target.logits, a_s, a_t, 4.0)
    torch.testing.assert_close(term, plain)
    (gradient,) = torch.autograd.grad(plain, target.z, retain_graph=True)
    torch.testing.assert_close(reversed_, -0.1 * gradient, rtol=1e-3, atol=1e-7)
    head = next(algorithm.adversary.parameters())  # type: ignore[union-attr]
    torch.testing.assert_close(torch.autograd.grad(term, head), torch.autograd.grad(plain, head))


def test_mcd_plays_three_phases_on_the_right_parts() -> None:
    """A moves everything; B pulls the heads apart on fixed features; C moves features, four times, to agreement."""
    algorithm = attached("MCD", weight=2.0)
    torch.nn.init.normal_(algorithm.network.head.weight)
    source, target = batch()
    source, target = (replace(rows, x=rows.z.detach().clone()) for rows in (source, target))
    calls: list[tuple[set[str], Any]] = []

    class Recorder(Loop):
        def __call__(self, terms: Terms, only: Any = None) -> None:
            calls.append(({*terms}, only))

    algorithm.step(source, target, 0.5, Recorder(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.1)))
    supervised = {"classification", "classification_second", "balance"}
    assert [names for names, _ in calls] == [supervised, {*supervised, "apart"}, *[{"together"}] * 4]
    heads, features = calls[1][1], calls[2][1]
    assert calls[0][1] is None and heads == [algorithm.network.head, algorithm.second]
    assert features == [algorithm.network.backbone, algorithm.network.bottleneck]


def test_mcd_terms_are_the_papers_and_the_prediction_is_the_mean_of_the_heads() -> None:
    source, target = batch()
    algorithm = attached("MCD", weight=2.0, balance=0.5)
    terms = algorithm.loss(source, target, 0.5)
    second = algorithm.second(target.z)  # type: ignore[operator]
    p, q = target.logits.softmax(1).tolist(), second.softmax(1).tolist()
    gap = sum(abs(a - b) for r, s in zip(p, q, strict=True) for a, b in zip(r, s, strict=True)) / (7 * CLASSES)
    spread = [math.log(sum(row[c] for row in x) / 7 + 1e-6) for x in (p, q) for c in range(CLASSES)]
    assert terms["discrepancy"].item() == pytest.approx(2 * gap, abs=1e-5)
    assert terms["balance"].item() == pytest.approx(-0.5 * sum(spread) / CLASSES, abs=1e-5)
    z, logits = algorithm.predict(target.z)
    torch.testing.assert_close(logits, (algorithm.network.head(z) + second) / 2)


def test_bsp_keeps_the_largest_singular_value_below_danns() -> None:
    data, largest = translated(), []
    for name, hparams in (("DANN", {}), ("BSP", {"beta": 1e-3})):
        algorithm = trained(name, data, hidden=64, **hparams)
        with torch.no_grad():
            largest.append(float(torch.linalg.svdvals(algorithm.predict(data[2])[0])[0]))
    assert largest[1] < 0.5 * largest[0]


def test_jumbot_term_is_the_cost_of_pots_unbalanced_plan() -> None:
    source, target = batch()
    cost = torch.empty(9, 7, dtype=torch.float64)
    for i in range(9):
        for j in range(7):
            label = -target.logits[j].log_softmax(0)[source.y[i]]
            cost[i, j] = (0.03 * (source.z[i] - target.z[j]).square().sum() + 0.7 * label).item()
    plan = ot.unbalanced.sinkhorn_knopp_unbalanced(
        ot.unif(9), ot.unif(7), cost.numpy(), 0.1, 0.5, numItermax=100_000, stopThr=1e-14
    )
    algorithm = attached("JUMBOT", weight=2.0, alpha=0.03, lam=0.7, reg=0.1, reg_m=0.5)
    assert algorithm.loss(source, target, 0.5)["transport"].item() == pytest.approx(
        2 * (plan * cost.numpy()).sum(), abs=1e-4
    )


def test_jumbot_is_not_misled_by_classes_that_the_target_lacks() -> None:
    """Half of the classes are missing from the target: balanced transport sends rows to the wrong class."""
    x_s, y_s, x_t, y_t = translated(0.7)
    few = (x_s, y_s, x_t[y_t < 2].repeat(3, 1)[:N], y_t[y_t < 2].repeat(3)[:N])
    same = {"alpha": 0.03, "lam": 0.5}
    assert play("JUMBOT", few, **same) > play("DeepJDOT", few, **same) + 0.05


def test_sliced_wasserstein_of_a_move_is_its_squared_length_on_average() -> None:
    source, target = batch(9, 9)
    moved = replace(target, z=source.z.detach() + 2.0)
    torch.manual_seed(0)
    term = attached("SlicedWasserstein", weight=0.5, directions=20_000).loss(source, moved, 0.5)["discrepancy"]
    assert term.item() == pytest.approx(0.5 * 4 * DIM, rel=0.03)
