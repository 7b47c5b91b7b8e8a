"""Checkpoints; a resumed run ends bit for bit as an uninterrupted one (CPU)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dalib.core.files import written_aside


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Tensors, numbers, strings, lists and dicts, so that loading runs no code; NumPy's numbers become Python's."""
    with written_aside(path) as file:
        torch.save(_plain(state), file)


def load_checkpoint(path: Path, key: str) -> dict[str, Any] | None:
    """The state saved under `key`, or None (with a warning) when it is damaged or belongs to another run."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(f"checkpoint {path} is unreadable ({reason}); training starts again", stacklevel=2)
        return None
    if not isinstance(state, dict) or state.get("key") != key:
        warnings.warn(f"checkpoint {path} belongs to another run; training starts again", stacklevel=2)
        return None
    return state


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value
