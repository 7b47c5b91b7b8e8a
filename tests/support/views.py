"""Two views of the target, double precision, and the worlds in which agreement and smoothness help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

import dalib
from dalib.core.backbone import identity
from dalib.core.types import Source, Target
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer
from tests.support.algorithms import DIM, attached
from tests.support.phases import make_task, reached
from tests.support.shifts import Data

RATE = 0.1


def attached_double(name: str, bottleneck: int = 0, **hparams: Any) -> Any:
    """In double precision, with logits that are not all alike."""
    algorithm = attached(name, bottleneck=bottleneck, **hparams)
    nn.init.normal_(algorithm.network.head.weight)
    return algorithm.double().train()


def inputs(n: int = 9, m: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    x_s, x_t = (torch.randn(k, DIM, generator=g, dtype=torch.float64) for k in (n, m))
    return x_s, torch.arange(n) % 2, x_t + 1


def two_views(algorithm: Any) -> tuple[Source, Target]:
    """Both views of the target are there; the strong one is another sample."""
    x_s, y_s, x_t = inputs()
    (z_s, g_s), (z_t, g_t), strong = (algorithm.network(x) for x in (x_s, x_t, x_t.flip(0) + 0.5))
    target = Target.of(z_t, g_t, Target.of(*strong))
    return replace(Source.of(z_s, g_s, y_s), x=x_s), replace(target, x=x_t)


def target_cues(n: int = 240) -> Data:
    """Half of the rows are easy by two features that both domains have; six more tell the class in the target only."""
    g = torch.Generator().manual_seed(0)
    centres = torch.randn(4, 6, generator=torch.Generator().manual_seed(5))

    def draw(informative: float) -> tuple[Tensor, Tensor]:
        y = torch.randint(4, (n,), generator=g)
        noise = torch.where(torch.rand(n, 1, generator=g) < 0.5, 0.3, 1.5)
        corner = 3.0 * torch.stack([y % 2, y // 2], 1) - 1.5
        shared = corner + noise * torch.randn(n, 2, generator=g)
        return torch.cat([shared, informative * centres[y] + 0.5 * torch.randn(n, 6, generator=g)], 1), y

    return *draw(0.0), *draw(1.0)


def reach(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy of a linear model, without a batch norm that adapts by itself: trade-offs 0 are source-only."""
    task, dim = make_task(data), data[0].shape[1]
    config = TrainConfig(steps=200, batch_size=36, bottleneck=0, lr=0.1, evaluations=1)
    return reached(Trainer(config, device="cpu").fit(getattr(dalib, name)(**hparams), task, identity(dim)), task)


def check_a_method_beats_itself_without_its_term(
    name: str, data: Any, hparams: dict[str, Any], off: dict[str, Any]
) -> None:
    before, after = reach(name, data(), **off), reach(name, data(), **hparams)
    assert after > before + 0.05, f"{name}: {after:.3f}, without: {before:.3f}"
