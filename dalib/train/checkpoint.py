"""Checkpoints written aside and renamed; a resumed run ends bit for bit as an uninterrupted one (CPU)."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Tensors, numbers, strings, lists and dicts only, so that loading runs no code."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    torch.save(state, aside)
    aside.replace(path)


def load_checkpoint(path: Path, key: str) -> dict[str, Any] | None:
    """The state saved under `key`, or None when there is none, it is damaged, or it belongs to another run."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        warnings.warn(f"checkpoint {path} is unreadable ({error}); training starts again", stacklevel=2)
        return None
    return state if state.get("key") == key else None
