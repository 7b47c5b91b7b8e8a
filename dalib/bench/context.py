"""Where a run happens: everything that `run_one` needs and that changes no number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunContext:
    """Args
    root: folder or zip of the data; None = `DALIB_DATA`
    device: `auto`, `cpu`, `cuda`, `cuda:N`
    threads: of the run's process, >= 1
    keep_features: store z beside the logits, so that validators of features can be added later
    checkpoint: file that makes the run resumable, or None
    plugins: files to load before the run
    validators: names of those that score every candidate beside the oracle; None = all
    """

    root: str | None = None
    device: str = "auto"
    threads: int = 1
    checkpoint: str | None = None
    plugins: tuple[str, ...] = ()
    keep_features: bool = False
    validators: tuple[str, ...] | None = None
