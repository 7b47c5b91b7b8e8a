"""A backbone that brings the classifier of five classes it was pretrained with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import dalib
from dalib.checks.world import DIM, fit, make_task
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer

OLD = 5


def layers() -> Backbone:
    """Two linear layers and a classifier of five classes that they came with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = nn.Sequential(nn.Linear(DIM, 24), nn.ReLU(), nn.Linear(24, DIM))
        return Backbone("layers", module, DIM, [module], head=nn.Linear(DIM, OLD))


def check_it_learns_and_drops_the_old_head(name: str) -> None:
    cls = getattr(dalib, name)
    fitted = fit(cls, make_task(shift=0.0), steps=40)
    assert fitted.candidates[-1]["target_accuracy"] > 0.8
    assert not [k for k in fitted.algorithm.state_dict() if k.startswith(("old_head", "before"))]
    if name == "CoTuning":
        np.testing.assert_allclose(fitted.algorithm.relationship.sum(1).numpy(), 1.0, rtol=1e-5)


def check_without_a_pretrained_head_one_line_says_which_backbones_have_one(name: str) -> None:
    with pytest.raises(DalibError, match=r"needs the classifier .* use resnet50, mobilenet_v2"):
        Trainer(TrainConfig(steps=1), device="cpu").fit(
            getattr(dalib, name)(), make_task(), replace(layers(), head=None)
        )


def check_a_frozen_backbones_head_takes_its_features(name: str) -> None:
    backbone = Backbone("features", nn.Identity(), DIM, frozen=True, head=nn.Linear(DIM, OLD))
    config = TrainConfig(steps=4, batch_size=16, bottleneck=8, evaluations=1)
    fitted = Trainer(config, device="cpu").fit(getattr(dalib, name)(), make_task(), backbone)
    assert {"co_tuning", "old_answers"} & {*fitted.curve}
