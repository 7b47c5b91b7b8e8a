"""Co-Tuning and Learning without Forgetting: formulas, what they keep, and the classifier that backbones bring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor, nn

import dalib
from dalib.backbones import load_backbone
from dalib.backbones._torchvision import create_model
from dalib.backbones._weights import hash_state
from dalib.checks.world import DIM, K, attached, batches, fit, make_task
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.nn.label_relation import class_relationship
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer

OLD = 5
NAMES = ["CoTuning", "LwF"]


def layers() -> Backbone:
    """Two linear layers and a classifier of five classes that they came with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = nn.Sequential(nn.Linear(DIM, 24), nn.ReLU(), nn.Linear(24, DIM))
        return Backbone("layers", module, DIM, [module], head=nn.Linear(DIM, OLD))


def test_the_relationship_is_the_authors_mean_of_calibrated_predictions() -> None:
    rng = np.random.default_rng(0)
    logits, y, scale = 3 * rng.standard_normal((20, 4)), rng.integers(3, size=20), 0.884
    p = softmax(scale * logits, axis=1)
    expected = np.concatenate([p[y == i].mean(0, keepdims=True) for i in range(3)])
    got = class_relationship(torch.from_numpy(logits), torch.from_numpy(y), 4, 1 / scale)
    np.testing.assert_allclose(got[:3].numpy(), expected, rtol=1e-6)
    assert not got[3].any()


def test_co_tunings_loss_is_the_cross_entropy_to_the_relationships_rows() -> None:
    algorithm = attached(dalib.CoTuning, weight=0.7)
    algorithm.begin()
    source, target = batches(algorithm)
    R = softmax(np.random.default_rng(1).standard_normal((K, OLD)), axis=1)
    algorithm.relationship = torch.from_numpy(R).float()
    terms = algorithm.loss(source, target, 0.0)
    g = algorithm.old_head(source.z).detach().numpy()
    expected = -(R[source.y.numpy()] * log_softmax(g, axis=1)).sum(1).mean()
    assert terms["co_tuning"].item() == pytest.approx(0.7 * expected, rel=1e-5)


def test_lwfs_term_is_the_old_answers_cross_entropy_at_temperature_two() -> None:
    algorithm = attached(dalib.LwF, weight=0.7)
    algorithm.begin()
    before = algorithm.before[1](batches(algorithm)[0].x).detach().numpy()
    nn.init.normal_(algorithm.old_head.weight)
    source, _ = batches(algorithm)
    now = algorithm.old_head(source.z).detach().numpy()
    expected = -(softmax(before / 2, axis=1) * log_softmax(now / 2, axis=1)).sum(1).mean()
    assert algorithm.remember(source).item() == pytest.approx(0.7 * expected, rel=1e-5)


def old_answers(algorithm: nn.Module, head: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return head(algorithm.eval().network.backbone(x)).softmax(1)


def test_lwf_changes_the_old_answers_less_than_fine_tuning() -> None:
    task, moved = make_task(), {}
    x = torch.as_tensor(task.labelled.x)
    for weight in (0.0, 3.0):
        kept: list[nn.Module] = []

        class Keeping(dalib.LwF):  # type: ignore[misc, name-defined]
            def end(self, kept: list[nn.Module] = kept) -> None:
                kept.append(self.old_head)
                super().end()

        backbone = layers()
        first = torch.nn.Sequential(backbone.module, backbone.head)
        with torch.no_grad():
            start = first(x).softmax(1)
        config = TrainConfig(steps=60, batch_size=16, lr=0.05, backbone_rate=1.0, bottleneck=8, evaluations=1)
        fitted = Trainer(config, device="cpu").fit(Keeping(weight=weight), task, backbone)
        moved[weight] = (old_answers(fitted.algorithm, kept[0], x) - start).abs().mean().item()
    assert moved[3.0] < moved[0.0] / 2


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_and_drops_the_old_head(name: str) -> None:
    cls = getattr(dalib, name)
    fitted = fit(cls, make_task(shift=0.0), steps=40)
    assert fitted.candidates[-1]["target_accuracy"] > 0.8
    assert not [k for k in fitted.algorithm.state_dict() if k.startswith(("old_head", "before"))]
    if name == "CoTuning":
        np.testing.assert_allclose(fitted.algorithm.relationship.sum(1).numpy(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_pretrained_head_one_line_says_which_backbones_have_one(name: str) -> None:
    with pytest.raises(DalibError, match=r"needs the classifier .* use resnet50, mobilenet_v2"):
        Trainer(TrainConfig(steps=1), device="cpu").fit(
            getattr(dalib, name)(), make_task(), replace(layers(), head=None)
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_backbones_head_takes_its_features(name: str) -> None:
    backbone = Backbone("features", nn.Identity(), DIM, frozen=True, head=nn.Linear(DIM, OLD))
    config = TrainConfig(steps=4, batch_size=16, bottleneck=8, evaluations=1)
    fitted = Trainer(config, device="cpu").fit(getattr(dalib, name)(), make_task(), backbone)
    assert {"co_tuning", "old_answers"} & {*fitted.curve}


def test_a_head_is_kept_only_when_asked_for_and_is_no_part_of_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = create_model("resnet18")
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    weights = str(tmp_path / "whole.pth")
    plain, kept = load_backbone("resnet18", weights), load_backbone("resnet18", weights, head=True)
    assert plain.head is None and kept.head is not None and plain.weights_hash == kept.weights_hash
    assert torch.equal(kept.head.weight, whole.fc.weight)
    states = [Network(b, K).state_dict() for b in (plain, kept)]
    assert [*states[0]] == [*states[1]]
    assert Network(kept, K).pretrained_head is kept.head and Network(plain, K).pretrained_head is None
    assert load_backbone("tiny", "pretrained", head=True).head is None


def test_the_int8_weights_bring_a_head(shared_data: Path) -> None:
    backbone = load_backbone("mobilenet_v2", str(shared_data / "mobilenetv2_imagenet_int8.npz"), head=True)
    assert backbone.head is not None and backbone.head.in_features == backbone.dim == 1280
    assert len(hash_state(backbone.head)) == 64
