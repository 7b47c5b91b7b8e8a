"""Each deep loss is its formula, and hyper-parameters out of range are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ot
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.types import Source, Target
from dalib.nn.discrepancy import coral_distance, mmd2
from dalib.nn.entropy import class_confusion

DEEP = ("SourceOnly", "FineTune", "DANN", "MMD", "DeepCORAL", "DeepJDOT", "MCC")


def attached(name: str, **hparams: Any) -> Algorithm:
    torch.manual_seed(0)
    algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(6, 3, bottleneck=0))
    return algorithm


def batch(n: int = 9, m: int = 7, seed: int = 0) -> tuple[Source, Target]:
    g = torch.Generator().manual_seed(seed)
    z_s, z_t = torch.randn(n, 6, generator=g), torch.randn(m, 6, generator=g) + 1
    g_s, g_t = torch.randn(n, 3, generator=g), torch.randn(m, 3, generator=g)
    return Source.of(z_s, g_s, torch.arange(n) % 3), Target.of(z_t, g_t)


@pytest.mark.parametrize("name", DEEP)
def test_every_deep_loss_starts_with_the_source_cross_entropy(name: str) -> None:
    source, target = batch()
    terms = attached(name).loss(source, target, 0.5)
    assert next(iter(terms)) == "classification"
    torch.testing.assert_close(terms["classification"], cross_entropy(source.logits, source.y))


@pytest.mark.parametrize(
    ("name", "hparams", "term", "expected"),
    [
        ("MMD", {"weight": 2.0}, "discrepancy", lambda s, t: 2 * mmd2(s.z, t.z)),
        ("MMD", {"estimator": "linear"}, "discrepancy", lambda s, t: mmd2(s.z, t.z, estimator="linear")),
        ("DeepCORAL", {"weight": 3.0}, "correlation", lambda s, t: 3 * coral_distance(s.z, t.z)),
        ("MCC", {"weight": 2.0, "temperature": 1.5}, "confusion", lambda s, t: 2 * class_confusion(t.logits, 1.5)),
    ],
)
def test_the_adaptation_term_is_weight_times_the_function(name: str, hparams: Any, term: str, expected: Any) -> None:
    source, target = batch()
    torch.testing.assert_close(attached(name, **hparams).loss(source, target, 0.5)[term], expected(source, target))


def test_dann_term_is_the_balanced_binary_cross_entropy() -> None:
    source, target = batch()
    algorithm = attached("DANN", weight=0.5, hidden=16)
    d = algorithm.discriminator(torch.cat([source.z, target.z])).sigmoid()  # type: ignore[operator]
    reference = -(d[:9].log().mean() + (1 - d[9:]).log().mean()) / 4
    torch.testing.assert_close(algorithm.loss(source, target, 0.5)["adversarial"], reference)


def test_dann_pushes_features_against_the_discriminator_and_not_at_the_start() -> None:
    source, target = batch()
    algorithm = attached("DANN", hidden=16)
    z = source.z.clone().requires_grad_()
    gradients = []
    for progress in (0.0, 1.0):
        term = algorithm.loss(replace(source, z=z), target, progress)["adversarial"]
        gradients.append(torch.autograd.grad(term, z)[0])
    d_s = algorithm.discriminator(torch.cat([z, target.z]))  # type: ignore[operator]
    bce = nn.functional.binary_cross_entropy_with_logits(d_s, (torch.arange(16) < 9).float(), weight=None)
    assert (gradients[0] == 0).all()
    assert (gradients[1] * torch.autograd.grad(bce, z)[0]).sum() < 0


def test_deep_jdot_term_is_the_exact_transport_cost_between_joint_distributions() -> None:
    source, target = batch()
    term = attached("DeepJDOT", alpha=0.3, lam=0.7).loss(source, target, 0.5)["transport"]
    cost = torch.empty(9, 7, dtype=torch.float64)
    for i in range(9):
        for j in range(7):
            label = cross_entropy(target.logits[j : j + 1], source.y[i : i + 1])
            cost[i, j] = 0.3 * (source.z[i] - target.z[j]).square().sum() + 0.7 * label
    assert float(term) == pytest.approx(float(ot.emd2(ot.unif(9), ot.unif(7), cost.numpy())), abs=1e-5)


def test_deep_jdot_reports_features_that_are_not_numbers() -> None:
    source, target = batch()
    broken = replace(source, z=source.z * float("nan"))
    assert attached("DeepJDOT").loss(broken, target, 0.5)["transport"].isnan()


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_and_predictions_have_finite_gradients(name: str, value: float) -> None:
    leaves = [torch.full(s, value, requires_grad=True) for s in ((9, 6), (9, 3), (7, 6), (7, 3))]
    source = Source.of(leaves[0], leaves[1], torch.zeros(9, dtype=torch.int64))
    terms = attached(name).loss(source, Target.of(leaves[2], leaves[3]), 0.5)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(t.isfinite() for t in terms.values())
    assert all(x.grad is None or x.grad.isfinite().all() for x in leaves)


@pytest.mark.parametrize(
    ("name", "hparams", "message"),
    [
        ("DANN", {"weight": -1.0}, "dann.weight = -1.0 is out of range; give a number >= 0"),
        ("DANN", {"weight": float("nan")}, "dann.weight = nan"),
        ("DANN", {"hidden": 0}, "dann.hidden = 0"),
        ("DANN", {"hidden": 2.5}, "dann.hidden = 2.5"),
        ("MMD", {"estimator": "biassed"}, "no mmd.estimator named 'biassed'; did you mean 'biased'"),
        ("MMD", {"weight": "1"}, "mmd.weight = '1'"),
        ("DeepCORAL", {"weight": float("inf")}, "deep_coral.weight = inf"),
        ("DeepJDOT", {"alpha": -0.1}, "deep_jdot.alpha = -0.1"),
        ("MCC", {"temperature": 0.0}, "mcc.temperature = 0.0 is out of range; give a number > 0"),
        ("LinearProbe", {"C": 0.0}, "linear_probe.C = 0.0"),
        ("CORAL", {"reg": 0.0}, "coral.reg = 0.0"),
        ("CORAL", {"classifier": "forest"}, "no classifier named 'forest'"),
        ("OTMap", {"method": "sinkhron"}, "no ot_map.method named 'sinkhron'; did you mean 'sinkhorn'"),
        ("OTMap", {"group": -1.0}, "ot_map.group = -1.0"),
        ("FineTune", {"decay": 0.5}, "fine_tune.decay = 0.5"),
        ("FineTune", {"blocks": "tail"}, "fine_tune.blocks = 'tail'; give 'head', 'all' or a whole number"),
        ("FineTune", {"blocks": 0}, "fine_tune.blocks = 0"),
        ("FineTune", {"blocks": 2}, "the backbone has 0 blocks; give 'head' or 'all'"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(name: str, hparams: Any, message: str) -> None:
    with pytest.raises(DalibError) as error:
        attached(name, **hparams)
    assert message in str(error.value)


def three_blocks() -> tuple[Network, list[nn.Module]]:
    blocks: list[nn.Module] = [nn.Linear(4, 4) for _ in range(3)]
    return Network(Backbone("toy", nn.Sequential(*blocks), 4, blocks), 3, bottleneck=5), blocks


def factors(blocks: int | str, decay: float = 2.0) -> list[float]:
    """Effective factors of the three blocks, the bottleneck and the head at backbone_rate 0.1."""
    network, groups = three_blocks()
    algorithm = dalib.FineTune(blocks=blocks, decay=decay)
    algorithm.attach(network)
    found: dict[Tensor, float] = {}
    for module, factor in algorithm.rates(0.1):
        found.update(dict.fromkeys(module.parameters(), factor))
    return [found[next(m.parameters())] for m in (*groups, network.bottleneck, network.head)]


def test_fine_tune_freezes_and_discriminates_by_block() -> None:
    assert factors("head") == [0, 0, 0, 1, 1]
    assert factors(1) == [0, 0, 0.1, 1, 1]
    assert factors(2) == [0, 0.05, 0.1, 1, 1]
    assert factors(3) == factors("all") == [0.025, 0.05, 0.1, 1, 1]
    assert factors("all", decay=1.0) == [0.1, 0.1, 0.1, 1, 1]
