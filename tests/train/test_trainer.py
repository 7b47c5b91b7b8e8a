"""The trainer does what the recipe says, and nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dalib.checks.world import DIM, accuracy, make_task
from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.types import Domain, Source, Target
from dalib.feed.embed import embed_domain
from dalib.train.config import TrainConfig
from dalib.train.device import pick_device
from dalib.train.trainer import Trainer
from tests.support.image_world import Plain, copy_state, differing, make_backbone, make_image_task, make_images, recipe


class Recording(Plain):
    """Keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[Source, Target, float]] = []
        self.epochs: list[int] = []

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        self.shown.append((source, target, float(progress)))
        return super().loss(source, target, progress)

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        self.epochs.append(len(self.shown))


class SourceOnly(Algorithm):
    uses_target = False

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        assert len(target) == len(target.z) == 0
        return {"ce": F.cross_entropy(source.logits, source.y)}


def _fit(algorithm: Algorithm | None = None, *, norm: bool = True, **changes: Any) -> Algorithm:
    algorithm = algorithm or Plain()
    Trainer(recipe(**changes), device="cpu").fit(algorithm, make_image_task(), make_backbone(norm=norm))
    return algorithm


def _distance(a: Algorithm, b: Algorithm) -> float:
    first, second = a.state_dict(), b.state_dict()
    return max(float((first[k].double() - second[k].double()).abs().max()) for k in first)


def test_joint_and_separate_forwards_agree_without_batch_norm_and_differ_with_it() -> None:
    plain = {"bottleneck": 0, "augment": "none", "steps": 4}
    joint, separate = (_fit(norm=False, forward=f, **plain) for f in ("joint", "separate"))
    assert _distance(joint, separate) < 1e-5
    joint, separate = (_fit(norm=True, forward=f, **plain) for f in ("joint", "separate"))
    assert _distance(joint, separate) > 1e-3


def test_channels_last_changes_nothing_but_rounding() -> None:
    plain, other = (_fit(channels_last=on, steps=4, lr=0.01) for on in (False, True))
    assert _distance(plain, other) < 1e-5
    assert other.network.backbone[0][0].weight.is_contiguous(memory_format=torch.channels_last)


def test_bf16_trains_in_its_precision_and_hands_fp32_to_the_loss() -> None:
    seen = _fit(Recording(), precision="bf16", steps=3)
    exact = _fit(Recording(), steps=3)
    source, target, _ = seen.shown[0]
    assert {t.dtype for t in (source.z, source.logits, target.z, target.logits)} == {torch.float32}
    gap = (source.z - exact.shown[0][0].z).abs().max()
    assert 0 < gap < 0.1
    assert next(seen.network.backbone.parameters()).dtype == torch.float32


@pytest.mark.slow
def test_compiled_and_plain_training_give_near_equal_numbers() -> None:
    plain, compiled = (_fit(compile=on, steps=4, lr=0.01) for on in (False, True))
    assert _distance(plain, compiled) < 1e-3


def test_progress_runs_from_zero_by_equal_steps_and_batches_have_their_size() -> None:
    algorithm = _fit(Recording(), steps=5, batch_size=6)
    assert [p for *_, p in algorithm.shown] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert {(len(s), len(t)) for s, t, _ in algorithm.shown} == {(6, 6)}
    assert {s.x.shape[1:] for s, *_ in algorithm.shown} == {(3, 12, 12)}


def test_begin_epoch_comes_before_each_pass_over_the_target() -> None:
    algorithm = _fit(Recording(), steps=12, batch_size=8)
    assert algorithm.epochs == [0, 4, 8]  # 31 target rows: the 32nd is drawn in step 3 of 0, 1, 2, 3


@pytest.mark.parametrize(("steps", "points", "expected"), [(12, 3, [4, 8, 12]), (10, 4, [2, 5, 8, 10]), (2, 5, [1, 2])])
def test_evaluate_is_called_at_the_asked_points_in_evaluation_mode(
    steps: int, points: int, expected: list[int]
) -> None:
    modes: list[bool] = []
    trainer = Trainer(
        recipe(steps=steps, evaluations=points),
        device="cpu",
        evaluate=lambda fitted, step: {"mode": modes.append(fitted.algorithm.training), "x": step},
    )
    trainer.evaluate = lambda fitted, step: {"x": len(fitted.outputs(make_image_task().test).z), "asked": step}
    fitted = trainer.fit(Plain(), make_image_task(), make_backbone())
    assert [c["step"] for c in fitted.candidates] == [c["asked"] for c in fitted.candidates] == expected
    assert not fitted.algorithm.training


def test_evaluation_leaves_no_trace_in_training() -> None:
    weights = []
    for evaluate in (None, lambda fitted, step: {"n": len(fitted.outputs(make_image_task().test).z)}):
        algorithm = Plain()
        trainer = Trainer(recipe(evaluations=4), device="cpu", evaluate=evaluate)
        trainer.fit(algorithm, make_image_task(), make_backbone(dropout=0.3))
        weights.append(copy_state(algorithm))
    assert differing(*weights) == []


def test_no_steps_leave_the_pretrained_weights_and_one_candidate() -> None:
    backbone = make_backbone()
    before = copy_state(backbone.module)
    fitted = Trainer(recipe(steps=0), device="cpu").fit(Plain(), make_image_task(), backbone)
    assert differing(before, copy_state(fitted.backbone.module)) == []
    assert fitted.candidates == [{"step": 0}]
    assert fitted.curve == {"step": []}


def test_a_frozen_backbone_equals_its_embedding_by_hand() -> None:
    task, device = make_image_task(), torch.device("cpu")
    frozen = make_backbone(frozen=True, dropout=0.5)
    before = copy_state(frozen.module)
    fitted = Trainer(recipe(), device="cpu").fit(Plain(), task, frozen)
    assert differing(before, copy_state(frozen.module)) == []
    x, mean, std = task.test.x[:, :, 1:13, 1:13], *(np.array(v)[:, None, None] for v in _mean_std(frozen))
    with torch.no_grad():
        z = frozen.module.eval()(torch.tensor((x / 255 - mean) / std, dtype=torch.float32))
    np.testing.assert_allclose(embed_domain(frozen, task.test, device).x, z.numpy(), rtol=1e-4, atol=1e-5)
    domains = {k: embed_domain(frozen, getattr(task, k), device) for k in ("labelled", "target", "test")}
    by_hand = Trainer(recipe(), device="cpu").fit(Plain(), replace(task, **domains), identity(8))
    assert differing(copy_state(fitted.algorithm), copy_state(by_hand.algorithm)) == []
    assert torch.equal(fitted.outputs(task.test).logits, by_hand.outputs(domains["test"]).logits)


def _mean_std(backbone: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return backbone.preprocess.mean, backbone.preprocess.std


def test_global_generators_and_target_labels_are_left_alone() -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    task = make_image_task()
    seen: list[Domain] = []

    class Watching(Plain):
        def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
            seen.append(target)
            super().fit(trainer, source, target)

    Trainer(recipe(), device="cpu").fit(Watching(), replace(task, target=task.test), make_backbone(dropout=0.2))
    assert seen[0].y is None
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002


def test_a_domain_smaller_than_the_batch_trains() -> None:
    task = make_task()
    small = replace(task, labelled=task.labelled.take(np.arange(5), "five"), target=task.target.take(np.arange(3), "3"))
    algorithm = Recording()
    Trainer(TrainConfig(steps=4, batch_size=16, bottleneck=8), device="cpu").fit(algorithm, small, identity(DIM))
    assert {(len(s), len(t)) for s, t, _ in algorithm.shown} == {(16, 16)}


def test_an_algorithm_without_target_sees_no_target_rows_and_learns() -> None:
    fitted = Trainer(TrainConfig(steps=40, bottleneck=16), device="cpu").fit(SourceOnly(), make_task(), identity(DIM))
    assert accuracy(fitted, make_task().labelled) > 0.9


def test_class_balanced_batches_hold_every_class_equally_often() -> None:
    task = make_task()
    few = np.flatnonzero(task.labelled.labels != 2)
    rare = np.flatnonzero(task.labelled.labels == 2)[:2]
    uneven = replace(task, labelled=task.labelled.take(np.concatenate([few, rare]), "uneven"))
    algorithm = Recording()
    config = TrainConfig(steps=10, batch_size=9, sampler="class_balanced")
    Trainer(config, device="cpu").fit(algorithm, uneven, identity(DIM))
    assert {tuple(torch.bincount(s.y, minlength=3).tolist()) for s, *_ in algorithm.shown} == {(3, 3, 3)}


def test_domain_balanced_batches_are_half_labelled_target_rows_however_few_there_are() -> None:
    task = make_task()
    rows = task.labelled.take(np.arange(20), "source and two target rows")
    few = replace(task, labelled=replace(rows, origin=np.repeat([0, 1], [18, 2])))
    algorithm = Recording()
    config = TrainConfig(steps=10, batch_size=8, sampler="domain_balanced")
    Trainer(config, device="cpu").fit(algorithm, few, identity(DIM))
    assert {tuple(torch.bincount(s.origin, minlength=2).tolist()) for s, *_ in algorithm.shown} == {(4, 4)}
    plain, balanced = Recording(), Recording()
    for one, sampler in ((plain, "shuffle"), (balanced, "domain_balanced")):
        config = TrainConfig(steps=3, batch_size=8, sampler=sampler)  # type: ignore[arg-type]
        Trainer(config, device="cpu").fit(one, task, identity(DIM))
    for a, b in zip(plain.shown, balanced.shown, strict=True):
        torch.testing.assert_close(a[0].index, b[0].index)


def test_crop_of_the_recipe_reaches_the_network() -> None:
    algorithm = Recording()
    task = make_image_task(side=12)
    Trainer(recipe(crop=10, steps=1), device="cpu").fit(algorithm, task, make_backbone())
    assert algorithm.shown[0][0].x.shape[1:] == (3, 10, 10)


@pytest.mark.parametrize(
    ("task", "backbone", "words"),
    [
        (make_image_task(), identity(8), "holds images; backbone 'identity' takes features"),
        (make_image_task(side=20), make_backbone(), "decoded at 20 px; pass resize=14"),
        (make_task(), identity(4), "has width 16; the backbone has 4"),
        (make_task(), make_backbone(), "holds features; backbone 'small' takes images"),
        (replace(make_task(), target=make_task().target.take(np.arange(0), "none")), identity(DIM), "0 target rows"),
        (replace(make_task(), labelled=make_task().target), identity(DIM), "has no labels here"),
    ],
    ids=["images-identity", "resize", "width", "features-network", "empty", "unlabelled"],
)
def test_a_task_that_does_not_fit_is_one_clear_line(task: Any, backbone: Any, words: str) -> None:
    with pytest.raises(DalibError, match=words) as caught:
        Trainer(TrainConfig(steps=2), device="cpu").fit(Plain(), task, backbone)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "tpu:0"])
def test_a_device_that_is_not_there_is_one_clear_line(name: str) -> None:
    with pytest.raises(DalibError, match=r"device '.*use auto"):
        pick_device(name)


def test_outputs_of_an_empty_domain_are_empty() -> None:
    fitted = Trainer(recipe(steps=1), device="cpu").fit(Plain(), make_image_task(), make_backbone())
    outputs = fitted.outputs(make_images("none", 3, 0).take(np.arange(0), "none"))
    assert (outputs.z.shape, outputs.logits.shape) == ((0, 8), (0, 3))
