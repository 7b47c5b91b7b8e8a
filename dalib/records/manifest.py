"""What a table needs to know about a suite without its data: rows, columns and the key of every cell."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Cell(BaseModel):
    """One run of the suite: the row's label, the task, the seed and the record's key.

    draw: 0 for the row as it stands; search adds others
    row, at: of a sweep: the row of the suite file that `label` is a copy of, and the value there
    """

    model_config = ConfigDict(extra="forbid")

    label: str
    task: str
    seed: int
    key: str
    draw: int = 0
    row: str = ""
    at: float = 0.0


class Manifest(BaseModel):
    """One JSON file per suite, `manifests/<name>.json`.

    name: no path, for it names a file and archives come from others; without strokes and control characters
    note: how the data differ from the declaration (a partial copy), for captions
    counts: domain -> rows; created: ISO time; sha256: of the suite's TOML text
    metric: what a table shows unless asked otherwise
    sweep: the setting of the protocol that is swept, `shots` or `fraction`, or empty
    runs: rows and tasks in the suite's own order
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,199}$")
    title: str = ""
    baseline: str = ""
    metric: str = "target_accuracy"
    note: str = ""
    partial: bool = False
    dataset: str = ""
    counts: dict[str, int] = Field(default_factory=dict)
    created: str = ""
    sha256: str = ""
    sweep: str = ""
    runs: list[Cell] = Field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """Rows in order."""
        return list(dict.fromkeys(c.label for c in self.runs))

    @property
    def tasks(self) -> list[str]:
        """Columns in order."""
        return list(dict.fromkeys(c.task for c in self.runs))

    @property
    def keys(self) -> list[str]:
        """Distinct keys in order."""
        return list(dict.fromkeys(c.key for c in self.runs))
