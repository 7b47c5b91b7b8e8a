"""DELTA, BSS, StochNorm, Bi-Tuning, LoRA, adapters and the gradient-norm penalty on tiny networks and images."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import dalib
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS, BACKBONES
from dalib.core.types import Domain, Source, Target, Task
from dalib.nn.adapter import Adapter
from dalib.nn.low_rank import LowRank
from dalib.nn.stoch_norm import StochNorm2d
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.loop import Loop
from dalib.train.model_file import load_model, save_model
from dalib.train.trainer import Trainer

sys.path.append(str(Path(__file__).parents[1] / "train"))

from tests.support.image_world import copy_state, differing, make_backbone, make_image_task, recipe

NAMES = ("delta", "bss", "stoch_norm", "bi_tuning", "lora", "adapters", "gradient_norm")
EFFICIENT = ("lora", "adapters")


def make(name: str, **hparams: Any) -> Algorithm:
    made: Algorithm = ALGORITHMS.get(name)(**hparams)
    return made


def on_images(name: str, backbone: Backbone | None = None, hparams: Any = None, **changes: Any) -> Fitted:
    backbone = backbone or make_backbone()
    return Trainer(recipe(**changes), device="cpu").fit(make(name, **(hparams or {})), make_image_task(), backbone)


def attached(name: str, backbone: Backbone | None = None, **hparams: Any) -> Algorithm:
    torch.manual_seed(0)
    algorithm = make(name, **hparams)
    algorithm.attach(Network(backbone or make_backbone(), 3, bottleneck=0))
    nn.init.normal_(algorithm.network.head.weight)
    return algorithm


def image_batch(algorithm: Algorithm, n: int = 6) -> tuple[Source, Target]:
    x, y = torch.randn(n, 3, 12, 12, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3
    z, logits = algorithm.network(x)
    zeros = torch.zeros(n, dtype=torch.long)
    nothing = Target(x[:0], zeros[:0], z[:0], logits[:0])
    return Source(x, torch.arange(n), y, z, logits, zeros), nothing


# on images, through the trainer


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_run_on_images_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    def kill(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    def fit(path: Path | None, report: Any = None) -> Fitted:
        trainer = Trainer(recipe(), device="cpu", checkpoint=path, checkpoint_seconds=-1.0, report=report)
        return trainer.fit(make(name), make_image_task(), make_backbone(dropout=0.3))

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "checkpoint.pt", kill)
    assert (tmp_path / "checkpoint.pt").is_file()
    whole, resumed = fit(None), fit(tmp_path / "checkpoint.pt")
    assert differing(copy_state(whole.algorithm), copy_state(resumed.algorithm)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_model_file_predicts_what_was_fitted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BACKBONES, "_extra", {**BACKBONES._extra, "small": lambda name, weights: make_backbone()})
    fitted, domain = on_images(name), make_image_task().test
    loaded = load_model(save_model(fitted, tmp_path / "model", name), device="cpu")
    assert torch.equal(loaded.outputs(domain).logits, fitted.outputs(domain).logits)
    again = make(name)
    again.attach(Network(make_backbone(), 3, fitted.config.bottleneck))
    again.load_state_dict(fitted.algorithm.state_dict())
    assert differing(copy_state(again), copy_state(fitted.algorithm)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16", "channels_last": True, "forward": "separate"},
        {"batch_norm": "eval", "clip": 0.5},
        {"batch_norm": "reestimate", "optimiser": "adamw", "lr": 0.01},
        {"backbone_rate": 0.0},
    ],
    ids=["bf16", "eval", "reestimate", "frozen"],
)
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_trains_to_finite_outputs(name: str, changes: dict[str, Any]) -> None:
    fitted = on_images(name, steps=4, **changes)
    assert fitted.outputs(make_image_task().test).logits.isfinite().all()
    assert all(math.isfinite(v) for values in fitted.curve.values() for v in values)


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_may_be_fitted_twice(name: str) -> None:
    backbone = make_backbone()
    first = on_images(name, backbone, steps=4)
    keys = list(first.algorithm.state_dict())
    second = on_images(name, backbone, steps=4)
    assert list(second.algorithm.state_dict()) == keys
    assert second.outputs(make_image_task().test).logits.isfinite().all()


# DELTA


def test_delta_is_half_the_squared_distance_of_both_blocks_maps() -> None:
    algorithm = attached("delta", weight=0.3)
    module = algorithm.network.backbone
    with torch.no_grad():
        module[0][0].weight.mul_(1.5)
        module[1][0].bias.add_(0.2)
    pretrained = make_backbone().module.eval()
    source, target = image_batch(algorithm)
    expected = 0.0
    with torch.no_grad():
        mine, kept = copy.deepcopy(module)[0](source.x), pretrained[0](source.x)
        pairs = [(mine, kept), (copy.deepcopy(module)[1](mine), pretrained[1](kept))]
    for a, b in pairs:
        rows, channels, height, width = a.shape
        difference = (a - b).double().numpy() ** 2
        each = [sum(difference[i, c].sum() / (height * width) for c in range(channels)) for i in range(rows)]
        expected += 0.3 * 0.5 * float(np.mean(each))
    term = algorithm.loss(source, target, 0.5)["feature_maps"]
    assert float(term.detach()) == pytest.approx(expected, rel=1e-4)
    term.backward()
    assert module[1][0].bias.grad is not None and all(p.grad is None for p in algorithm.pretrained.parameters())


def test_deltas_distance_is_zero_before_training_without_batch_statistics() -> None:
    algorithm = attached("delta", make_backbone(norm=False))
    assert float(algorithm.loss(*image_batch(algorithm), 0.0)["feature_maps"].detach()) == 0


def test_delta_keeps_maps_near_those_of_a_network_that_does_not_learn() -> None:
    kept, distances = make_backbone().module.state_dict(), []
    for weight in (0.0, 0.64):
        algorithm = on_images("delta", hparams={"weight": weight}, batch_norm="eval").algorithm
        assert differing(copy_state(algorithm.pretrained), kept) == []
        algorithm.weight = 1.0
        distances.append(float(algorithm.loss(*image_batch(algorithm), 1.0)["feature_maps"].detach()))
    assert 0 < distances[1] < 0.5 * distances[0], distances


# BSS


def test_bss_shrinks_the_smallest_singular_values() -> None:
    algorithm = attached("bss", weight=0.1, k=2)
    source, target = image_batch(algorithm)
    s = np.linalg.svd(source.z.detach().numpy(), compute_uv=False)
    term = algorithm.loss(source, target, 0.5)["shrinkage"]
    assert float(term.detach()) == pytest.approx(0.1 * float(s[-1] ** 2 + s[-2] ** 2), rel=1e-4)
    smallest = []
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        trained = attached("bss", weight=weight)
        loop = Loop(trained, torch.optim.SGD(trained.parameters(), lr=0.02))
        for _ in range(40):
            loop.step(source.x, source.y, source.x[:0], 0.5)
        z = trained.network(source.x)[0].detach()
        smallest.append(float(torch.linalg.svdvals(z)[-1] / torch.linalg.svdvals(z)[0]))
    assert smallest[1] < 0.2 * smallest[0]


# StochNorm


def test_stoch_norm_replaces_the_backbones_batch_norms_and_keeps_their_state() -> None:
    algorithm = make("stoch_norm", p=0.25)
    algorithm.attach(Network(make_backbone(), 3, bottleneck=8))
    norms = [m for m in algorithm.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert [type(m) for m in norms] == [StochNorm2d, StochNorm2d, nn.BatchNorm1d]
    assert [m.p for m in norms[:2]] == [0.25, 0.25]
    assert differing(copy_state(algorithm.network.backbone), copy_state(make_backbone().module)) == []


def test_stoch_norm_with_p_1_is_fine_tuning_and_with_p_0_trains_on_moving_statistics() -> None:
    logits = {
        p: on_images("stoch_norm", hparams={"p": p}).outputs(make_image_task().test).logits for p in (0.0, 0.5, 1.0)
    }
    plain = on_images("source_only").outputs(make_image_task().test).logits
    torch.testing.assert_close(logits[1.0], plain, rtol=1e-3, atol=1e-4)
    assert all(float((logits[p] - plain).abs().max()) > 0.01 for p in (0.0, 0.5))


# parameter-efficient methods


@pytest.mark.parametrize("name", EFFICIENT)
def test_pretrained_weights_stay_and_what_was_added_learns(name: str) -> None:
    fitted = on_images(name, hparams={"rank": 2} if name == "lora" else {"width": 3})
    network = fitted.algorithm.network
    state = copy_state(network.backbone)
    for words in (("parametrizations.", ""), (".original", ""), (".block", "")):
        state = {k.replace(*words): v for k, v in state.items()}
    kept = make_backbone().module.state_dict()
    changed = {k for k, v in kept.items() if not torch.equal(state[k], v)}
    norms = {k for k in kept if k.split(".")[1] == "1"}
    assert changed == (norms if name == "adapters" else set())
    added = [m for m in network.backbone.modules() if isinstance(m, LowRank | Adapter)]
    assert len(added) == 2
    assert all(bool((m.B if isinstance(m, LowRank) else m.up.weight).any()) for m in added)
    trained = {p for p in fitted.algorithm.parameters() if p.requires_grad}
    assert {p for m in added for p in m.parameters()} <= trained
    assert {*network.head.parameters(), *network.bottleneck.parameters()} <= trained


@pytest.mark.parametrize("name", EFFICIENT)
def test_nothing_changes_before_training(name: str) -> None:
    algorithm, x = attached(name).eval(), torch.randn(4, 3, 12, 12)
    assert torch.equal(algorithm.network.backbone(x), make_backbone().module.eval()(x))


@pytest.mark.parametrize("name", EFFICIENT)
@pytest.mark.parametrize(("blocks", "touched"), [("all", {"0", "1"}), ("first", {"0"}), (1, {"1"}), (2, {"0", "1"})])
def test_only_the_chosen_blocks_change(name: str, blocks: int | str, touched: set[str]) -> None:
    backbone = attached(name, blocks=blocks).network.backbone
    places = {n.partition(".")[0] for n, m in backbone.named_modules() if isinstance(m, LowRank | Adapter)}
    assert places == touched
    fitted = on_images(name, hparams={"blocks": blocks})
    learned = {n.partition(".")[0] for n, p in fitted.algorithm.network.backbone.named_parameters() if p.requires_grad}
    assert learned == touched


def test_lora_and_adapters_have_no_more_blocks_than_the_backbone() -> None:
    for name in EFFICIENT:
        with pytest.raises(DalibError, match=rf"{name}.blocks = 3, but the backbone has 2"):
            attached(name, blocks=3)


def test_the_scale_of_an_update_is_alpha_over_rank() -> None:
    algorithm = attached("lora", rank=2, alpha=3.0)
    assert {m.scale for m in algorithm.modules() if isinstance(m, LowRank)} == {1.5}


# a world of features whose backbone has weights


def world(signal: Any, n: int, few: int = 0, width: int = 20) -> Task:
    """n test rows of standard normals; y = signal(x) in {0, 1}; the training rows are `few` or n others."""
    rng = np.random.default_rng(0)
    domains = []
    for name, rows in (("train", few or n), ("test", n)):
        x = rng.standard_normal((rows, width)).astype(np.float32)
        domains.append(Domain(name, x, signal(x).astype(np.int64), ("no", "yes"), f"{name}-{rows}"))
    train, test = domains
    return Task("train->test", train, train.unlabelled(), train.take(np.arange(0), "none"), test, "supervised")


def reached(name: str, task: Task, backbone: Backbone, hparams: Any = None, **changes: Any) -> float:
    settings = {"steps": 300, "batch_size": 32, "bottleneck": 0, "lr": 0.1, "backbone_rate": 1.0, "evaluations": 1}
    config = TrainConfig(**{**settings, **changes})
    fitted = Trainer(config, device="cpu").fit(make(name, **(hparams or {})), task, backbone)
    return float((fitted.outputs(task.test).logits.argmax(1).numpy() == task.test.labels).mean())


def hiding() -> Backbone:
    """Passes on the first two of 20 inputs and turns the others into 0."""
    first = nn.Linear(20, 20)
    with torch.no_grad():
        first.weight.copy_(torch.diag(torch.arange(20) < 2))
        first.bias.zero_()
    return Backbone("hiding", nn.Sequential(first), 20, [first])


def test_a_low_rank_update_reads_what_the_frozen_backbone_hides() -> None:
    task = world(lambda x: x[:, 7] > 0, 300)
    assert reached("fine_tune", task, hiding(), {"blocks": "head"}) < 0.6
    assert reached("lora", task, hiding(), {"rank": 1, "alpha": 1.0}) > 0.9


def test_an_adapter_bends_what_the_head_needs_straight_but_reads_nothing_hidden() -> None:
    product = world(lambda x: x[:, 0] * x[:, 1] > 0, 300)
    assert reached("fine_tune", product, hiding(), {"blocks": "head"}) < 0.65

    assert reached("adapters", product, hiding(), steps=600) > 0.9
    assert reached("adapters", world(lambda x: x[:, 7] > 0, 300), hiding()) < 0.6


def test_delta_beats_plain_fine_tuning_where_rows_are_few_and_the_pretrained_maps_are_good() -> None:
    task = world(lambda x: x[:, 0] > 0, 400, few=12)
    free, near = (reached("delta", task, hiding(), {"weight": w}) for w in (0.0, 3.0))
    assert near > free + 0.03, (free, near)


# Bi-Tuning


def test_bi_tunings_terms_are_plain_loops_over_rows_and_keys() -> None:
    algorithm = attached("bi_tuning", weight=0.5, queue=3, projection=4, temperature=0.3)
    stored = torch.randn(3, 3, 13, generator=torch.Generator().manual_seed(1))
    stored[..., :9] /= stored[..., :9].norm(dim=2, keepdim=True)
    stored[..., 9:] /= stored[..., 9:].norm(dim=2, keepdim=True)
    stored[1, 2], stored[2] = 0.0, 0.0
    algorithm.keys.copy_(stored)
    source, target = image_batch(algorithm)
    terms = {k: float(v.detach()) for k, v in algorithm.loss(source, target, 0.5).items()}

    def unit(v: np.ndarray) -> np.ndarray:
        return v / np.linalg.norm(v, axis=-1, keepdims=True)

    def extended(z: np.ndarray) -> np.ndarray:
        return unit(np.concatenate([z, np.ones((len(z), 1))], 1))

    with torch.no_grad():
        z_key = algorithm.encoder[0].eval()(source.x)
        u, q = (unit(algorithm.projector(z).double().numpy()) for z in (z_key, source.z))
    h, h_key, y = extended(source.z.detach().double().numpy()), extended(z_key.double().numpy()), source.y.numpy()
    head = algorithm.network.head
    w = unit(torch.cat([head.weight, head.bias[:, None]], 1).detach().double().numpy())
    keys: list[list[np.ndarray]] = [[], [], []]
    for k in range(3):
        new = [np.concatenate([h_key[i], u[i]]) for i in range(6) if y[i] == k]
        keys[k] = [*new, *(v for v in stored[k].double().numpy() if v.any())][:3]

    def contrast(query: list[np.ndarray], own: list[float], part: slice) -> float:
        values = []
        for i in range(6):
            each = [(own[i], True)] + [(query[i] @ v[part], k == y[i]) for k in range(3) for v in keys[k]]
            below = math.log(sum(math.exp(s / 0.3) for s, _ in each))
            values.append(-np.mean([s / 0.3 - below for s, mine in each if mine]))
        return float(np.mean(values))

    expected_head = contrast([w[k] for k in y], [float(h[i] @ w[y[i]]) for i in range(6)], slice(0, 9))
    expected_projection = contrast(list(q), [float(q[i] @ u[i]) for i in range(6)], slice(9, 13))
    assert terms["head_contrast"] == pytest.approx(0.5 * expected_head, abs=1e-4)
    assert terms["projection_contrast"] == pytest.approx(0.5 * expected_projection, abs=1e-4)


def test_bi_tunings_second_encoder_is_the_average_of_past_networks_and_its_keys_are_stored() -> None:
    algorithm = attached("bi_tuning", queue=2, projection=4)
    loop = Loop(algorithm, torch.optim.SGD(algorithm.network.parameters(), lr=0.1))
    source, _ = image_batch(algorithm)
    past = []
    for _ in range(3):
        past.append(algorithm.network.backbone[0][0].weight.detach().clone())
        loop.step(source.x, source.y, source.x[:0], 0.5)
    followed = algorithm.encoder[0][0][0].weight
    torch.testing.assert_close(followed, torch.stack(past).mean(0), rtol=1e-5, atol=1e-6)
    assert not torch.equal(past[0], past[2])
    with torch.no_grad():
        z = algorithm.encoder[0].eval()(source.x)
    expected = F.normalize(torch.cat([z, torch.ones(6, 1)], 1))
    for k in range(3):
        torch.testing.assert_close(algorithm.keys[k, :, :9], expected[source.y == k], rtol=1e-5, atol=1e-6)


def test_bi_tunings_contrasts_alone_draw_rows_of_a_class_together() -> None:
    class Contrasting(Loop):
        def __call__(self, terms: Terms, only: Sequence[nn.Module] | None = None) -> None:
            super().__call__({k: v for k, v in terms.items() if k != "classification"}, only)

    algorithm = attached("bi_tuning", projection=8).train()
    loop = Contrasting(algorithm, torch.optim.SGD(algorithm.network.backbone.parameters(), lr=0.01, momentum=0.9))
    task = make_image_task(side=12)
    x, y = torch.as_tensor(task.labelled.x).float() / 128 - 1, torch.as_tensor(task.labelled.labels)

    def together() -> float:
        with torch.no_grad():
            q = F.normalize(algorithm.projector(algorithm.network(x)[0]))
        same = y[:, None] == y
        return float((q @ q.T)[same].mean() - (q @ q.T)[~same].mean())

    before = together()
    for _ in range(20):
        loop.step(x, y, x[:0], 0.5)
    assert together() > before + 0.15


# the gradient-norm penalty


def logistic(x: np.ndarray, y: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross-entropy and its gradient in (w, b), flattened."""
    g = x @ w.T + b
    p = np.exp(g - g.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    value = -np.log(p[np.arange(len(y)), y]).mean()
    p[np.arange(len(y)), y] -= 1
    return float(value), np.concatenate([(p.T @ x / len(y)).ravel(), p.mean(0)])


def test_the_step_follows_the_gradient_of_the_penalised_loss() -> None:
    weight, r, lr = 0.06, 0.1, 0.5
    algorithm = make("gradient_norm", weight=weight, r=r)
    algorithm.attach(Network.on_features(5, 3, bottleneck=0))
    algorithm.double()
    head = algorithm.network.head
    nn.init.normal_(head.weight)
    x, y = torch.randn(12, 5, dtype=torch.float64), torch.arange(12) % 3
    w, b = (p.detach().numpy().copy() for p in (head.weight, head.bias))

    def at(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return logistic(x.numpy(), y.numpy(), theta[:15].reshape(3, 5), theta[15:])

    theta = np.concatenate([w.ravel(), b])
    here, g = at(theta)
    there, g_there = at(theta + r * g / np.linalg.norm(g))
    terms = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=lr)).step(x, y, x[:0], 0.5)
    assert float(terms["classification"]) == pytest.approx(here, abs=1e-10)
    assert float(terms["gradient_norm"]) == pytest.approx(weight / r * (there - here), abs=1e-10)
    moved = np.concatenate([p.detach().numpy().ravel() for p in (head.weight, head.bias)])
    expected = (1 - weight / r) * g + weight / r * g_there
    np.testing.assert_allclose(moved, theta - lr * expected, rtol=0, atol=1e-10)

    def penalised(t: np.ndarray) -> float:
        value, gradient = at(t)
        return value + weight * float(np.linalg.norm(gradient))

    exact = np.array([(penalised(theta + e) - penalised(theta - e)) / 2e-6 for e in 1e-6 * np.eye(len(theta))])
    assert np.linalg.norm(expected - exact) < 0.2 * np.linalg.norm(g - exact)


def test_the_penalty_leads_to_a_smaller_gradient() -> None:
    norms = []
    for weight in (0.0, 0.08):
        algorithm = attached("gradient_norm", weight=weight)
        loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.05))
        source, _ = image_batch(algorithm, 12)
        for _ in range(30):
            loop.step(source.x, source.y, source.x[:0], 0.5)
        value = algorithm.loss(*image_batch(algorithm, 12), 0.5)["classification"]
        parts = torch.autograd.grad(value, list(algorithm.network.parameters()))
        norms.append(float(torch.cat([p.flatten() for p in parts]).norm() / value.detach().sqrt()))
    assert norms[1] < norms[0]


def test_without_a_gradient_weights_stay() -> None:
    algorithm = make("gradient_norm")
    algorithm.attach(Network.on_features(4, 2, bottleneck=0))
    nn.init.zeros_(algorithm.network.head.weight)
    before = copy_state(algorithm)
    x, y = torch.zeros(4, 4), torch.arange(4) % 2
    Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.1)).step(x, y, x[:0], 0.5)
    assert differing(before, copy_state(algorithm)) == []


# ranges, sums


@pytest.mark.parametrize(
    ("name", "hparams", "message"),
    [
        ("delta", {"weight": -1.0}, "delta.weight = -1.0 is out of range"),
        ("bss", {"k": 0}, "bss.k = 0 is out of range; give a whole number >= 1"),
        ("bss", {"weight": math.nan}, "bss.weight = nan"),
        ("stoch_norm", {"p": 1.5}, "stoch_norm.p = 1.5 is out of range; give a number in [0, 1]"),
        ("bi_tuning", {"momentum": 1.0}, "bi_tuning.momentum = 1.0"),
        ("bi_tuning", {"queue": 1.5}, "bi_tuning.queue = 1.5"),
        ("bi_tuning", {"temperature": 0.0}, "bi_tuning.temperature = 0.0"),
        ("lora", {"rank": 0}, "rank = 0 is out of range; give a whole number >= 1"),
        ("lora", {"alpha": 0.0}, "alpha = 0.0 is out of range; give a number > 0"),
        ("adapters", {"width": 0}, "adapters.width = 0"),
        ("adapters", {"blocks": 0}, "adapters.blocks = 0; give 'all', 'first' or a whole number >= 1"),
        ("gradient_norm", {"r": 0.0}, "gradient_norm.r = 0.0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(name: str, hparams: Any, message: str) -> None:
    with pytest.raises(DalibError) as error:
        attached(name, **hparams)
    assert message in str(error.value)


def test_a_penalty_may_be_added_to_another_method() -> None:
    both = dalib.DELTA(weight=0.5) + dalib.BSS()
    both.attach(Network(make_backbone(), 3, bottleneck=0))
    both.train()
    assert {*both.loss(*image_batch(both), 0.5)} == {"classification", "feature_maps", "shrinkage"}
    assert not any(m.training for m in both.get_submodule("delta.pretrained").modules())
