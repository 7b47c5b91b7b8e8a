"""What a model file says about itself, read without running code from it, and whether it can be true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from dalib.core.checksum import header_sum_is_right
from dalib.core.errors import DalibError

READABLE = (1, 2)
"""Formats that can be read; files of the first carry no checksum."""
LARGEST, MOST_SOURCES, LONGEST_HEADER = 1 << 20, 1000, 16_000_000
"""Of any number in a file's facts, of its source domains, and of the bytes that tell of its tensors and facts."""
WRITER = "dalib train --out (dalib.save_model)"
MOST_PIXELS = 8192
"""Of an image's side, in a file's facts."""
KINDS: dict[str, tuple[type, ...]] = {
    "algorithm": (str,), "hparams": (dict,), "classes": (list,), "config": (dict,), "backbone": (dict,),
    "preprocess": (dict, type(None)), "extra": (dict,),
}  # fmt: skip
OF_BACKBONE: dict[str, tuple[type, ...]] = {"name": (str,), "dim": (int,), "frozen": (bool,), "weights": (str,)}


def read_facts(path: str | Path) -> dict[str, Any]:
    """What a model file says about itself: algorithm, hparams, classes, config, backbone, preprocess, extra."""
    facts, state = read_content(Path(path))
    check_facts(facts, state, Path(path))
    return facts


def check_facts(facts: dict[str, Any], state: dict[str, torch.Tensor], path: Path) -> None:
    """What a file says of itself has the kinds it must have, and no width that its tensors do not bear out."""

    def refuse(what: str) -> DalibError:
        return DalibError(f"{path} is no usable dalib model: {what}; give a file written by {WRITER}")

    made = facts.get("backbone")
    for kinds, told, where in ((KINDS, facts, ""), (OF_BACKBONE, made if isinstance(made, dict) else {}, "backbone.")):
        for name, kind in kinds.items():
            if name not in told:
                raise refuse(f"it does not say {where}{name}")
            if not isinstance(told[name], kind) or (kind == (int,) and isinstance(told[name], bool)):
                raise refuse(f"{where}{name} is {str(told[name])[:40]!r}")
    classes, largest = facts["classes"], max([LARGEST, *(max(t.shape, default=0) for t in state.values() if t.numel())])
    if not classes or not all(isinstance(name, str) for name in classes):
        raise refuse(f"classes are {str(classes)[:40]}")
    numbers = {"backbone.dim": facts["backbone"]["dim"], "origins": facts.get("origins", 1)}
    size = facts["preprocess"] or {}
    numbers |= {f"config.{k}": v for k, v in facts["config"].items() if k in ("bottleneck", "crop", "resize")}
    numbers |= {k: v for k, v in facts["hparams"].items() if type(v) is int}
    for name, value in numbers.items():
        if type(value) is not int or not -largest <= value <= largest:
            raise refuse(f"{name} is {str(value)[:40]}")
    if facts.get("origins", 1) > MOST_SOURCES:
        raise refuse(f"origins are {facts['origins']}, more than {MOST_SOURCES}")
    for name in {"crop", "resize"} & set(size):
        if type(size[name]) is not int or not 1 <= size[name] <= MOST_PIXELS:
            raise refuse(f"preprocess.{name} is {str(size[name])[:40]}")
    if facts["backbone"]["dim"] < 1 or facts.get("origins", 1) < 1:
        raise refuse("backbone.dim and origins must be 1 or more")


def read_content(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Facts and tensors of a sound file. DalibError for another, one that is damaged, and numbers that are none."""
    if not path.is_file():
        raise DalibError(f"no model file {path}; {WRITER} writes one")
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"a header of {length} bytes")
        with safe_open(path, framework="pt") as handle:
            told = handle.metadata() or {}
            facts = json.loads(told.get("dalib", "null"))
            state = {k: handle.get_tensor(k) for k in handle.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, ValueError, RecursionError, OSError, MemoryError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DalibError(
            f"{path} is not a safetensors file, or damaged ({reason}); give a file written by {WRITER}"
        ) from None
    if not isinstance(facts, dict) or facts.get("format") not in READABLE:
        raise DalibError(f"{path} holds weights but is no dalib model; give a file written by {WRITER}")
    if facts["format"] != 1 and not header_sum_is_right(path.read_bytes(), str(facts.pop("crc32", ""))):
        raise DalibError(f"{path} is damaged: its checksum is another; copy it again, or train again with {WRITER}")
    for name, tensor in state.items():
        if name.startswith("moments.") and name.endswith(".deviation"):
            tensor = tensor[tensor != torch.inf]  # that of a constant column, which becomes 0
        if tensor.is_floating_point() and not tensor.isfinite().all():
            remedy = "so it can predict nothing; train again, with a lower lr"
            raise DalibError(f"{path} holds nan or infinity in {name}, {remedy}")
    return facts, state
