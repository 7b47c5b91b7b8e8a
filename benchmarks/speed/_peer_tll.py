"""Transfer-Learning-Library's losses, where a copy of it can be imported; nothing of it is kept here."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

PARTS = ("alignment", "modules", "self_training", "normalization", "utils")


def load_tll(folder: Path | None) -> Any:
    """A function `name -> module tllib.<name>` for the checkout at `folder`, or None without one.

    Its packages import every vision model and data set of the library, so they are entered without their __init__; and
    `numpy.float` and `prettytable`, which its releases expect, are stood in for where they are missing.
    """
    if folder is None or not (folder / "tllib").is_dir():
        return None
    import numpy as np

    vars(np).setdefault("float", float)
    try:
        importlib.import_module("prettytable")
    except ImportError:
        sys.modules["prettytable"] = types.ModuleType("prettytable")
    for name in ("tllib", *(f"tllib.{part}" for part in PARTS)):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
    return lambda name: importlib.import_module(f"tllib.{name}")
