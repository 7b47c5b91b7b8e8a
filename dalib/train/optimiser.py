"""Parameter groups from an algorithm's rates, the optimiser, and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import nn

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.nn.batch_norms import BATCH_NORMS
from dalib.train.config import TrainConfig


def rate_factor(config: TrainConfig, progress: float) -> float:
    """Learning rate at `progress` in [0, 1], as a factor on config.lr.

    `inverse`: (1 + 10 p)^-0.75, Ganin et al. 2016 (JMLR 17, section 5.2.2); `cosine`: (1 + cos(pi p)) / 2.
    """
    if config.warmup and progress < config.warmup:
        return progress / config.warmup
    if config.schedule == "inverse":
        return (1 + 10 * progress) ** -0.75
    return 0.5 * (1 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1.0


def freeze_and_group(
    algorithm: Algorithm, config: TrainConfig, fixed: Collection[nn.Parameter] = ()
) -> tuple[list[dict[str, object]], list[nn.Module]]:
    """Parameter groups by rate factor, and the frozen modules (factor 0), whose parameters stop requiring gradients.

    fixed: parameters that stay frozen whatever their factor, and batch norms with them
    """
    factors: dict[nn.Parameter, float] = {}
    frozen: dict[nn.Module, bool] = {}
    for module, factor in algorithm.rates(config.backbone_rate):
        frozen.update(dict.fromkeys(module.modules(), factor == 0))
        factors.update(dict.fromkeys(module.parameters(), factor))
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter, factor in factors.items():
        trains = factor > 0 and parameter not in fixed
        parameter.requires_grad_(trains)
        if trains:
            groups.setdefault(factor, []).append(parameter)
    listed: list[dict[str, object]] = [{"params": p, "lr": config.lr * f, "factor": f} for f, p in groups.items()]
    return listed, [m for m, off in frozen.items() if off or _is_fixed_norm(m, fixed)]


def _is_fixed_norm(module: nn.Module, fixed: Collection[nn.Parameter]) -> bool:
    own = list(module.parameters(recurse=False)) if isinstance(module, BATCH_NORMS) else []
    return bool(own) and all(p in fixed for p in own)


def make_optimiser(groups: list[dict[str, object]], config: TrainConfig) -> torch.optim.Optimizer:
    """The recipe's optimiser in its fused form: one pass over the parameters' memory per step.

    Raises
        DalibError: every parameter is frozen
    """
    if not groups:
        raise DalibError(
            "nothing is left to train: the algorithm freezes all there is; set bottleneck or backbone_rate > 0"
        )
    if config.optimiser == "adamw":
        betas = (config.beta1, config.beta2)
        return torch.optim.AdamW(groups, lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True)
    return torch.optim.SGD(
        groups,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
        fused=True,
    )


def set_rate(optimiser: torch.optim.Optimizer, config: TrainConfig, progress: float) -> None:
    factor = config.lr * rate_factor(config, progress)
    for group in optimiser.param_groups:
        group["lr"] = factor * group["factor"]
