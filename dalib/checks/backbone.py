"""A backbone builder's contract, checked on the meta device (shapes without arithmetic); slow checks compute."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import nn

from dalib.backbones import load_backbone, takes_rows
from dalib.checks.result import require
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.rows import RowShape, pick

WIDTH = 16
SMALL = 3_000_000
"""Networks up to this many parameters are also run on real numbers without `slow`."""


EXAMPLES = (
    RowShape((WIDTH,)),
    RowShape((3, 32)),
    RowShape((12,), ids=50),
    RowShape(fields={"text": RowShape((12,), ids=50), "series": RowShape((3, 32)), "table": RowShape((WIDTH,))}),
)
"""Rows of each kind; a backbone that is built to fit must take one of them."""


def _load(name: str, weights: str = "none") -> Backbone:
    """The backbone, built for the first kind of rows that it takes if it is built to fit."""
    if not takes_rows(name):
        return load_backbone(name, weights, dim=WIDTH)
    reasons = []
    for rows in EXAMPLES:
        try:
            return load_backbone(name, weights, rows=rows)
        except DalibError as error:
            reasons.append(str(error))
    raise DalibError(f"{name} takes none of the rows {', '.join(map(str, EXAMPLES))}: {reasons[-1]}")


def _input(b: Backbone, n: int) -> Any:
    """n random rows as the module takes them, on the device on which it is."""
    device = next((p.device for p in b.module.parameters()), torch.device("cpu"))
    shape = b.rows or RowShape((3, b.preprocess.crop, b.preprocess.crop) if b.preprocess else (WIDTH,))
    return _random(shape, n, device)


def _random(shape: RowShape, n: int, device: torch.device) -> Any:
    if shape.fields:
        return {name: _random(part, n, device) for name, part in shape.fields.items()}
    size = (n, *shape.shape)
    return torch.randint(1, shape.ids, size, device=device) if shape.ids else torch.randn(size, device=device)


@lru_cache(maxsize=2)
def _shape_of(name: str) -> Backbone:
    with torch.random.fork_rng(devices=[]), torch.device("cpu" if takes_rows(name) else "meta"):
        return _load(name)


def check_facts_are_consistent(name: str) -> None:
    b = _shape_of(name)
    require(b.name == name, f"build returns a backbone named '{b.name}'; pass the name on")
    require(isinstance(b.module, nn.Module), f"module is a {type(b.module).__name__}; return an nn.Module")
    require(b.dim > 0, f"dim = {b.dim}; state the width of the features")
    require(
        b.weights == "none" and b.weights_hash == "none", "weights = 'none' must be recorded as 'none', hash 'none'"
    )
    p = b.preprocess
    if p:
        require(0 < p.crop <= p.resize, f"crop {p.crop} and resize {p.resize}; use 0 < crop <= resize")
        require(len(p.mean) == len(p.std) == 3, "mean and std need three channels")
        require(all(s > 0 for s in p.std), f"std = {p.std}; use positive numbers")


def check_output_has_the_declared_width(name: str) -> None:
    b = _shape_of(name)
    with torch.no_grad():
        z = b.module.eval()(_input(b, 2))
    require(isinstance(z, torch.Tensor), f"the module returns a {type(z).__name__}; return features (B, dim)")
    require(tuple(z.shape) == (2, b.dim), f"2 inputs give {tuple(z.shape)}; declared are (2, {b.dim})")


def check_groups_are_blocks_of_the_module(name: str) -> None:
    """Groups are parts of the module, share no parameter, and together hold them all (for freezing up to a block)."""
    b = _shape_of(name)
    known = {*b.module.parameters()}
    for group in b.groups:
        inside = known.issuperset(group.parameters())
        require(inside, f"group {type(group).__name__} is no part of the module; freezing it would freeze a copy")
    parameters = [p for group in b.groups for p in group.parameters()]
    require(len({*parameters}) == len(parameters), "two groups share a parameter; make them disjoint")
    missing = known - {*parameters}
    require(not (b.groups and missing), f"{len(missing)} parameters are in no group; fine-tuning by blocks skips them")
    require(b.groups or not list(b.module.parameters()), "groups is empty; list the blocks from input to output")


def check_wrong_weights_are_refused(name: str) -> None:
    try:
        with torch.device("meta"):
            _load(name, "no_such_weights.safetensors")
    except DalibError:
        return
    except Exception as error:
        require(False, f"unknown weights raise {type(error).__name__} ({error}); raise DalibError with the remedy")
    require(False, "weights 'no_such_weights.safetensors' are accepted; raise DalibError")


def check_small_networks_compute(name: str) -> None:
    if sum(p.numel() for p in _shape_of(name).module.parameters()) <= SMALL:
        check_network_computes(name)


def check_network_computes(name: str) -> None:
    """Finite features and gradients on real numbers, in training mode too; evaluation treats every row by itself."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        b = _load(name)
        x = _input(b, 4)
        z = b.module.train()(x)
        require(z.isfinite().all(), "features are not finite in training mode")
        if z.requires_grad:
            z.square().mean().backward()
            bad = [n for n, p in b.module.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
            require(not bad, f"parameter '{(bad or [''])[0]}' gets no finite gradient")
        b.module.eval()
        with torch.no_grad():
            z, alone = b.module(x), b.module(pick(x, slice(1)))
        require(z.dtype == torch.float32 and z.isfinite().all(), "features are not finite float32 in evaluation mode")
        require(torch.allclose(z[:1], alone, rtol=1e-3, atol=1e-4), "a row's features depend on the rows beside it")


BACKBONE_CHECKS = (
    check_facts_are_consistent,
    check_output_has_the_declared_width,
    check_groups_are_blocks_of_the_module,
    check_wrong_weights_are_refused,
    check_small_networks_compute,
)
SLOW_BACKBONE_CHECKS = (check_network_computes,)
