"""Feature extractors by name; torch loads when the first one is built."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dalib.core.backbone import Backbone
    from dalib.core.rows import RowShape

FAMILIES = ("timm", "open_clip")
"""Backbones of which a name says which model: `timm:resnet18`, `open_clip:ViT-B-32`."""


def load_backbone(
    name: str,
    weights: str = "imagenet",
    *,
    frozen: bool = False,
    dim: int = 0,
    seed: int | None = None,
    rows: RowShape | None = None,
    head: bool = False,
    pretraining: Sequence[str] = (),
    **options: Any,
) -> Backbone:
    """Build the backbone `name`.

    Args
        name: registry name (`dalib list backbones`), `timm:MODEL` or `open_clip:MODEL`
        weights: `imagenet`, `none`, `pretrained` (what ships with dalib) or the path of a weights file
        frozen: embed every image once and train on the features only
        dim: width of the features that `identity` passes on; other backbones know their own
        seed: decides weights that are drawn at random, whatever was drawn before; None = as torch's generator stands
        rows: what the rows look like (`core.rows.row_shape(x)`), for networks built to fit: `mlp`, `cnn1d` …
        head: keep the classifier it was pretrained with, if the weights hold one, as `Backbone.head`, and what reads
            class names, where there is such a tower, as `Backbone.text_tower`
        pretraining: what the weights were trained on, where their name does not say it (`imagenet-1k`, `own:mine`)
        options: of this backbone, as its file lists them

    Raises
        DalibError: unknown name, weights or option, a file that does not fit, `identity` without dim, a network built
            to fit without rows or on rows of another kind
    """
    from dataclasses import replace

    from dalib.backbones._pretraining import check_declared, check_pretraining, find_pretraining
    from dalib.core.errors import DalibError
    from dalib.core.registry import BACKBONES

    build = BACKBONES.get(find_plugin(name))
    check_options(name, options)
    check_pretraining(pretraining)
    fitted = takes_rows(name)
    if fitted and rows is None:
        raise DalibError(f"backbone '{name}' is built to fit its rows: give rows = row_shape(x)")
    with _drawing_from(seed):
        backbone = build(name, weights, rows, **options) if fitted else build(name, weights, **options)
    if (
        frozen
        and backbone.rows
        and not backbone.rows.fields
        and not backbone.rows.ids
        and len(backbone.rows.shape) == 1
    ):
        raise DalibError(
            f"backbone '{name}' takes feature rows already; frozen = true has nothing to embed: leave it out"
        )
    width = backbone.dim or dim
    if width < 1:
        raise DalibError(f"backbone '{name}' passes features as they are: give their width, dim = {dim} is none")
    if not pretraining:
        check_declared(name, find_pretraining(name, weights, options))
    seen = tuple(pretraining) or backbone.pretraining or find_pretraining(name, weights, options)
    made = replace(backbone, dim=width, frozen=frozen, options={**backbone.options, **options}, pretraining=seen)
    if not head:
        return replace(made, text_tower=None)
    from dalib.backbones._classifier import load_classifier, name_classes

    kept = load_classifier(made, weights)
    return replace(made, head=kept, head_classes=name_classes(kept, made.pretraining))


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """DalibError unless the backbone has every one of these options, each of its default's sort: number, list, text."""
    from dalib.core.errors import DalibError, unknown

    known = own_options(name)
    sorts: tuple[tuple[str, Any], ...] = (("number", (int, float)), ("list", (list, tuple)), ("text", str))
    for option, value in options.items():
        if not known:
            raise DalibError(f"backbone {name} has no options, so no '{option}'; leave it out")
        if option not in known:
            raise unknown(f"option of backbone {name}", option, known)
        for sort, kinds in sorts:
            if isinstance(known[option], kinds) and (not isinstance(value, kinds) or isinstance(value, bool)):
                default = list(known[option]) if sort == "list" else known[option]
                raise DalibError(f"{name}.{option} = {value!r} is not a {sort}; its default is {default!r}")


def own_options(name: str) -> dict[str, Any]:
    """The options of a backbone -> their defaults."""
    from dalib.core.registry import BACKBONES

    parameters = list(inspect.signature(BACKBONES.get(find_plugin(name))).parameters.values())[2:]
    return {p.name: p.default for p in parameters if p.name != "rows"}


@contextmanager
def _drawing_from(seed: int | None) -> Iterator[None]:
    """Inside, torch's CPU generator starts from `seed`; afterwards it is where it was."""
    if seed is None:
        yield
        return
    import torch

    with torch.random.fork_rng(devices=[]):
        from dalib.core.seeds import check_seed

        torch.manual_seed(check_seed(seed))
        yield


def find_plugin(name: str) -> str:
    """The registry's name of a backbone: `timm` for `timm:resnet18`."""
    family, colon, _ = name.partition(":")
    return family if colon and family in FAMILIES else name


def takes_rows(name: str) -> bool:
    """The backbone is built to fit the data's rows; DalibError for an unknown name."""
    from dalib.core.registry import BACKBONES

    return "rows" in inspect.signature(BACKBONES.get(find_plugin(name))).parameters


def own_weights(name: str) -> str:
    """The weights that a backbone has unless others are asked for: its file's `OWN_WEIGHTS`, else `imagenet`.

    One that is built to fit its rows has none of its own.
    """
    from dalib.core.registry import BACKBONES

    own = getattr(inspect.getmodule(BACKBONES.get(find_plugin(name))), "OWN_WEIGHTS", "imagenet")
    return "none" if takes_rows(name) else str(own)


def backbone_version(name: str) -> int:
    """The `VERSION` of a backbone's file, 1 unless it says otherwise; part of every key of its runs."""
    from dalib.core.registry import BACKBONES

    found = find_plugin(name)
    return int(getattr(inspect.getmodule(BACKBONES.get(found)), "VERSION", 1)) if found in BACKBONES else 1
