"""Methods that strain the contract: an alternating game, a frozen copy, an end of step, pseudo-labels, a weak start."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalib.checks.training import check_exact_resume, check_seed_decides_everything, check_state_round_trip
from dalib.checks.world import DIM, accuracy, equal_states, fit, make_task
from dalib.core.algorithm import Algorithm, Minimise, Terms, TrainerLike
from dalib.core.backbone import identity
from dalib.core.types import Domain, Source, Target
from dalib.train.trainer import Trainer


class MaximumDiscrepancy(Algorithm):
    """MCD (Saito et al. 2018): two heads disagree on the target, the features make them agree."""

    def build(self, dim: int, outputs: int) -> None:
        self.second = nn.Linear(dim, outputs)

    def _classify(self, source: Source) -> Terms:
        return {
            "ce": F.cross_entropy(source.logits, source.y),
            "ce_second": F.cross_entropy(self.second(source.z), source.y),
        }

    def _gap(self, target: Target) -> Tensor:
        return (target.logits.softmax(1) - self.second(target.z).softmax(1)).abs().mean()

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {**self._classify(source), "gap": self._gap(target)}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        heads, features = [self.network.head, self.second], [self.network.backbone, self.network.bottleneck]
        minimise(self._classify(source))
        source, target = minimise.forward(source, target)
        minimise({**self._classify(source), "apart": -self._gap(target)}, only=heads)
        for _ in range(2):
            source, target = minimise.forward(source, target)
            minimise({"together": self._gap(target)}, only=features)


class FrozenCopy(Algorithm):
    """ADDA (Tzeng et al. 2017): the network at half-time is the source's; from then on the target's follows it."""

    def build(self, dim: int, outputs: int) -> None:
        self.source_network = copy.deepcopy(self.network).requires_grad_(False)
        self.discriminator = nn.Sequential(nn.Linear(dim, 16), nn.ReLU(), nn.Linear(16, 1))
        self.register_buffer("copied", torch.zeros((), dtype=torch.bool))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.source_network, 0.0)]

    def _domain(self, z: Tensor, value: float) -> Tensor:
        d = self.discriminator(z).squeeze(1)
        return F.binary_cross_entropy_with_logits(d, torch.full_like(d, value))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"ce": F.cross_entropy(source.logits, source.y), "fool": self._domain(target.z, 1.0)}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        if progress < 0.5:
            minimise({"ce": F.cross_entropy(source.logits, source.y)})
            return
        if not self.copied:
            self.source_network.load_state_dict(self.network.state_dict())
            self.copied.fill_(True)
        z_s = self.source_network(source.x)[0]
        told = {"domain": self._domain(z_s, 1.0) + self._domain(target.z.detach(), 0.0)}
        minimise(told, only=[self.discriminator])
        minimise({"fool": self._domain(target.z, 1.0)}, only=[self.network.backbone, self.network.bottleneck])


class MeanTeacher(Algorithm):
    """Mean teacher (Tarvainen & Valpola 2017): the teacher is an average of the student, moved after each step."""

    def build(self, dim: int, outputs: int) -> None:
        self.teacher = copy.deepcopy(self.network)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.teacher, 0.0)]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        with torch.no_grad():
            p = self.teacher(target.x)[1].softmax(1)
        return {
            "ce": F.cross_entropy(source.logits, source.y),
            "agree": (target.logits.softmax(1) - p).square().sum(1).mean(),
        }

    @torch.no_grad()
    def _follow(self) -> None:
        student = self.network.state_dict()
        for name, value in self.teacher.state_dict().items():
            if value.is_floating_point():
                value.lerp_(student[name], 0.1)

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        minimise(self.loss(source, target, progress))
        self._follow()

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.teacher(x)


class PseudoLabels(Algorithm):
    """SHOT's habit: labels for the whole target before each pass, looked up by row number during it."""

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("labels", torch.zeros(1000, dtype=torch.int64))
        self.register_buffer("centres", torch.zeros(outputs, dim))

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        with torch.no_grad():
            p = self.predict(trainer.embed(self, target).to(self.labels.device))[1].softmax(1)
        self.labels[: len(target)] = p.argmax(1)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        pseudo = F.cross_entropy(target.logits, self.labels[target.index])
        return {"ce": F.cross_entropy(source.logits, source.y), "pseudo": 0.3 * pseudo}


GAMES = [MaximumDiscrepancy, FrozenCopy, MeanTeacher, PseudoLabels]


@pytest.mark.parametrize("cls", GAMES)
def test_a_game_learns_resumes_exactly_and_survives_a_round_trip(cls: type[Algorithm]) -> None:
    fitted = fit(cls, steps=60)
    assert accuracy(fitted, make_task().labelled) > 0.8
    assert all(v.isfinite().all() for v in fitted.algorithm.state_dict().values())
    check_seed_decides_everything(cls)
    check_exact_resume(cls)
    check_state_round_trip(cls)


def test_every_phase_of_a_game_is_in_the_curve() -> None:
    curve = fit(FrozenCopy, steps=80).curve
    assert {"ce", "domain", "fool"} < {*curve}
    assert len({len(v) for v in curve.values()}) == 1
    assert curve["ce"][-1] == 0.0 == curve["fool"][0]


def test_the_frozen_copy_stays_and_the_discriminator_learns() -> None:
    copies: list[dict[str, Tensor]] = []

    class Watching(FrozenCopy):
        def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
            super().step(source, target, progress, minimise)
            if self.copied:
                copies.append({k: v.clone() for k, v in self.source_network.state_dict().items()})

    curve = fit(Watching, steps=400, lr=0.05).curve
    assert len(copies) == 200
    assert all(torch.equal(copies[0][k], copies[-1][k]) for k in copies[0])
    assert curve["domain"][-1] < 2 * 0.6931


class TwoPhases(MaximumDiscrepancy):
    """A fit of its own: training in two descents."""

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        trainer.descend(self, source, target, until=0.5)
        trainer.descend(self, source, target)


@pytest.mark.parametrize("kill_at", [1, 2, 3, 4])
def test_two_descents_in_one_fit_resume_exactly(kill_at: int, tmp_path: Path) -> None:
    calls: list[int] = []

    def kill(step: int, steps: int) -> None:
        calls.append(step)
        if len(calls) == kill_at:
            raise KeyboardInterrupt

    path, whole = tmp_path / "checkpoint.pt", fit(TwoPhases, steps=40)
    with pytest.raises(KeyboardInterrupt):
        fit(TwoPhases, steps=40, checkpoint=path, checkpoint_seconds=-1.0, report=kill)
    resumed = fit(TwoPhases, steps=40, checkpoint=path, checkpoint_seconds=-1.0)
    assert equal_states(whole.algorithm, resumed.algorithm) == ""
    assert [c["step"] for c in resumed.candidates] == [20, 40]
    assert whole.curve == resumed.curve
    assert whole.candidates == resumed.candidates


class LateBuffer(Algorithm):
    """A buffer whose size is known only when the target is seen."""

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("weights", None)

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        if self.weights is None:
            self.weights = torch.rand(len(target))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        size = (self.weights[target.index] * target.z.square().mean(1)).mean()
        return {"ce": F.cross_entropy(source.logits, source.y), "size": size}


def test_a_buffer_of_the_targets_size_resumes_exactly() -> None:
    check_exact_resume(LateBuffer)


def test_a_game_trains_in_bf16_and_with_separate_forwards() -> None:
    changes: list[dict[str, Any]] = [{"precision": "bf16"}, {"forward": "separate"}]
    for change in changes:
        assert accuracy(fit(MaximumDiscrepancy, steps=40, **change), make_task().labelled) > 0.8


def test_labels_looked_up_by_row_number_belong_to_those_rows() -> None:
    seen: list[bool] = []

    class Checking(PseudoLabels):
        def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
            seen.append(torch.equal(torch.as_tensor(make_task().target.x)[target.index], target.x))
            seen.append(torch.equal(torch.as_tensor(make_task().labelled.labels)[source.index], source.y))
            return super().loss(source, target, progress)

    Trainer(fit(PseudoLabels, steps=1).config, device="cpu").fit(Checking(), make_task(), identity(DIM))
    assert seen
    assert all(seen)
