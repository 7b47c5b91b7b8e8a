"""A state that cannot be saved for want of room is no end of a fit."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import dalib
from dalib.checks.world import CONFIG, DIM, make_task
from dalib.core.backbone import identity
from dalib.train.listeners import checkpoint
from dalib.train.listeners.checkpoint import Checkpoint
from dalib.train.trainer import Trainer


def fit(path: Path) -> None:
    Trainer(CONFIG, device="cpu", listeners=[Checkpoint(path, "key", seconds=-1.0)]).fit(
        dalib.MMD(), make_task(), identity(DIM)
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_is_warned_of_and_another_error_raised(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(checkpoint, "save_checkpoint", refuse)
    if number == errno.ENOSPC:
        with pytest.warns(RuntimeWarning, match=r"checkpoint .*x.pt could not be written \(refused\); the fit goes on"):
            fit(tmp_path / "x.pt")
    else:
        with pytest.raises(OSError, match="refused"):
            fit(tmp_path / "x.pt")
