"""ADDA, SHOT, TENT, AdaBN and pseudo-labels: terms, phases, what moves in them, and the shifts they are built for."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy as scipy_entropy
from test_shifts import D, Data, K, translated
from torch import Tensor, nn

import dalib
from dalib.checks.world import equal_states, fit
from dalib.core.algorithm import Algorithm, Minimise
from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.types import Domain, Source, Target, Task
from dalib.nn.metrics import accuracy
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.trainer import Trainer

RECIPE = TrainConfig(steps=240, batch_size=36, bottleneck=32, lr=0.02, evaluations=2)
PHASED = ["ADDA", "SHOT", "TENT"]
ADAPTED = ["AdaBN", "TENT", "ADDA"]


def scaled() -> Data:
    """Each feature of the target has a scale and an offset of its own."""
    x_s, y_s, x_t, y_t = translated(0.0)
    return x_s, y_s, x_t * torch.tensor([0.3, 2.0, 1.0, 1.0]) + torch.tensor([2.0, -2.0, 1.0, 0.0]), y_t


def turned(degrees: float = 35.0) -> Data:
    """The classes' square is turned and moved: statistics alone do not bring it back."""
    x_s, y_s, x_t, y_t = translated()
    turn = torch.eye(D)
    a = math.radians(degrees)
    turn[:2, :2] = torch.tensor([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    return x_s, y_s, x_t @ turn, y_t


def make_task(data: Data) -> Task:
    x_s, y_s, x_t, y_t = data
    classes = tuple("abcd")
    source, target = (
        Domain(n, x.numpy().copy(), y.numpy(), classes, n) for n, x, y in (("s", x_s, y_s), ("t", x_t, y_t))
    )
    return Task("s->t", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


def norm_first() -> Backbone:
    return Backbone("norm", nn.BatchNorm1d(D), D)


def plain_layers() -> Backbone:
    """No batch norm anywhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Backbone("layers", nn.Sequential(nn.Linear(D, 32), nn.ReLU(), nn.Linear(32, D)), D)


def make(name: str, **hparams: Any) -> Algorithm:
    """With a small discriminator."""
    return getattr(dalib, name)(**({"hidden": 64} if name == "ADDA" else {}), **hparams)


def train(
    algorithm: Algorithm | str, task: Task, backbone: Backbone | None = None, evaluate: Any = None, **changes: Any
) -> Fitted:
    algorithm = make(algorithm) if isinstance(algorithm, str) else algorithm
    config = TrainConfig(**{**RECIPE.model_dump(), **changes})
    return Trainer(config, device="cpu", evaluate=evaluate).fit(algorithm, task, backbone or identity(D))


def reached(fitted: Fitted, task: Task) -> float:
    return accuracy(fitted.outputs(task.test).logits, torch.as_tensor(task.test.labels))


@cache
def source_only(data: Callable[[], Data]) -> float:
    return reached(train("SourceOnly", make_task(data())), make_task(data()))


def copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def watched(name: str, **hparams: Any) -> tuple[Algorithm, dict[str, Tensor], list[tuple[int, Tensor, bool]]]:
    """The algorithm, its network as phase one left it, and (source rows, target's x, adapting) of each step."""
    kept: dict[str, Tensor] = {}
    seen: list[tuple[int, Tensor, bool]] = []

    class Watching(getattr(dalib, name)):  # type: ignore[misc]
        def begin(self) -> None:
            super().begin()
            kept.update(copy_state(self.network))

        def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
            seen.append((len(source), target.x, self.adapting))
            super().step(source, target, progress, minimise)

    return Watching(**make(name, **hparams).hparams), kept, seen


@pytest.mark.parametrize("name", PHASED)
def test_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda(name: str) -> None:
    task = make_task(translated())
    algorithm, _, seen = watched(name, pretrain=0.25)
    train(algorithm, task, steps=40)
    assert [adapting for *_, adapting in seen] == [False] * 10 + [True] * 30
    source_rows, target_rows = ({*d.x[:, 0].tolist()} for d in (task.labelled, task.target))
    for n, x, adapting in seen:
        assert {*x[:, 0].tolist()} <= (target_rows if adapting else source_rows)
        assert n == (0 if adapting and name != "ADDA" else 36)


@pytest.mark.parametrize("name", PHASED)
def test_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda(name: str) -> None:
    clean, spoilt = make_task(translated()), make_task(translated())

    class Spoiling(getattr(dalib, name)):  # type: ignore[misc]
        def begin(self) -> None:
            super().begin()
            spoilt.labelled.x[:] = 50.0
            spoilt.labelled.labels[:] = 0

    where = equal_states(
        train(name, clean, steps=40).algorithm, train(Spoiling(**make(name).hparams), spoilt, steps=40).algorithm
    )
    assert bool(where) == (name == "ADDA")


@pytest.mark.parametrize(
    ("name", "moving"),
    [
        ("ADDA", ("backbone.", "bottleneck.")),
        ("SHOT", ("backbone.", "bottleneck.")),
        ("TENT", ("backbone.", "bottleneck.1.")),
    ],
)
def test_only_the_parts_that_may_move_in_phase_two(name: str, moving: tuple[str, ...]) -> None:
    """The backbone is one batch norm, the bottleneck linear, batch norm, ReLU."""
    algorithm, before, _ = watched(name)
    fitted = train(algorithm, make_task(turned()), norm_first(), steps=40)
    changed = {k for k, v in copy_state(fitted.algorithm.network).items() if not torch.equal(v, before[k])}
    parameters = {k for k, _ in fitted.algorithm.network.named_parameters()}
    assert changed & parameters == {k for k in parameters if k.startswith(moving)}


def test_addas_source_encoder_is_the_network_of_phase_one_and_stays() -> None:
    algorithm, before, _ = watched("ADDA")
    train(algorithm, make_task(translated()), norm_first(), steps=40)
    copies = copy_state(algorithm.source_encoder)  # type: ignore[arg-type]
    expected = [v for k, v in before.items() if not k.startswith("head.")]
    assert len(copies) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(copies.values(), expected, strict=True))


def test_addas_target_encoder_normalises_target_rows_among_themselves() -> None:
    """Although the recipe's forward pass is joint, and the source batch is there."""
    same: list[bool] = []

    class Watching(dalib.ADDA):  # type: ignore[misc, name-defined]
        def _tell(self, source: Source, target: Target) -> Tensor:
            same.append(torch.allclose(target.z, self.network(target.x)[0], atol=1e-5))
            return super()._tell(source, target)

    train(Watching(8), make_task(translated()), norm_first(), steps=8)
    assert same == [True] * 4


@pytest.mark.parametrize("name", [*PHASED, "AdaBN"])
def test_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    cls, path, changes = getattr(dalib, name), tmp_path / "checkpoint.pt", {"steps": 40, "evaluations": 4}
    for kill_at in (10, 20, 30, 40):

        def kill(step: int, steps: int, at: int = kill_at) -> None:
            if step == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(cls, checkpoint=path, checkpoint_seconds=-1.0, report=kill, **changes)
    resumed = fit(cls, checkpoint=path, checkpoint_seconds=-1.0, **changes)
    whole = fit(cls, **changes)
    assert equal_states(whole.algorithm, resumed.algorithm) == ""
    assert whole.candidates == resumed.candidates and whole.curve == resumed.curve


@pytest.mark.parametrize("changes", [{}, {"batch_norm": "eval"}, {"backbone_rate": 0.0}])
@pytest.mark.parametrize("name", ADAPTED)
def test_adapting_candidates_does_not_change_what_training_does(name: str, changes: dict[str, Any]) -> None:
    """With frozen statistics, too, which the training steps use: the target's are put aside again."""
    task = make_task(scaled())
    states = [
        train(name, task, norm_first(), evaluate, steps=24, evaluations=n, **changes).algorithm
        for n, evaluate in ((1, None), (6, None), (6, lambda fitted, step: {"a": reached(fitted, task)}))
    ]
    assert equal_states(states[0], states[1]) == "" == equal_states(states[0], states[2])


def test_adabn_undoes_scale_and_offset_of_every_feature_in_every_candidate() -> None:
    """Its logits are those of the target without them, row by row."""
    found: list[list[Tensor]] = []
    for data in (translated(0.0), scaled()):
        task, seen = make_task(data), []
        train("AdaBN", task, norm_first(), lambda f, _, t=task, s=seen: s.append(f.outputs(t.test).logits) or {})
        found.append(seen)
    assert len(found[0]) == len(found[1]) == 2
    for plain, shifted in zip(*found, strict=True):
        torch.testing.assert_close(shifted, plain, rtol=1e-2, atol=1e-2)
        assert accuracy(shifted, scaled()[3]) > 0.95
    assert source_only(scaled) < 0.6


@pytest.mark.parametrize("name", ADAPTED)
def test_predictions_use_the_statistics_of_the_whole_target(name: str) -> None:
    task = make_task(scaled())
    norm = train(name, task, norm_first(), steps=20).algorithm.network.backbone
    np.testing.assert_allclose(norm.running_mean, task.target.x.mean(0), rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(norm.running_var, task.target.x.var(0, ddof=1), rtol=1e-4)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["AdaBN", "TENT"])
def test_a_network_without_batch_norm_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(DalibError, match=f"{name.lower()} .*batch norms.*none.*set bottleneck"):
        train(name, make_task(translated()), plain_layers(), bottleneck=0)


def test_tent_with_frozen_batch_norms_is_refused_before_it_trains() -> None:
    with pytest.raises(DalibError, match="none may learn; set bottleneck or backbone_rate > 0"):
        train("TENT", make_task(translated()), norm_first(), bottleneck=0, backbone_rate=0.0)


@pytest.mark.parametrize(
    ("name", "data", "margin"),
    [
        ("ADDA", turned, 0.15),
        ("SHOT", turned, 0.3),
        ("TENT", turned, 0.1),
        ("AdaBN", turned, 0.1),
        ("AdaBN", translated, 0.2),
        ("PseudoLabel", translated, 0.05),
    ],
)
def test_a_method_beats_source_only_on_its_shift(name: str, data: Callable[[], Data], margin: float) -> None:
    after = reached(train(name, make_task(data())), make_task(data()))
    assert after > source_only(data) + margin, f"{name}: {after:.3f}, source only: {source_only(data):.3f}"


@pytest.mark.parametrize("name", [*PHASED, "AdaBN", "PseudoLabel"])
def test_a_method_does_no_harm_without_a_shift(name: str) -> None:
    task = make_task(translated(0.0))
    assert reached(train(name, task), task) > 0.95


def test_shots_pseudo_labels_add_to_information_maximisation() -> None:
    task = make_task(turned())
    without, with_labels = (reached(train(dalib.SHOT(weight=w), task), task) for w in (0.0, 0.3))
    assert with_labels > without + 0.02


def test_shot_labels_the_whole_target_before_each_pass_of_phase_two() -> None:
    calls: list[int | None] = []

    class Watching(dalib.SHOT):  # type: ignore[misc, name-defined]
        def begin_epoch(self, trainer: Any, target: Domain) -> None:
            super().begin_epoch(trainer, target)
            calls.append(None if self.labels is None else len(self.labels))

    task = make_task(turned())
    fitted = train(Watching(), task, steps=40)
    assert calls == [None] * 3 + [240] * 3
    agree = fitted.algorithm.labels == torch.as_tensor(task.test.labels)  # type: ignore[operator]
    assert float(agree.float().mean()) > source_only(turned)


def test_addas_adversary_learns_to_tell_separable_features_and_inverted_labels_make_them_confuse_it() -> None:
    algorithm = attached("ADDA", hidden=64)
    source, target = batch(40, 30)
    z_t = (target.z + 2).requires_grad_()
    right = []
    for term, learning, lr in (("discriminator", [*algorithm.discriminator.parameters()], 0.01), ("fool", [z_t], 0.2)):
        optimiser = torch.optim.Adam(learning, lr=lr)
        for _ in range(60):
            optimiser.zero_grad()
            algorithm.loss(source, Target.of(z_t, target.logits), 0.5)[term].backward()
            optimiser.step()
        told = algorithm.discriminator(torch.cat([source.z, z_t])) > 0
        right += [float(told[:40].double().mean()), float((~told[40:]).double().mean())]
    assert right[0] > 0.9 and right[1] > 0.9 and right[2] == right[0] and right[3] < 0.1


def play_adda(rate: float) -> tuple[float, float]:
    """Accuracy of the adversary in the last 40 steps, and of the classifier on the target."""
    told: list[float] = []

    class Watching(dalib.ADDA):  # type: ignore[misc, name-defined]
        def _tell(self, source: Source, target: Target) -> Tensor:
            with torch.no_grad():
                d_s, d_t = self.discriminator(self.source_encoder(source.x)), self.discriminator(target.z)
            told.append(float((torch.cat([d_s, -d_t]) > 0).float().mean()))
            return super()._tell(source, target)

    task = make_task(translated())
    fitted = train(Watching(64, rate=rate), task, plain_layers(), bottleneck=0, backbone_rate=1.0, steps=400)
    return float(np.mean(told[-40:])), reached(fitted, task)


def test_without_batch_norms_the_target_encoder_of_adda_confuses_the_adversary_by_itself() -> None:
    still, moving = play_adda(1e-9), play_adda(0.2)
    assert still[0] > 0.8 > 0.7 > moving[0]
    assert moving[1] > still[1] + 0.2


def attached(name: str, **hparams: Any) -> Algorithm:
    torch.manual_seed(0)
    algorithm: Algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(D, K, bottleneck=0))
    return algorithm.double()


def batch(n: int = 9, m: int = 7) -> tuple[Source, Target]:
    g = torch.Generator().manual_seed(0)
    z_s, z_t, g_s, g_t = (torch.randn(r, c, generator=g).double() for r, c in ((n, D), (m, D), (n, K), (m, K)))
    return Source.of(z_s, 2 * g_s, torch.arange(n) % 3), Target.of(z_t + 1, (3 * g_t).requires_grad_())


def test_addas_terms_are_the_two_cross_entropies_with_inverted_labels() -> None:
    source, target = batch()
    algorithm = attached("ADDA", hidden=8)
    terms = algorithm.loss(source, target, 0.5)
    d_s, d_t = (algorithm.discriminator(z).detach().numpy() for z in (source.z, target.z))  # type: ignore[operator]
    told = np.mean([math.log(1 + math.exp(-d)) for d in d_s]) + np.mean([math.log(1 + math.exp(d)) for d in d_t])
    assert terms["discriminator"].item() == pytest.approx(told, abs=1e-8)
    assert terms["fool"].item() == pytest.approx(np.mean([math.log(1 + math.exp(-d)) for d in d_t]), abs=1e-8)


def test_tent_is_the_mean_entropy() -> None:
    source, target = batch()
    expected = np.mean([scipy_entropy(row) for row in softmax(target.logits.detach().numpy(), axis=1)])
    assert attached("TENT").loss(source, target, 0.5)["entropy"].item() == pytest.approx(expected, abs=1e-8)


def test_shots_terms_are_entropies_and_the_cross_entropy_of_the_stored_labels() -> None:
    source, target = batch()
    algorithm = attached("SHOT", weight=0.5)
    assert {*algorithm.loss(source, target, 0.5)} == {"information"}
    algorithm.labels = torch.tensor([3, 1, 0, 2, 2, 1, 0])
    terms = algorithm.loss(source, target, 0.5)
    logits = target.logits.detach().numpy()
    p, log_p = softmax(logits, axis=1), log_softmax(logits, axis=1)
    information = np.mean([scipy_entropy(row) for row in p]) - scipy_entropy(p.mean(0))
    labels = np.mean([-log_p[i, y] for i, y in enumerate(algorithm.labels.tolist())])
    assert terms["information"].item() == pytest.approx(information, abs=1e-8)
    assert terms["pseudo_label"].item() == pytest.approx(0.5 * labels, abs=1e-8)


def test_shot_smooths_the_labels_of_phase_one() -> None:
    source, _ = batch()
    log_p = log_softmax(source.logits.numpy(), axis=1)
    each = [-0.8 * log_p[i, y] - 0.2 * log_p[i].mean() for i, y in enumerate(source.y.tolist())]
    term = attached("SHOT", smoothing=0.2).supervise(source)["classification"]  # type: ignore[operator]
    assert term.item() == pytest.approx(np.mean(each), abs=1e-8)


@pytest.mark.parametrize(("progress", "part"), [(0.0, 0.0), (0.1, 0.0), (0.35, 0.5), (0.6, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("threshold", [0.0, 0.8])
def test_pseudo_labels_of_confident_rows_count_more_as_training_goes_on(
    progress: float, part: float, threshold: float
) -> None:
    source, target = batch()
    logits = target.logits.detach().numpy()
    p = softmax(logits, axis=1)
    total = sum(-math.log(row.max()) for row in p if row.max() >= threshold) / len(p)
    assert 0 < sum(row.max() >= 0.8 for row in p) < len(p)
    algorithm = attached("PseudoLabel", weight=2.0, threshold=threshold)
    for given in (progress, torch.tensor(progress, dtype=torch.float64)):
        term = algorithm.loss(source, target, given)["pseudo_label"]
        assert term.item() == pytest.approx(2 * part * total, abs=1e-8)
    (gradient,) = torch.autograd.grad(term, target.logits)
    used = gradient.abs().sum(1) > 0
    assert used.tolist() == [bool(part) and row.max() >= threshold for row in p]


@pytest.mark.parametrize(
    ("name", "hparams", "message"),
    [
        ("ADDA", {"pretrain": 1.0}, "adda.pretrain = 1.0 is out of range; give a number between 0 and 1"),
        ("ADDA", {"hidden": 0}, "adda.hidden = 0"),
        ("ADDA", {"rate": 0.0}, "adda.rate = 0.0"),
        ("SHOT", {"pretrain": 0.0}, "shot.pretrain = 0.0"),
        ("SHOT", {"smoothing": 1.0}, "shot.smoothing = 1.0 is out of range; give a number >= 0 and < 1"),
        ("SHOT", {"weight": -0.1}, "shot.weight = -0.1"),
        ("TENT", {"rate": 0.0}, "tent.rate = 0.0"),
        ("PseudoLabel", {"threshold": 1.5}, "pseudo_label.threshold = 1.5"),
        ("PseudoLabel", {"start": 0.6}, "pseudo_label.start, end = 0.6, 0.6; give 0 <= start < end <= 1"),
        ("PseudoLabel", {"end": 1.5}, "pseudo_label.start, end = 0.1, 1.5"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(name: str, hparams: Any, message: str) -> None:
    with pytest.raises(DalibError) as error:
        attached(name, **hparams)
    assert message in str(error.value)


def test_nothing_left_to_train_is_one_clear_line() -> None:
    with pytest.raises(DalibError, match="nothing is left to train"):
        fit(dalib.SHOT, bottleneck=0)
