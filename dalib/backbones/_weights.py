"""Weights from a file or a download into a module, with errors that say what does not fit."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dalib.backbones._weight_files import harmless, read_safetensors, refuse_other
from dalib.core.errors import DalibError, unknown

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".tar", ".bin")


def hash_state(module: nn.Module) -> str:
    """sha256 (64 hex digits) of a module's parameters and buffers: names in sorted order, types, shapes, bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def find_file(
    weights: str, named: tuple[str, ...] = ("imagenet", "none"), suffixes: tuple[str, ...] = SUFFIXES
) -> Path:
    """The existing weights file that `weights` names; DalibError for a missing one or a wrong suffix.

    A relative path is looked for in the current folder, then in `DALIB_DATA`.
    """
    path = Path(weights).expanduser()
    if not path.suffix and not path.exists():
        raise unknown("weights", weights, named, f"or give the path of a {' or '.join(suffixes)} file")
    if path.suffix not in suffixes:
        raise DalibError(f"weights file '{weights}' does not end in {', '.join(suffixes)}; save the state dict as one")
    for place in (path, Path(os.environ.get("DALIB_DATA", ".")) / path):
        if place.is_file():
            return place
    raise DalibError(f"no weights file '{weights}'; check the path (a relative one may also lie in DALIB_DATA)")


_INSIDE = (
    "state_dict",
    "model",
    "model_state_dict",
    "state_dict_ema",
    "model_ema",
    "ema",
    "net",
    "network",
    "backbone",
)
"""Where training programs put the weights beside epoch and optimiser, in the order of preference."""
_COUNTERS = ("total_ops", "total_params", "n_averaged")


def _is_state(content: Any) -> bool:
    return isinstance(content, Mapping) and bool(content) and all(isinstance(v, Tensor) for v in content.values())


def _kind(value: Tensor) -> str:
    if value.device.type == "meta":
        return "no"
    return "quantised" if value.is_quantized else "complex" if value.is_complex() else "sparse"


class State(dict[str, Tensor]):
    """A state dict that remembers where it was found.

    steps: what was unpacked to get at it, `state_dict`, `module.`
    maker: of a model file of dalib's, the algorithm and the backbone; else empty
    """

    steps: tuple[str, ...] = ()
    maker: str = ""


def read_state(path: Path) -> State:
    """A state dict from .safetensors, or from .pth, .pt and the like without running code.

    Takes a raw state dict, the one of a training program's checkpoint, or the network of a model file of dalib's, and
    removes DataParallel's `module.` and torch.compile's `_orig_mod.`.

    Raises
        DalibError: not weights (which says what it is instead), code, or numbers that are NaN or infinite
    """
    refuse_other(path)
    content: Any
    maker, steps = "", []
    try:
        if path.suffix == ".safetensors":
            content, maker = read_safetensors(path)
        else:
            with harmless():
                content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        other = re.search(r"GLOBAL ([\w.]+)", str(error)) or [""] * 2
        raise DalibError(
            f"weights file '{path}' holds more than tensors and is not opened, since that could run code "
            f"({other[1] or 'not said which'}); save module.state_dict() instead"
        ) from None
    except DalibError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise DalibError(f"weights file '{path}' cannot be read ({reason}); copy or download it again") from None
    for key in _INSIDE * 2:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            steps.append(key)
    inside = [k for k, v in content.items() if _is_state(v)] if isinstance(content, Mapping) else []
    if len(inside) == 1 and not _is_state(content):
        content = content[inside[0]]
        steps.append(str(inside[0]))
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        keys = ", ".join(map(str, list(content)[:6])) if isinstance(content, Mapping) else type(content).__name__
        raise DalibError(
            f"weights file '{path}' is not a state dict (name -> tensor) but holds {keys or 'nothing'}; "
            "save module.state_dict()"
        )
    state = State({str(name): value for name, value in content.items()})
    for wrapper in ("module.", "_orig_mod.", "module."):
        if any(name.startswith(wrapper) for name in state):
            state = State({name.removeprefix(wrapper): value for name, value in state.items()})
            steps.append(wrapper)
    state.maker, state.steps = maker, tuple(steps)
    size = path.stat().st_size
    for name, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.device.type == "meta":
            raise DalibError(f"weights file '{path}' holds {_kind(value)} numbers in {name}; save plain float tensors")
        if value.numel() * value.element_size() > 8 * size + 1_000_000:
            raise DalibError(f"weights file '{path}' says that {name} is {tuple(value.shape)}, more than it holds")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise DalibError(f"weights file '{path}' holds NaN or infinity in {name}; take an earlier checkpoint")
    return state


def unwrap(state: Mapping[str, Tensor], own: Iterable[str], origin: str = "") -> dict[str, Tensor]:
    """The state dict without the prefix that a wrapper put before the module's own names (`model.`, `encoder_q.`).

    A prefix goes only where what follows it holds every name in `own`; what does not bear it (a head, a bottleneck of
    that program) is left behind.

    Raises
        DalibError: several networks in one file fit (a student and its teacher)
    """
    needed = sorted(name for name in own if not name.endswith("num_batches_tracked"))
    plain = {k: v for k, v in state.items() if k.rpartition(".")[2] not in _COUNTERS}
    if not needed or set(needed) <= set(plain):
        return plain
    prefixes = {k.removesuffix(needed[0]) for k in plain if k.endswith(f".{needed[0]}")}
    fitting = sorted(p for p in prefixes if all(p + name in plain for name in needed))
    if len(fitting) > 1 and not {"encoder_q."} & set(fitting):
        raise DalibError(
            f"weights '{origin}' hold {len(fitting)} networks that fit ({', '.join(fitting)}); save the one meant alone"
        )
    if not fitting:
        return plain
    prefix = "encoder_q." if "encoder_q." in fitting else fitting[0]
    return {k.removeprefix(prefix): v for k, v in plain.items() if k.startswith(prefix)}


def load_state(module: nn.Module, state: Mapping[str, Tensor], drop: tuple[str, ...], name: str, origin: str) -> None:
    """Copy a state dict into a module, exactly.

    Args
        drop: prefixes of the classifier's keys, which the backbone does not have
        name, origin: of the backbone and of the weights, for the message

    Raises
        DalibError: missing, unexpected or misshapen entries (BatchNorm's batch counter may be missing)
    """
    own = module.state_dict()
    unwrapped = unwrap(state, own, origin)
    given = {key: value for key, value in unwrapped.items() if not key.startswith(drop)}
    problems = {
        "missing": [k for k in own if k not in given and not k.endswith("num_batches_tracked")],
        "unexpected": [k for k in given if k not in own],
        "of another shape": [k for k in own if k in given and given[k].shape != own[k].shape],
        "of whole numbers": [
            k for k in own if k in given and own[k].is_floating_point() and not given[k].is_floating_point()
        ],
    }
    misfits = [f"{what} {_first(keys)}" for what, keys in problems.items() if keys]
    maker = getattr(state, "maker", "")
    if misfits:
        made = f" (a dalib model, {maker})" if maker else ""
        fit = f"weights '{origin}'{made} do not fit {name}: {'; '.join(misfits)}"
        raise DalibError(f"{fit}; give a state dict of {name}")
    module.load_state_dict(given, strict=False)
    _tell(state, unwrapped, origin, maker)


def _tell(state: Mapping[str, Tensor], unwrapped: Mapping[str, Tensor], origin: str, maker: str) -> None:
    """A word about what was unpacked, and what was left behind."""
    steps = [f"'{step}'" for step in getattr(state, "steps", ())]
    first = next(iter(unwrapped))
    steps += [f"'{k.removesuffix(first)}'" for k in state if k.endswith(f".{first}")][:1] if first not in state else []
    left = sum(1 for k in state if k.rpartition(".")[2] not in _COUNTERS) - len(unwrapped)
    if steps or left or maker:
        of = f"the network of a dalib model ({maker})" if maker else f"weights found below {', '.join(steps) or 'it'}"
        rest = f", {left} other entries left behind" if left else ""
        warnings.warn(f"'{origin}': {of}{rest}", UserWarning, stacklevel=4)


def _first(keys: list[str], count: int = 3) -> str:
    more = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(keys[:count]) + more


def download_state(url: str, name: str) -> dict[str, Tensor]:
    """The state dict behind a URL, kept in torch.hub's cache and checked against the hash in the file's name."""
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=sys.stderr.isatty(), check_hash=True, weights_only=True
        )
    except Exception as error:
        raise download_failed(name, url, error) from None


def download_failed(name: str, url: str, error: Exception) -> DalibError:
    """The error for weights that could not be fetched: which file, and how to pass it."""
    reason = str(error).partition("\n")[0]
    return DalibError(
        f"cannot download the ImageNet weights of {name} ({reason}); fetch {url} where there is a network and give "
        f"its path: weights = 'PATH/{url.rpartition('/')[2]}'"
    )
