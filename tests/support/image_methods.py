"""Fine-tuning strategies on tiny images, through the trainer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.network import Network
from dalib.core.registry import BACKBONES
from dalib.core.types import Domain, Source, Target, Task
from dalib.nn.adapter import Adapter
from dalib.nn.low_rank import LowRank
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model, save_model
from dalib.train.trainer import Trainer
from tests.support.algorithms import make
from tests.support.image_world import copy_state, differing, make_backbone, make_image_task, recipe


def on_images(name: str, backbone: Backbone | None = None, hparams: Any = None, **changes: Any) -> Fitted:
    backbone = backbone or make_backbone()
    return Trainer(recipe(**changes), device="cpu").fit(make(name, **(hparams or {})), make_image_task(), backbone)


def attached_to_images(name: str, backbone: Backbone | None = None, **hparams: Any) -> Algorithm:
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


def check_a_killed_run_on_images_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
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


def check_a_model_file_predicts_what_was_fitted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BACKBONES, "_extra", {**BACKBONES._extra, "small": lambda name, weights: make_backbone()})
    fitted, domain = on_images(name), make_image_task().test
    loaded = load_model(save_model(fitted, tmp_path / "model", name), device="cpu")
    assert torch.equal(loaded.outputs(domain).logits, fitted.outputs(domain).logits)
    again = make(name)
    again.attach(Network(make_backbone(), 3, fitted.config.bottleneck))
    again.load_state_dict(fitted.algorithm.state_dict())
    assert differing(copy_state(again), copy_state(fitted.algorithm)) == []


every_recipe = pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16", "channels_last": True, "forward": "separate"},
        {"batch_norm": "eval", "clip": 0.5},
        {"batch_norm": "reestimate", "optimiser": "adamw", "lr": 0.01},
        {"backbone_rate": 0.0},
    ],
    ids=["bf16", "eval", "reestimate", "frozen"],
)


def check_every_recipe_trains_to_finite_outputs(name: str, changes: dict[str, Any]) -> None:
    fitted = on_images(name, steps=4, **changes)
    assert fitted.outputs(make_image_task().test).logits.isfinite().all()
    assert all(math.isfinite(v) for values in fitted.curve.values() for v in values)


def check_a_backbone_may_be_fitted_twice(name: str) -> None:
    backbone = make_backbone()
    first = on_images(name, backbone, steps=4)
    keys = list(first.algorithm.state_dict())
    second = on_images(name, backbone, steps=4)
    assert list(second.algorithm.state_dict()) == keys
    assert second.outputs(make_image_task().test).logits.isfinite().all()


def check_pretrained_weights_stay_and_what_was_added_learns(name: str) -> None:
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


def check_nothing_changes_before_training(name: str) -> None:
    algorithm, x = attached_to_images(name).eval(), torch.randn(4, 3, 12, 12)
    assert torch.equal(algorithm.network.backbone(x), make_backbone().module.eval()(x))


def check_only_the_chosen_blocks_change(name: str, blocks: int | str, touched: set[str]) -> None:
    backbone = attached_to_images(name, blocks=blocks).network.backbone
    places = {n.partition(".")[0] for n, m in backbone.named_modules() if isinstance(m, LowRank | Adapter)}
    assert places == touched
    fitted = on_images(name, hparams={"blocks": blocks})
    learned = {n.partition(".")[0] for n, p in fitted.algorithm.network.backbone.named_parameters() if p.requires_grad}
    assert learned == touched


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
