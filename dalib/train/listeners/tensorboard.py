"""Loss terms, metrics and settings as event files of TensorBoard (`tensorboard --logdir DIR`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dalib.train.tracking import Tracker, free_folder, plain_name


class TensorBoard(Tracker):
    """A folder per run below `place`/`group`, default `tracking/tensorboard`; a run that was stopped goes on in it.

    Args
        place: folder; TensorBoard's `--logdir`
        name: of the run; empty = the algorithm, the task and the seed
        group: folder between the two, of a suite its name
        window: steps whose terms are read from the device together, >= 1
    """

    package = "tensorboard"
    home = "tracking/tensorboard"

    def open(self, name: str, settings: Mapping[str, Any], known: str) -> str:
        from torch.utils.tensorboard import SummaryWriter

        folder = Path(known) if known else free_folder(Path(self.place, plain_name(self.group), plain_name(name)))
        self.writer = SummaryWriter(str(folder))
        if not known:
            self.writer.add_text("settings", "\n".join(f"    {key} = {value!r}" for key, value in settings.items()))
        return str(folder)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self.writer.add_scalar(key, value, step)
        self.writer.flush()

    def close(self, failed: bool) -> None:
        self.writer.close()
