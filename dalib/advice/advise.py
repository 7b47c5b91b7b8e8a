"""`dalib.advise`: look at data, say what to try first and why, write a suite that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dalib.advice.facts import choose_tasks, measure
from dalib.advice.material import Options
from dalib.advice.opening import open_material
from dalib.advice.rules import Advice, decide
from dalib.advice.suite import write_suite
from dalib.core.errors import DalibError
from dalib.train.device import pick_device


def advise(
    path: str | Path,
    source: str = "",
    target: str = "",
    *,
    backbone: str = "",
    weights: str = "",
    normalise: Sequence[str] = (),
    rows: int = 1000,
    device: str = "auto",
    root: str | Path | None = None,
    skip_unreadable: bool = False,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Advice:
    """Measure data and say which protocol, backbone and algorithms to try first, and why.

    Args
        path: a folder or zip of images, a feature file (.npz), or a data set's name
        source, target: domains, several sources as `dslr+webcam`; without them every task that the data offer
        backbone: measures through it; empty: `tiny` for drawn data, else a ResNet
        weights: of the backbone; empty: its own
        normalise: steps for features, in order: `row_sum`, `l2`, `zscore`
        rows: most rows of a domain that are measured, >= 10
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        root: where named data sets lie; None = DALIB_DATA
        skip_unreadable: leave out image files that cannot be decoded
        out: a .toml file to write the advice into, as a suite
        progress: called with (done, total)

    Raises
        DalibError: nothing to read, domains that are not there, no suite for `out`
    """
    if rows < 10:
        raise DalibError(f"rows = {rows} is below 10; give a larger number")
    if out is not None and Path(out).suffix != ".toml":
        raise DalibError(f"{out} does not end in .toml; name the suite's file, for example suite.toml")
    gpu = pick_device(device).type == "cuda"
    where = Path(root) if root is not None else None
    material = open_material(
        str(path), Options(where, tuple(normalise), backbone, weights, rows, device, skip_unreadable, progress)
    )
    advice = decide(measure(material, choose_tasks(material, source, target), progress), gpu=gpu)
    if out is not None:
        write_suite(advice, Path(out))
    return advice
