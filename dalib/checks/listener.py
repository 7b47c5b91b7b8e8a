"""A listener's contract: made without arguments, it follows a fit and a resumed one, and changes no number of them."""

from __future__ import annotations

import inspect
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dalib.checks.result import require
from dalib.checks.training import Interrupted
from dalib.checks.world import checkpoint_file, equal_states, fit
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.checksum import unseal
from dalib.core.listener import Listener
from dalib.core.types import Source, Target
from dalib.train.fitted import Fitted


class _Plain(Algorithm):
    """What the listener follows; it draws random numbers in every step."""

    def adapt(self, source: Source, target: Target, progress: float | torch.Tensor) -> Terms:
        noise = 0.01 * torch.randn_like(target.z)
        return {"gap": (source.z.mean(0) - (target.z + noise).mean(0)).square().sum()}


def _same(alone: Fitted, followed: Fitted) -> bool:
    return not equal_states(alone.algorithm, followed.algorithm) and alone.curve == followed.curve


@contextmanager
def _elsewhere() -> Iterator[Path]:
    """Inside, the working directory is one that is thrown away, with what the listener writes."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def check_needs_no_arguments(cls: type[Listener]) -> None:
    needed = [
        p.name
        for p in inspect.signature(cls).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    require(not needed, f"the constructor needs '{(needed or [''])[0]}'; give it a default")


def check_changes_no_number(cls: type[Listener]) -> None:
    """The same weights and curve with and without it."""
    with _elsewhere():
        alone, followed = fit(_Plain), fit(_Plain, listeners=[cls()])
    require(
        _same(alone, followed),
        "the fit ends with other numbers when it is followed; draw no random numbers, write to no tensor",
    )


def check_candidates_stay(cls: type[Listener]) -> None:
    """It may add to a candidate, and takes nothing away from it."""
    with _elsewhere():
        alone, followed = fit(_Plain).candidates, fit(_Plain, listeners=[cls()]).candidates
    require(len(alone) == len(followed), f"there are {len(followed)} candidates in place of {len(alone)}")
    for before, after in zip(alone, followed, strict=True):
        changed = [name for name in before if before[name] != after.get(name)]
        require(not changed, f"'{(changed or [''])[0]}' of a candidate is changed; add entries under names of your own")


def check_follows_several_fits(cls: type[Listener]) -> None:
    """One object, one fit after another."""
    with _elsewhere():
        listener = cls()
        fits = [fit(_Plain, listeners=[listener], steps=steps) for steps in (3, 3)]
    require(_same(*fits), "a second fit with the same object ends with other numbers; start anew in `begin`")


def check_survives_a_resume(cls: type[Listener]) -> None:
    """Its state can be saved and read; a fit killed at half-time and resumed ends as an uninterrupted one."""

    def kill(step: int, steps: int) -> None:
        raise Interrupted

    with _elsewhere() as folder:
        path = checkpoint_file(str(folder))
        try:
            fit(_Plain, listeners=[cls()], checkpoint=path, checkpoint_seconds=-1.0, report=kill)
        except Interrupted:
            require(_is_readable(path), "its state cannot be read again; keep tensors, numbers, text")
        resumed = fit(_Plain, listeners=[cls()], checkpoint=path, checkpoint_seconds=1e9)
        require(_same(fit(_Plain), resumed), "a resumed fit ends with other numbers when it is followed")


def _is_readable(checkpoint: Path) -> bool:
    try:
        torch.load(io.BytesIO(unseal(checkpoint.read_bytes())), map_location="cpu", weights_only=True)
    except Exception:
        return False
    return True


LISTENER_CHECKS = (
    check_needs_no_arguments,
    check_changes_no_number,
    check_candidates_stay,
    check_follows_several_fits,
    check_survives_a_resume,
)
