"""What one run is: a frozen description whose hash is its name."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dalib.core.protocol import ProtocolSpec
from dalib.train.config import TrainConfig


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BackboneSpec(Frozen):
    """The feature extractor.

    name: of a backbone (`dalib list backbones`)
    weights: `imagenet`, `pretrained`, `none` or a path
    frozen: train on its features only
    options: of a backbone that is built to fit its rows, `{ channels = [32, 64] }`

    `hash` (sha256 of the state dict) is filled in by the planner; with it the path itself is not part of the key.
    """

    name: str = "identity"
    weights: str = "none"
    frozen: bool = False
    hash: str = ""
    options: dict[str, Any] = Field(default_factory=dict)


class DataSpec(Frozen):
    """Which data; the root is not part of the key, the content's fingerprint is.

    dataset: registry name or `features:PATH`
    normalise: steps for feature data, in order: `row_sum`, `l2`, `zscore` (per domain, ddof 1)
    partial: the copy lacks images or domains that the declaration names; tables say so
    """

    dataset: str
    normalise: tuple[Literal["row_sum", "l2", "zscore"], ...] = ()
    partial: bool = False
    fingerprint: str = ""


ADDED: tuple[tuple[str, str, Any], ...] = (
    ("protocol", "holdout", 0.0),
    ("protocol", "source_classes", []),
    ("protocol", "target_classes", []),
    ("protocol", "reject", 1.0),
    ("protocol", "split", "fraction"),
    ("protocol", "source_per_class", 0),
    ("backbone", "options", {}),
    ("train", "colour_jitter", 0.0),
    ("train", "cuda_graph", False),
)
"""Settings that came after the first records: at these values, under which nothing changed, they are not in the key."""
ADDED_HPARAMS: dict[str, dict[str, Any]] = {
    "adapters": {"blocks": "all"},
    "linear_probe": {"classifier": "logistic", "k": 5},
    "lora": {"blocks": "all"},
}
"""The same for hyper-parameters of algorithms."""


class RunSpec(Frozen):
    """One run. `source` and `target` are domain names, `dslr+webcam` for several sources.

    hparams: every hyper-parameter, defaults included
    """

    data: DataSpec
    source: str
    target: str
    protocol: ProtocolSpec = ProtocolSpec()
    algorithm: str
    algorithm_version: int = 1
    hparams: dict[str, Any] = Field(default_factory=dict)
    backbone: BackboneSpec = BackboneSpec()
    train: TrainConfig = TrainConfig()
    seed: int = 0

    @property
    def task(self) -> str:
        return f"{self.source}->{self.target}"

    @property
    def key(self) -> str:
        """sha256 (64 hex digits) of the canonical JSON of everything that may change a number."""
        content = self.model_dump(mode="json")
        for section, field, default in ADDED:
            if content[section][field] == default:
                del content[section][field]
        for algorithm in self.algorithm.split("+"):
            for name, default in ADDED_HPARAMS.get(algorithm, {}).items():
                full = f"{algorithm}.{name}" if "+" in self.algorithm else name
                if content["hparams"].get(full) == default:
                    del content["hparams"][full]
        if content["data"]["fingerprint"]:
            content["data"]["dataset"] = content["data"]["dataset"].partition(":")[0]
        if content["backbone"]["hash"]:
            del content["backbone"]["weights"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()
