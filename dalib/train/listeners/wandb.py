"""Loss terms, metrics and settings for Weights & Biases, offline unless WANDB_MODE says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dalib.train.tracking import Tracker


class Wandb(Tracker):
    """A run of the project WANDB_PROJECT (default `dalib`), in files below `place`, default `tracking`.

    Nothing leaves the machine before `wandb sync` is called, or unless WANDB_MODE=online is set.

    Args
        place: folder of the files
        name: of the run; empty = the algorithm, the task and the seed
        group: of runs, of a suite its name
        window: steps whose terms are read from the device together, >= 1
    """

    package = "wandb"
    home = "tracking"

    def open(self, name: str, settings: Mapping[str, Any], known: str) -> str:
        import wandb

        Path(self.place).mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "dalib"), mode=os.environ.get("WANDB_MODE", "offline"),  # type: ignore[arg-type]
            name=name, group=self.group, dir=self.place, config=dict(settings), id=known or None,
            resume="allow" if known else None, reinit="create_new", settings=wandb.Settings(silent=True, console="off"),
        )  # fmt: skip
        return str(self.run.id)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))
