"""What one run is: a frozen description whose hash is its name."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from dalib.backbones import backbone_version
from dalib.backbones._pretraining import find_pretraining
from dalib.core.protocol import ProtocolSpec
from dalib.core.registry import ALGORITHMS, PROTOCOLS
from dalib.train.config import TrainConfig


class Frozen(BaseModel):
    """VERSION: part of every key; raise it when a default or the meaning of a value changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    VERSION: ClassVar[int] = 1


class BackboneSpec(Frozen):
    """The feature extractor.

    name: of a backbone (`dalib list backbones`)
    weights: `imagenet`, `pretrained`, `none` or a path
    frozen: train on its features only
    options: of a backbone that is built to fit its rows, `{ channels = [32, 64] }`
    pretraining: what the weights were trained on, in order; left out, what their name says. Never part of the key

    `hash` (sha256 of the state dict) is filled in by the planner; with it the path itself is not part of the key.
    """

    name: str = "identity"
    weights: str = "none"
    frozen: bool = False
    hash: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    pretraining: tuple[str, ...] = ()

    @property
    def seen(self) -> tuple[str, ...]:
        """What the weights were trained on: as said, else by their name; () = nothing."""
        return self.pretraining or find_pretraining(self.name, self.weights, self.options)


class DataSpec(Frozen):
    """Which data; the root is not part of the key, the content's fingerprint is.

    dataset: registry name or `features:PATH`
    normalise: steps for feature data, in order: `row_sum`, `l2`, `zscore` (per domain, ddof 1)
    partial: the copy lacks images or domains that the declaration names; tables say so
    skip_unreadable: images that cannot be decoded are left out; tables say how many
    """

    dataset: str
    normalise: tuple[Literal["row_sum", "l2", "zscore"], ...] = ()
    partial: bool = False
    skip_unreadable: bool = False
    fingerprint: str = ""


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
        """sha256 (64 hex digits) of the canonical JSON of everything that may change a number.

        What equals its default is left out, so that a setting added later changes no key; so are versions of 1, and
        what an algorithm that is solved does not read of the recipe. A
        default or a meaning that changes raises the version of its part: of the algorithm, the protocol, or the model
        that holds the setting.
        """
        text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def content(self) -> dict[str, Any]:
        """What the key is the hash of."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        content["hparams"] = _without_defaults(self.algorithm, self.algorithm_version, content.get("hparams", {}))
        read = ALGORITHMS.get(self.algorithm).reads_recipe() if self.algorithm in ALGORITHMS else None
        content["train"] = {k: v for k, v in content.get("train", {}).items() if read is None or k in read}
        if self.data.fingerprint:
            content["data"]["dataset"] = self.data.dataset.partition(":")[0]
        if self.backbone.hash:
            content["backbone"].pop("weights", None)
        content.get("backbone", {}).pop("pretraining", None)
        parts: dict[str, Any] = {"run": self, "data": self.data, "backbone": self.backbone, "train": self.train}
        versions = {name: part.VERSION for name, part in (parts | {"protocol": self.protocol}).items()}
        if self.protocol.name in PROTOCOLS:
            versions[f"protocol {self.protocol.name}"] = PROTOCOLS.get(self.protocol.name).version
        versions[f"backbone {self.backbone.name}"] = backbone_version(self.backbone.name)
        content["versions"] = {name: version for name, version in versions.items() if version != 1}
        return {name: part for name, part in content.items() if part != {}}


def _without_defaults(algorithm: str, version: int, hparams: dict[str, Any]) -> dict[str, Any]:
    """Hyper-parameters that differ from the defaults of this version; all where they are not known here."""
    if not hparams or algorithm not in ALGORITHMS:
        return hparams
    cls = ALGORITHMS.get(algorithm)
    if cls.version != version:
        return hparams
    defaults = json.loads(json.dumps(cls.defaults()))
    return {k: v for k, v in hparams.items() if k not in defaults or not _same(v, defaults[k])}


def _same(value: Any, default: Any) -> bool:
    """Equal, and both or neither true or false: 1 is 1.0, but not True."""
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)
