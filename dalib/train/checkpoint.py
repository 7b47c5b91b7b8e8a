"""Checkpoints; a resumed run ends bit for bit as an uninterrupted one (CPU)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dalib.core.checksum import seal, unseal
from dalib.core.files import read_file, write_atomic


def save_checkpoint(path: Path, state: dict[str, Any], run: Mapping[str, str]) -> None:
    """Tensors, numbers, strings, lists and dicts, so that loading runs no code; NumPy's numbers become Python's.

    run: what the run is, by which `load_checkpoint` tells it from others
    """
    content = io.BytesIO()
    torch.save(_plain(state) | {"run": dict(run)}, content)
    write_atomic(path, seal(content.getvalue()))


def load_checkpoint(path: Path, run: Mapping[str, str]) -> dict[str, Any] | None:
    """The state saved for this run, or None (with a warning) when it is damaged or belongs to another run."""
    state = read_checkpoint(path)
    if state is None:
        return None
    kept = state.get("run")
    if kept != dict(run):
        kept = kept if isinstance(kept, dict) else {}
        others = [f"its {name} is {_short(kept[name])}, not {_short(value)}" for name, value in run.items()
                  if name in kept and kept[name] != value]  # fmt: skip
        told = f" ({'; '.join(others[:3])})" if others else ""
        warnings.warn(f"checkpoint {path} belongs to another run{told}; training starts again", stacklevel=2)
        return None
    return state


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state in a file, of whatever run, or None: with a warning when it is damaged, without where there is none."""
    if not path.exists():
        return None
    try:
        state = torch.load(io.BytesIO(unseal(read_file(path))), map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("it holds no state")
    except Exception as error:  # torch has many words for damage
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(f"checkpoint {path} is unreadable ({reason}); training starts again", stacklevel=3)
        return None
    return state


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value
