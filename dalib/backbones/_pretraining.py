"""What a backbone's weights were trained on, as far as its name and theirs say; reads no weights and no torch."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

from dalib.backbones import find_plugin
from dalib.core.errors import DalibError, unknown
from dalib.core.registry import BACKBONES, parse_file

UNKNOWN = "unknown"
WEB = "unknown-web"
"""Pictures and texts of the web that nobody outside has seen a list of."""
WORDS = {
    "imagenet": "imagenet-1k", "imagenet1k": "imagenet-1k", "in1k": "imagenet-1k", "in12k": "imagenet-12k",
    "imagenet21k": "imagenet-21k", "imagenet22k": "imagenet-21k", "in21k": "imagenet-21k", "in22k": "imagenet-21k",
    "inw21k": "imagenet-21k", "laion2b": "laion-2b", "laion400m": "laion-400m", "laiona": "laion-a",
    "merged2b": "merged-2b", "datacomp1b": "datacomp-1b", "datacompxl": "datacomp-1b", "cc12m": "cc-12m",
    "yfcc15m": "yfcc-15m", "yfcc100m": "yfcc-100m", "sa1b": "sa-1b", "lvd142m": "lvd-142m", "lvd1689m": "lvd-1689m",
    "sat493m": "sat-493m", "ig1b": WEB, "jft": WEB, "openai": WEB, "webli": WEB, "metaclip": WEB, "metaclip2": WEB,
    "dfn2b": WEB, "dfn5b": WEB, "dfndr2b": WEB, "clip": WEB,
}  # fmt: skip
"""Words of the names of weights, timm's tags among them -> what was trained on."""


OWN = "own:"
"""Before a name that is known to nobody else: `own:hospital-2024`."""
_NAMED = frozenset({UNKNOWN, "drawn-objects", *WORDS.values()})


def check_pretraining(names: Sequence[str]) -> None:
    """DalibError for data that nobody knows under that name, and that does not say so by `own:`.

    Known are the values of `WORDS`, `unknown`, and what a backbone's file or plug-in says in its `PRETRAINING`.
    """
    strange = [n for n in names if n not in _NAMED and not (n.startswith(OWN) and n != OWN)]
    if not strange:
        return
    declared = {data for name in BACKBONES.names() for seen in declared_pretraining(name).values() for data in seen}
    for name in strange:
        if name not in declared:
            known = sorted(_NAMED | declared)
            raise unknown("pretraining", name, known, f"known: {', '.join(known)}; or {OWN}NAME for data of your own")


def check_declared(backbone: str, names: Sequence[str]) -> None:
    """DalibError where a backbone's `PRETRAINING` has a name that is nearly, but not quite, a known one."""
    for name in names:
        near = [] if name in _NAMED or name.startswith(OWN) else get_close_matches(name, _NAMED, 1, 0.75)
        if near:
            raise DalibError(
                f"PRETRAINING of backbone {backbone} says '{name}'; did you mean '{near[0]}'? Data of another name is "
                f"'{OWN}{name}'"
            )


def find_pretraining(name: str, weights: str, options: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Data in order of training, `("imagenet-21k", "imagenet-1k")`; () = none, from scratch; `unknown` is said.

    A file in `dalib/backbones` (or a plug-in) says it in its `PRETRAINING`, weights -> data; else the words of the
    weights' name do, or those of timm's tag.

    Args
        name, weights: as in `load_backbone`
        options: of the backbone; the encoders of `modalities` count, each with its own
    """
    parts = (options or {}).get("encoders")
    if isinstance(parts, Mapping):
        return tuple(dict.fromkeys(data for part in parts.values() for data in _of_encoder(part)))
    if weights == "none" or name == "identity":
        return ()
    declared = declared_pretraining(find_plugin(name))
    if weights in declared:
        return tuple(declared[weights])
    if name.startswith("timm:") and weights == "imagenet":
        return read_tag(name.partition(".")[2])
    seen = read_tag(PurePath(weights).name)
    return (WEB,) if find_plugin(name) == "open_clip" and seen == (UNKNOWN,) else seen


def _of_encoder(given: Any) -> tuple[str, ...]:
    """Of one modality's encoder, a name or a table."""
    table = {"name": given} if isinstance(given, str) else dict(given)
    name = str(table.get("name", ""))
    return find_pretraining(name, str(table.get("weights", "pretrained" if name == "tiny" else "none")))


def read_tag(tag: str) -> tuple[str, ...]:
    """`augreg_in21k_ft_in1k` -> imagenet-21k, imagenet-1k; what was fine-tuned after something unsaid is `unknown` too.

    A tag with no word that is known is `unknown`.
    """
    words = re.split(r"[^a-z0-9]+", tag.lower())
    found = {i: WORDS[word] for i, word in enumerate(words) if word in WORDS}
    said = [WORDS[w] for w in words if w in WORDS]
    tuned = words.index("ft") if "ft" in words else 0
    before = not tuned or any(i < tuned for i in found)
    if WEB in said and any(data not in (WEB, "imagenet-1k", "imagenet-12k", "imagenet-21k") for data in said):
        said = [data for data in said if data != WEB]
    return tuple(dict.fromkeys(said if before and said else [UNKNOWN, *said]))


def declared_pretraining(name: str) -> Mapping[str, tuple[str, ...]]:
    """`PRETRAINING` of a backbone's file, weights -> data; empty where it has none, or nobody knows the backbone."""
    path = BACKBONES.files().get(name)
    if path is None:
        build = BACKBONES.get(name) if name in BACKBONES else None
        found = getattr(inspect.getmodule(build), "PRETRAINING", {}) if build else {}
        return found if isinstance(found, Mapping) else {}
    for node in parse_file(path).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "PRETRAINING" for t in node.targets
        ):
            found = ast.literal_eval(node.value)
            return found if isinstance(found, dict) else {}
    return {}
