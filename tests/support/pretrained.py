"""A pretrained network of three blocks, few labelled rows, and shifts that fine-tuning a part can undo."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.types import Domain, Task
from dalib.nn.metrics import accuracy
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer

D = 8


Data = tuple[Tensor, Tensor]


RECIPE = TrainConfig(
    steps=120,
    batch_size=16,
    bottleneck=0,
    lr=0.1,
    backbone_rate=1.0,
    evaluations=1,
    weight_decay=0.0,
    initialisation="kaiming",
)


def draw(n: int, seed: int, signal: int = 0) -> Data:
    """Four classes, a square in coordinates `signal` and `signal + 1`; the first four are 0 but for those."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 4
    x = torch.zeros(n, D)
    x[:, 4:] = torch.randn(n, 4, generator=g)
    corners = 2.0 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    x[:, signal : signal + 2] = corners[y] + 0.7 * torch.randn(n, 2, generator=g)
    return x, y


@cache
def pretrained() -> nn.Sequential:
    """Learnt from rows whose signal is in coordinates 0 and 1, or in 2 and 3."""
    torch.manual_seed(0)
    module = nn.Sequential(*(nn.Sequential(nn.Linear(D, D), nn.ReLU()) for _ in range(3)))
    head = nn.Linear(D, 4)
    optimiser = torch.optim.Adam([*module.parameters(), *head.parameters()], lr=0.01)
    rows = [draw(400, 1), draw(400, 2, signal=2)]
    x, y = torch.cat([r[0] for r in rows]), torch.cat([r[1] for r in rows])
    for _ in range(300):
        optimiser.zero_grad()
        cross_entropy(head(module(x)), y).backward()
        optimiser.step()
    return module


def reached(algorithm: Algorithm, few: Data, test: Data, **changes: Any) -> float:
    """Accuracy on `test` after fine-tuning on `few`."""
    module = copy.deepcopy(pretrained())
    domains = [Domain(n, x.numpy(), y.numpy(), tuple("abcd"), n) for n, (x, y) in (("few", few), ("test", test))]
    task = Task("few->test", domains[0], domains[0].unlabelled(), domains[0].take(np.arange(0), "none"), domains[1])
    backbone = Backbone("pretrained", module, D, list(module))
    fitted = Trainer(RECIPE.model_copy(update=changes), device="cpu").fit(algorithm, task, backbone)
    return accuracy(fitted.outputs(task.test).logits, test[1])


@cache
def elsewhere() -> Data:
    """The signal in the coordinates that the fine-tuning rows lack, with more noise."""
    x, y = draw(600, 12, signal=2)
    x[:, 2:4] += torch.randn(600, 2, generator=torch.Generator().manual_seed(9))
    return x, y


@cache
def everything_at_one_rate() -> float:
    return reached(dalib.FineTune("all", decay=1.0), draw(12, 11), elsewhere())


def check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything(name: str, hparams: Any) -> None:
    """Twelve rows, tested where the pretrained features are good and those rows say nothing."""
    found = reached(getattr(dalib, name)(**hparams), draw(12, 11), elsewhere())
    assert found > everything_at_one_rate() + 0.05
