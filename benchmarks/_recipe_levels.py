"""The levels of `recipe_study.py`: settings of the recipe, hyper-parameters, and changes of code that is no setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from _recipe_changes import (
    Change,
    averaged,
    between,
    bottlenecks,
    cosine_head,
    decay_matrices_only,
    discriminator_rate,
    discriminators,
    heads,
    initialise,
    networks,
    one_hidden,
    smooth_labels,
    unit_rows,
    warmed,
)

METHODS: dict[str, dict[str, Any]] = {
    "source_only": {},
    "deep_coral": {},
    "mmd": {},
    "dann": {"hidden": 256, "dropout": 0.0, "rate": 1.0},
    "cdan": {"hidden": 256, "dropout": 0.0, "rate": 1.0, "largest_exact": 4096},
    "mcc": {},
    "bnm": {},
}
QUICK = tuple(name for name in METHODS if name != "cdan")
"""cdan takes as long as all others together; beside them dann is the adversarial one."""


@dataclass(frozen=True)
class Level:
    """One value of one factor.

    change: makes a context in which the code is another
    methods: on which it is measured
    """

    factor: str
    name: str
    train: dict[str, Any] = field(default_factory=dict)
    hparams: dict[str, Any] = field(default_factory=dict)
    change: Change = nullcontext
    methods: tuple[str, ...] = QUICK


GRID = (
    ("kaiming", "small", 0.01),
    ("torch", "torch", 0.01),
    ("torch", "torch", 0.03),
    ("torch", "small", 0.01),
    ("torch", "torch", 0.1),
    ("torch", "small", 0.03),
    ("kaiming", "small", 0.03),
    ("kaiming", "small", 0.1),
    ("torch", "small", 0.1),
    ("kaiming", "torch", 0.01),
)


def start_levels() -> list[Level]:
    """Every network begins with what stood then, and is initialised again: so the same numbers are drawn."""
    return [
        Level(
            "start",
            f"{bottleneck} {head} lr {lr}",
            {"lr": lr, "initialisation": "kaiming"},
            change=networks(initialise(bottleneck, head)),
            methods=tuple(METHODS),
        )
        for bottleneck, head, lr in GRID
    ]


def factor_levels() -> list[Level]:
    """Every other factor, one at a time; `as it is` is what all of them depart from."""
    from torch import nn
    from torch.nn.utils.parametrizations import weight_norm

    settings = {
        "steps": (300, 500, 2000),
        "batch_size": (16, 64, 128),
        "schedule": ("cosine", "constant"),
        "warmup": (0.1,),
        "momentum": (0.0,),
        "weight_decay": (0.0, 1e-4, 1e-2),
        "bottleneck": (64, 1024),
        "forward": ("separate",),
        "sampler": ("class_balanced",),
    }
    plain = [Level(name, f"{name} {value}", {name: value}) for name, values in settings.items() for value in values]
    adam = Level("optimiser", "adamw lr 0.001", {"optimiser": "adamw", "lr": 0.001})
    norms = [nn.ReLU()]
    dropout = bottlenecks(lambda linear, norm: [linear, norm, nn.ReLU(), nn.Dropout(0.5)])
    thinned = discriminators(between(lambda _: [nn.ReLU(), nn.Dropout(0.5)]))
    weighted = ("deep_coral", "mmd", "dann", "mcc", "bnm")
    return [
        Level("base", "as it is", methods=tuple(METHODS)),
        *plain,
        adam,
        Level("bottleneck form", "no batch norm", change=bottlenecks(lambda linear, norm: [linear, nn.ReLU()])),
        Level("bottleneck form", "no relu", change=bottlenecks(lambda linear, norm: [linear, norm])),
        Level(
            "bottleneck form",
            "batch norm before",
            change=bottlenecks(lambda linear, norm: [nn.BatchNorm1d(linear.in_features), linear, *norms]),
        ),
        Level("bottleneck form", "dropout 0.5", change=dropout),
        Level("head", "weight norm", change=heads(weight_norm)),
        Level("head", "cosine 0.05", change=heads(cosine_head)),
        Level("scale of features", "unit rows", change=unit_rows()),
        Level("label smoothing", "0.1", change=lambda: smooth_labels(0.1)),
        Level("decay", "matrices only", change=decay_matrices_only),
        Level("average of weights", "0.99", change=lambda: averaged(0.99)),
        *[
            Level("warm-up of the adaptation", f"{name} {'grows' if name != 'dann' else 'at once'}",
                  change=lambda name=name: warmed(name, name != "dann"), methods=(name,))  # type: ignore[misc]
            for name in ("deep_coral", "mmd", "mcc", "bnm", "dann")
        ],
        Level("discriminator", "hidden 1024", hparams={"hidden": 1024}, methods=("dann", "cdan")),
        Level("discriminator", "one hidden layer", change=discriminators(one_hidden), methods=("dann",)),
        Level(
            "discriminator",
            "batch norm",
            change=discriminators(between(lambda width: [nn.BatchNorm1d(width), nn.ReLU()])),
            methods=("dann",),
        ),
        Level("discriminator", "dropout 0.5", change=thinned, methods=("dann",)),
        Level("discriminator", "rate x 10", change=lambda: discriminator_rate(10.0), methods=("dann",)),
        Level("discriminator", "rate x 0.1", change=lambda: discriminator_rate(0.1), methods=("dann",)),
        Level("conditional map", "exact", hparams={"map": "exact"}, methods=("cdan",)),
        *[
            Level("weight", f"weight x {factor}", hparams={"weight x": factor}, methods=weighted)
            for factor in (0.1, 0.3, 3.0, 10.0)
        ],
    ]  # fmt: skip


def discriminator_levels() -> list[Level]:
    """What helped dann's discriminator, together and for cdan too."""
    from torch import nn

    dropout = between(lambda _: [nn.ReLU(), nn.Dropout(0.5)])

    @contextmanager
    def both(factor: float) -> Iterator[None]:
        with discriminators(dropout)(), discriminator_rate(factor):
            yield

    pair = ("dann", "cdan")
    return [
        Level("base", "as it is", methods=pair),
        Level("discriminator", "rate x 10", change=lambda: discriminator_rate(10.0), methods=pair),
        Level("discriminator", "dropout 0.5", change=discriminators(dropout), methods=pair),
        Level("discriminator", "dropout 0.5 and rate x 10", change=lambda: both(10.0), methods=pair),
        Level("discriminator", "rate x 3", change=lambda: discriminator_rate(3.0), methods=pair),
        Level("discriminator", "dropout 0.5 and rate x 3", change=lambda: both(3.0), methods=pair),
    ]


SOME = ("source_only", "mmd", "dann", "mcc")


def fine_tuning_levels() -> list[Level]:
    """The grid of `start`, thinned, for a network that is trained end to end."""
    rows: tuple[tuple[str, dict[str, Any]], ...] = (
        ("kaiming lr 0.01", {"initialisation": "kaiming", "lr": 0.01}),
        ("torch lr 0.01", {"lr": 0.01}),
        ("torch lr 0.03", {"lr": 0.03}),
        ("torch lr 0.1", {"lr": 0.1}),
        ("torch lr 0.03, backbone x 0.3", {"lr": 0.03, "backbone_rate": 0.3}),
        ("torch lr 0.01, backbone x 1", {"lr": 0.01, "backbone_rate": 1.0}),
        ("torch lr 0.003", {"lr": 0.003}),
    )
    return [Level("fine-tuning", name, train, methods=SOME) for name, train in rows]


def scratch_levels() -> list[Level]:
    """The rate of a network that begins with random weights."""
    return [Level("scratch", f"lr {lr}", {"lr": lr}, methods=SOME) for lr in (0.01, 0.03, 0.1, 0.003)]


def long_levels() -> list[Level]:
    """The rates of `fine_tuning_levels` with the steps that are the default."""
    rates, methods = (0.1, 0.03, 0.01), ("source_only", "mcc")
    return [Level("1000 steps", f"lr {lr}", {"lr": lr, "steps": 1000}, methods=methods) for lr in rates]
