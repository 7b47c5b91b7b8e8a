"""Which weights each fine-tuning strategy moves, when and by how much, on a tiny network of images with batch norms."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import dalib
from dalib.checks.world import equal_states
from dalib.core.algorithm import Algorithm, Minimise
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.types import Source, Target
from dalib.nn.metrics import accuracy
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.loop import Loop
from dalib.train.optimiser import freeze_and_group
from dalib.train.trainer import Trainer
from tests.support.image_world import CLASSES, copy_state, differing, make_backbone, make_image_task, recipe

STRATEGIES = ("DiscriminativeRates", "GradualUnfreezing", "LpFt", "Surgical", "Bitfit", "L2SP", "WiseFt")
PHASED = ("GradualUnfreezing", "LpFt", "WiseFt")


def train(algorithm: Algorithm, backbone: Backbone | None = None, **changes: Any) -> Fitted:
    options = {k: changes.pop(k) for k in ("evaluate", "checkpoint", "report") if k in changes}
    trainer = Trainer(recipe(**changes), device="cpu", checkpoint_seconds=-1.0, **options)
    return trainer.fit(algorithm, make_image_task(), backbone or make_backbone())


def moved(algorithm: Algorithm, **changes: Any) -> set[str]:
    """Entries of the backbone's state that training changed."""
    backbone = make_backbone()
    before = copy_state(backbone.module)
    return set(differing(before, copy_state(train(algorithm, backbone, **changes).backbone.module)))


def entries(block: int, *, parameters_only: bool = False) -> set[str]:
    """State entries of one block of the small network: convolution and batch norm."""
    kinds = ["weight", "bias"] if parameters_only else ["weight", "bias", "running_mean", "running_var"]
    found = {f"{block}.1.{k}" for k in kinds} | {f"{block}.0.weight", f"{block}.0.bias"}
    return found if parameters_only else found | {f"{block}.1.num_batches_tracked"}


def toy(blocks: int = 3) -> tuple[Network, list[nn.Module]]:
    """Blocks of one linear layer, and a parameter outside all of them."""
    layers: list[nn.Module] = [nn.Linear(4, 4) for _ in range(blocks)]
    module = nn.Sequential(nn.Linear(4, 4), *layers)
    return Network(Backbone("toy", module, 4, layers), 3, bottleneck=5), [module[0], *layers]


def factors(algorithm: Algorithm, backbone_rate: float = 0.1) -> list[float]:
    """Factors of the stray layer, the three blocks, the bottleneck and the head."""
    network, layers = toy()
    algorithm.attach(network)
    found: dict[Tensor, float] = {}
    for module, factor in algorithm.rates(backbone_rate):
        found.update(dict.fromkeys(module.parameters(), factor))
    return [found[next(m.parameters())] for m in (*layers, network.bottleneck, network.head)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used(name: str) -> None:
    algorithm = getattr(dalib, name)()
    algorithm.attach(Network.on_features(6, 3, bottleneck=0))
    logits, y = torch.randn(9, 3), torch.arange(9) % 3
    terms = algorithm.loss(Source.of(torch.randn(9, 6), logits, y), Target.of(torch.zeros(0, 6), torch.zeros(0, 3)), 0)
    torch.testing.assert_close(terms, {"classification": cross_entropy(logits, y)})
    assert not algorithm.uses_target and algorithm.family == "fine-tuning"


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_classes_are_learnt(name: str) -> None:
    fitted, task = train(getattr(dalib, name)(), steps=60), make_image_task()
    assert accuracy(fitted.outputs(task.test).logits, torch.as_tensor(task.test.labels)) > 0.9


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_descents_are_no_error(name: str, steps: int) -> None:
    assert train(getattr(dalib, name)(), steps=steps, evaluations=1).candidates[-1]["step"] == steps


@pytest.mark.parametrize("name", [*PHASED, "L2SP"])
def test_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    path, changes = tmp_path / "checkpoint.pt", {"steps": 40, "evaluations": 4, "batch_norm": "reestimate"}

    def scores(fitted: Fitted, step: int) -> dict[str, Any]:
        return {"logit": float(fitted.outputs(make_image_task().test).logits[0, 0])}

    for kill_at in (10, 30):

        def kill(step: int, steps: int, at: int = kill_at) -> None:
            if step == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(getattr(dalib, name)(), evaluate=scores, checkpoint=path, report=kill, **changes)
    resumed = train(getattr(dalib, name)(), evaluate=scores, checkpoint=path, **changes)
    whole = train(getattr(dalib, name)(), evaluate=scores, **changes)
    assert equal_states(whole.algorithm, resumed.algorithm) == ""
    assert whole.candidates == resumed.candidates and whole.curve == resumed.curve


def test_discriminative_rates_divide_the_new_layers_rate_per_block_and_ignore_backbone_rate() -> None:
    expected = [1 / 8, 1 / 8, 1 / 4, 1 / 2, 1, 1]
    assert factors(dalib.DiscriminativeRates(decay=2.0)) == expected
    assert factors(dalib.DiscriminativeRates(decay=2.0), 0.7) == expected
    assert factors(dalib.DiscriminativeRates(), 0.0) == [0, 0, 0, 0, 1, 1]
    assert factors(dalib.DiscriminativeRates(decay=1.0)) == [1] * 6
    assert factors(dalib.DiscriminativeRates())[1:4] == pytest.approx([1 / 2.6**3, 1 / 2.6**2, 1 / 2.6])


def test_gradual_unfreezing_adds_a_block_per_descent_from_the_top() -> None:
    seen: list[list[float]] = []

    class Watching(dalib.GradualUnfreezing):  # type: ignore[misc, name-defined]
        def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
            rates = {p: r for m, r in self.rates(0.5) for p in m.parameters()}
            seen.append([rates[p] for p in (next(g.parameters()) for g in self.network.groups)])
            assert [p.requires_grad for p in rates] == [r > 0 for r in rates.values()]
            super().step(source, target, progress, minimise)

    train(Watching(until=0.5, decay=2.0), steps=16, backbone_rate=0.5)
    assert seen == [[0, 0]] * 4 + [[0, 0.5]] * 4 + [[0.25, 0.5]] * 8


@pytest.mark.parametrize(("until", "blocks"), [(0.99, {1}), (0.5, {0, 1})])
def test_gradual_unfreezing_leaves_frozen_blocks_as_they_are_statistics_included(
    until: float, blocks: set[int]
) -> None:
    """The last descent of 0.99 has no step left."""
    expected = set().union(*(entries(b) for b in blocks))
    assert moved(dalib.GradualUnfreezing(until=until), steps=20) == expected


@pytest.mark.parametrize(("block", "expected"), [("first", 0), ("last", 1), (1, 0), (2, 1)])
def test_surgical_moves_one_block_statistics_included(block: int | str, expected: int) -> None:
    assert moved(dalib.Surgical(block=block)) == entries(expected)


def test_bitfit_moves_the_biases_alone() -> None:
    biases = {f"{block}.{layer}.bias" for block in (0, 1) for layer in (0, 1)}
    assert moved(dalib.Bitfit()) == biases
    network, _ = toy()
    algorithm = dalib.Bitfit(rate=3.0)
    algorithm.attach(network)
    groups, _ = freeze_and_group(algorithm, TrainConfig(backbone_rate=0.1, lr=1.0))
    rates = {id(p): g["lr"] for g in groups for p in g["params"]}  # type: ignore[attr-defined]
    for name, p in network.named_parameters():
        expected = 1.0 if not name.startswith("backbone") else pytest.approx(0.3) if name.endswith("bias") else None
        assert rates.get(id(p)) == expected and p.requires_grad == (expected is not None)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_backbone_rate_of_zero_freezes_the_backbone(name: str) -> None:
    assert moved(getattr(dalib, name)(), backbone_rate=0.0, batch_norm="eval") == set()


@pytest.mark.parametrize("name", ["LpFt", "WiseFt"])
def test_the_probe_moves_no_backbone_weight_and_what_follows_moves_all(name: str) -> None:
    kept: list[dict[str, Tensor]] = []

    class Watching(getattr(dalib, name)):  # type: ignore[misc]
        def begin(self) -> None:
            super().begin()
            kept.append(copy_state(self.network))

    backbone = make_backbone()
    before = copy_state(backbone.module)
    fitted = train(Watching(probe=0.25), backbone, steps=16)
    probed = {k.removeprefix("backbone."): v for k, v in kept[0].items() if k.startswith("backbone.")}
    assert differing(before, probed) == []
    after = copy_state(fitted.algorithm.network)
    assert set(differing(kept[0], after)) == set(after)
    plain = Network(make_backbone(), 3, 8).head.weight
    assert not torch.equal(kept[0]["head.weight"], plain)


class Watched(dalib.WiseFt):  # type: ignore[misc, name-defined]
    """Keeps both ends and the predictions of its candidates."""

    ends: list[dict[str, Tensor]]
    alphas: list[float]

    def begin(self) -> None:
        super().begin()
        self.ends = [copy_state(self.network)]

    def _mixture(self) -> dict[str, Tensor]:
        self.ends[1:] = [copy_state(self.network)]
        return super()._mixture()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.8, 1.0])
def test_wise_fts_network_is_the_mixture_of_both_ends(alpha: float) -> None:
    fitted = train(Watched(alpha=alpha), steps=20, bottleneck=8)
    start, end = fitted.algorithm.ends
    state = copy_state(fitted.algorithm.network)
    for key, value in state.items():
        if value.is_floating_point():
            expected = (1 - alpha) * start[key].double().numpy() + alpha * end[key].double().numpy()
            np.testing.assert_allclose(value.numpy(), expected, rtol=0, atol=1e-6)
    assert not any(k.startswith("start.") for k in fitted.algorithm.state_dict())


def test_wise_ft_evaluates_and_saves_the_mixture() -> None:
    """A candidate in the middle, the end, and the state that a file holds."""
    task, found = make_image_task(), []

    def evaluate(fitted: Fitted, step: int) -> dict[str, Any]:
        algorithm, given = fitted.algorithm, fitted.outputs(task.test).logits
        if step == 30:
            mean = Network(make_backbone(), len(CLASSES), 8)
            ends = algorithm.start.state_dict(), algorithm.network.state_dict()
            mean.load_state_dict(
                {
                    k: (a + b) / 2 if b.is_floating_point() else b
                    for (k, b), a in zip(ends[1].items(), ends[0].values(), strict=True)
                }
            )
            x = torch.cat(list(fitted.batches(fitted.store(task.test))))
            torch.testing.assert_close(given, mean.eval()(x)[1], rtol=1e-4, atol=1e-5)
            assert not torch.allclose(given, algorithm.network(x)[1], atol=1e-2)
        found.append(step)
        return {}

    fitted = train(dalib.WiseFt(), evaluate=evaluate, steps=40, evaluations=4)
    assert found == [10, 20, 30, 40]
    x = torch.cat(list(fitted.batches(fitted.store(task.test))))
    torch.testing.assert_close(fitted.outputs(task.test).logits, fitted.algorithm.network(x)[1])


def test_wise_ft_with_alpha_1_is_lp_ft() -> None:
    states = [copy_state(train(a, steps=20).algorithm.network) for a in (dalib.WiseFt(alpha=1.0), dalib.LpFt())]
    assert differing(*states) == []


def test_l2_sps_penalty_is_numpys_sum_over_backbone_and_new_layers() -> None:
    torch.manual_seed(0)
    algorithm = dalib.L2SP(alpha=0.3, beta=0.2)
    network = Network(make_backbone(), 3, 8)
    start = {k: p.detach().double().numpy().copy() for k, p in network.named_parameters()}
    algorithm.attach(network)
    assert algorithm.penalty()["start"].item() == 0
    with torch.no_grad():
        for p in network.parameters():
            p.add_(torch.randn_like(p))
    sums = {"start": 0.0, "decay": 0.0}
    for k, p in network.named_parameters():
        value = p.detach().double().numpy()
        if k.startswith("backbone."):
            sums["start"] += 0.15 * float(((value - start[k]) ** 2).sum())
        else:
            sums["decay"] += 0.1 * float((value**2).sum())
    for name, term in algorithm.penalty().items():
        assert term.item() == pytest.approx(sums[name], rel=1e-4)


def test_l2_sp_returns_to_the_starting_point_when_the_rows_say_nothing() -> None:
    """Gradient steps on the penalty alone: w - w0 shrinks by 1 - lr alpha, the new layers by 1 - lr beta."""
    network, _ = toy()
    network.double()
    algorithm = dalib.L2SP(alpha=0.5, beta=0.25)
    algorithm.attach(network)
    start = copy_state(network)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1.0)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        sum(algorithm.penalty().values()).backward()  # type: ignore[union-attr]
        optimiser.step()
    for key, p in network.named_parameters():
        inside = key.startswith("backbone.")
        expected = start[key] + 0.95**3 if inside else (start[key] + 1) * 0.975**3
        torch.testing.assert_close(p.detach(), expected, rtol=0, atol=1e-8)


def test_l2_sp_adds_its_penalty_in_a_step_and_starts_after_reestimated_batch_norms() -> None:
    backbone = make_backbone()
    fitted = train(dalib.L2SP(), backbone, batch_norm="reestimate", lr=1e-12)
    assert max(fitted.curve["start"]) < 1e-9 and min(fitted.curve["decay"]) > 0
    network, _ = toy()
    algorithm = dalib.L2SP()
    algorithm.attach(network)
    loop = Loop(algorithm, torch.optim.SGD(network.parameters(), lr=0.1))
    terms = loop.step(torch.randn(6, 4), torch.arange(6) % 3, torch.randn(6, 4), 0.0)
    assert list(terms) == ["classification", "start", "decay"]


def test_l2_sp_stays_nearer_to_the_pretrained_weights() -> None:
    gaps = []
    for alpha in (0.0, 10.0):
        backbone = make_backbone()
        before = copy_state(backbone.module)
        fitted = train(dalib.L2SP(alpha=alpha, beta=0.0), backbone, steps=40, weight_decay=0.0, momentum=0.0)
        after = dict(fitted.backbone.module.named_parameters())
        gaps.append(sum(float((p.detach() - before[k]).square().sum()) for k, p in after.items()))
    assert gaps[0] > 3 * gaps[1]


@pytest.mark.parametrize(
    ("name", "hparams", "message"),
    [
        ("DiscriminativeRates", {"decay": 0.5}, "discriminative_rates.decay = 0.5 is out of range; give a number >= 1"),
        ("GradualUnfreezing", {"until": 1.0}, "gradual_unfreezing.until, decay = 1.0, 1.0; give until < 1"),
        ("GradualUnfreezing", {"decay": 0.9}, "= 0.5, 0.9; give until < 1 and decay >= 1"),
        ("LpFt", {"probe": 1.0}, "lp_ft.probe = 1.0 is out of range; give a number between 0 and 1"),
        ("LpFt", {"probe": 0.0}, "lp_ft.probe = 0.0"),
        ("WiseFt", {"alpha": 1.5}, "wise_ft.alpha = 1.5 is out of range; give a number between 0 and 1"),
        ("WiseFt", {"alpha": -0.1}, "wise_ft.alpha = -0.1"),
        ("Surgical", {"block": "middle"}, "surgical.block = 'middle'; give 'first', 'last' or a whole number >= 1"),
        ("Surgical", {"block": 0}, "surgical.block = 0"),
        ("Surgical", {"block": 4}, "surgical.block = 4, but the backbone has 3 blocks; give at most 3"),
        ("Bitfit", {"rate": 0.0}, "bitfit.rate = 0.0 is out of range; give a number > 0"),
        ("L2SP", {"alpha": -1.0}, "l2_sp.alpha = -1.0 is out of range; give a number >= 0"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(name: str, hparams: dict[str, Any], message: str) -> None:
    with pytest.raises(DalibError) as error:
        getattr(dalib, name)(**hparams).attach(toy()[0])
    assert message in str(error.value)


def test_a_numbered_block_of_feature_data_is_refused() -> None:
    with pytest.raises(DalibError, match="backbone has 0 blocks; use an image backbone"):
        dalib.Surgical(block=1).attach(Network.on_features(6, 3, 0))


@pytest.mark.parametrize(("batch_norm", "warned"), [("train", True), ("reestimate", False), ("eval", False)])
def test_folded_batch_norms_in_training_mode_are_warned_of(batch_norm: str, warned: bool) -> None:
    folded = replace(make_backbone(), batch_norm_folded=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(dalib.SourceOnly(), folded, steps=1, batch_norm=batch_norm)
    assert any("batch_norm = 'reestimate'" in str(w.message) for w in caught) == warned
