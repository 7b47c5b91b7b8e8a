"""The contract of protocols: which rows and labels a run may use, and which rows it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from dalib.core.errors import suggest
from dalib.core.fields import refuse_booleans
from dalib.core.registry import DEFAULT_PROTOCOL, PROTOCOLS

if TYPE_CHECKING:
    from dalib.core.types import Domain

Labels = Literal["source", "both", "target"]
STORED = {"stored": True}
"""Context under which a spec is read back whose protocol need not be registered here (a report without the plug-in)."""


class ProtocolSpec(BaseModel):
    """Which labels a run may use.

    name: of a protocol (`dalib list protocols`)
    split: `shots`: every protocol sets the same `shots` target images per class apart, so that all are tested on the
        same images, whether it uses their labels or not; `fraction`: each protocol its own
    validation: part of the labelled images kept out of training for selection, stratified; 0 = none
    shots: labelled target images per class
    fraction: labelled part of the target; 1 with `holdout` only
    holdout: part of the target rows that are kept out of adaptation; models are scored and tested on those (inductive);
        drawn by class where target labels are granted, else without looking at them; 0 = tested on what has no label
    source_per_class: labelled source images per class, `{ amazon = 20, webcam = 8 }` by domain; 0 = all
    source_classes, target_classes: names or ranges of positions (`0:10`); empty = all. Target classes that the source
        lacks are `unknown` (open-set)
    reject: in an open-set task, rows whose entropy exceeds this part of log K are predicted unknown by algorithms that
        have no output for it; 1 = none
    threshold: when a yes/no answer is yes: `half`, at a probability above 1/2; `held_out`, above the threshold of each
        output that has the best F1 on held-out rows of the source (`validation` > 0)
    VERSION: part of every key; raise it when a default or the meaning of a value changes
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    VERSION: ClassVar[int] = 1

    name: str = DEFAULT_PROTOCOL
    validation: float = Field(0.1, ge=0, lt=1)
    shots: int = Field(3, ge=1)
    fraction: float = Field(0.5, gt=0, le=1)
    split: Literal["fraction", "shots"] = "fraction"
    holdout: float = Field(0.0, ge=0, lt=1)
    source_per_class: Annotated[int, Field(ge=0)] | dict[str, Annotated[int, Field(ge=1)]] = 0
    source_classes: tuple[str, ...] = ()
    target_classes: tuple[str, ...] = ()
    reject: float = Field(1.0, gt=0, le=1)
    threshold: Literal["half", "held_out"] = "half"

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, given: Any) -> Any:
        return refuse_booleans(cls, given)

    @field_validator("name")
    @classmethod
    def _is_registered(cls, name: str, info: ValidationInfo) -> str:
        if info.context != STORED and name not in PROTOCOLS:
            known = PROTOCOLS.names()
            raise ValueError(f"= '{name}' is no protocol{suggest(name, known) or '; known: ' + ', '.join(known)}")
        return name

    @property
    def is_partial(self) -> bool:
        """The target was cut to some of the source's classes, so models ought to predict few of them."""
        return bool(self.target_classes) and not self.source_classes


class Parts(NamedTuple):
    """The rows of a task as its protocol divides them; see `Task`. `target` may still hold its labels here."""

    labelled: Domain
    target: Domain
    validation: Domain
    test: Domain


class Protocol:
    """One rule of what a run may see. A subclass is a file of `dalib/protocols` and gives `split`.

    Class variables
        version: part of every record's key; raise it when the same settings and seed give other rows
        labels: the domains whose labels are granted: `source`, `target` or `both`
        sweeps: the settings, `shots` or `fraction`, over which a suite's `[sweep]` repeats rows of this protocol
        rows: what labelled, held-out and test rows are called when one model is trained
        words: what it grants and tests, in a clause for captions

    Attributes
        spec, rng, note: the settings, the split's own stream of chance, and what enters the rows' fingerprints
    """

    version: ClassVar[int] = 1
    labels: ClassVar[Labels]
    sweeps: ClassVar[tuple[str, ...]] = ("shots",)
    rows: ClassVar[tuple[str, str, str]] = ("labelled, training rows", "labelled, held-out rows", "target, test")
    words: ClassVar[str]

    def __init__(self, spec: ProtocolSpec, seed: int) -> None:
        import numpy as np

        self.spec = spec
        self.rng = np.random.default_rng(seed)
        self.note = f"{spec.name}:seed={seed}"

    def split(self, source: Domain, target: Domain) -> Parts:
        """Divide the rows; both domains come with their labels, of which a run is given what `Parts.labelled` holds.

        Raises
            DalibError: too few rows for the settings
        """
        raise NotImplementedError

    @classmethod
    def uses_target_labels(cls) -> bool:
        """Then it is a reference: neither ranked nor bold beside those that do not."""
        return cls.labels != "source"

    @classmethod
    def ignored(cls, spec: ProtocolSpec) -> tuple[str, ...]:
        """Settings that change nothing under these; `dalib.fit` and `dalib train` refuse those that were given."""
        return ()

    @classmethod
    def target_origin(cls, labelled: Domain) -> int:
        """Which `origin` of the labelled rows is the target itself; -1 = none."""
        return -1

    @classmethod
    def describe(cls, holdouts: Sequence[float]) -> str:
        """The clause for a caption over runs with these parts of the target held out (none of them 0)."""
        return cls.words


def labels_of(protocol: str) -> Labels:
    """Whose labels a protocol grants; one that is not registered here counts as if it used target labels."""
    return PROTOCOLS.get(protocol).labels if protocol in PROTOCOLS else "both"


def uses_target_labels(protocol: str) -> bool:
    """See `Protocol.uses_target_labels`."""
    return labels_of(protocol) != "source"
