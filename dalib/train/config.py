"""Everything about training that may change a number, in one frozen, validated object."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dalib.core.fields import refuse_booleans

IN_A_FLEET: dict[str, Any] = {"may_differ_in_a_fleet": True}
"""Of a setting: runs that train together, as one vectorised model, may each have a value of their own."""
ADAMW_RATE = 3e-3
"""`lr` of `adamw` where none is given; how it was chosen: docs/recipe.md."""


class TrainConfig(BaseModel):
    """The recipe of one run. Defaults are for training on features; other trainings depart from them (`recipes.py`).

    They were chosen on a development pool (docs/recipe.md), starting from Transfer-Learning-Library's at fewer steps.

    Args
        steps: optimiser steps
        batch_size: rows per step from each of the two domains
        optimiser: `sgd` (Nesterov when momentum > 0) or `adamw`
        lr: learning rate of new layers; left out, 0.03 with `sgd` and 0.003 with `adamw`
        backbone_rate: factor on lr for the pretrained backbone; 0 freezes it
        momentum: of `sgd`; what it is there, `beta1` is with `adamw`
        beta1: of `adamw`: part of the running mean of gradients that a step keeps; adversarial games often take 0.5
        beta2: of `adamw`: part of the running mean of squared gradients that a step keeps
        weight_decay: of the optimiser
        schedule: `inverse` lr / (1 + 10 p)^.75 with p = progress (Ganin et al. 2016), `cosine`, `constant`
        warmup: part of the steps over which lr rises linearly from 0, in [0, 1)
        clip: largest gradient norm; 0 = no clipping
        bottleneck: width of the layer between backbone and head; 0 = none
        initialisation: of bottleneck and head: `torch` the layers' own, or `kaiming` (`dalib.core.network.Network`)
        forward: `joint` one pass over both domains (batch norm sees the mixture), `separate` a pass for each
        batch_norm: backbone's batch norms: `train`, `eval` (running statistics kept), or `reestimate` (statistics
            measured once on the labelled images, then `train`)
        precision: `fp32` or `bf16` (autocast; losses stay in fp32)
        channels_last: memory format of image input
        compile: torch.compile the network
        cuda_graph: launch the whole step as one CUDA graph; without CUDA, and for a step that cannot be one, as ever
        crop: side in pixels of the network's input; 0 = the backbone's own
        resize: side in pixels that images are warped to before the crop; 0 = crop × the backbone's ratio (256 / 224)
        augment: `none`, `flip` (crop at random by a few pixels + flip) or `standard` (RandomResizedCrop + flip)
        scale_min: smallest part of the area that `standard` keeps, in (0, 1]
        colour_jitter: s of torchvision's ColorJitter(s, s, s, s / 4) on training images, in [0, 1]; 0 = none
        sampler: `shuffle`; labelled batches in which every class (`class_balanced`) or every domain with labels, a few
            labelled target rows among them (`domain_balanced`), has the same share; `rare_classes`: pictures with masks
            of a class that is drawn the more often the fewer pixels it has
        fourier: half side, as a part of the image's, of the square of low frequencies whose amplitudes a source image
            takes from a target image of the batch (Fourier domain adaptation), in [0, 0.5); 0 = none
        decoder: from feature maps to an answer per pixel: `unet`, or torchvision's `fcn`, `deeplabv3`, `lraspp`; empty:
            `unet`. To boxes: `faster_rcnn` as torchvision has it, `faster_rcnn_320` with fewer proposals in prediction,
            or `faster_rcnn_small`; empty: the small one where pictures have at most 160 pixels a side. For such answers
            only
        answers: how numbers are scaled to be learnt, and taken back where rows are predicted: `as_given`;
            `standardised` (mean 0 and deviation 1 over the labelled rows); `bounded` (their range becomes [0, 1], and
            the head ends in a sigmoid, so no answer leaves it). Methods that solve need none
        invariant: numbers stay what they are when a picture is cropped or flipped (an age, a price); else training on
            pictures whose answers are numbers takes augment = `none` only
        evaluations: points along training at which candidates are evaluated; the last is the end
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    VERSION: ClassVar[int] = 2
    """Part of every record's key; raise it when a default or the meaning of a value changes."""

    steps: int = Field(1000, ge=0)
    batch_size: int = Field(32, ge=2)
    optimiser: Literal["sgd", "adamw"] = Field("sgd", json_schema_extra=IN_A_FLEET)
    lr: float = Field(0.03, gt=0, json_schema_extra=IN_A_FLEET)
    backbone_rate: float = Field(0.1, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, json_schema_extra=IN_A_FLEET)
    beta1: float = Field(0.9, ge=0, lt=1, json_schema_extra=IN_A_FLEET)
    beta2: float = Field(0.999, ge=0, lt=1, json_schema_extra=IN_A_FLEET)
    weight_decay: float = Field(1e-3, ge=0, json_schema_extra=IN_A_FLEET)
    schedule: Literal["inverse", "cosine", "constant"] = Field("inverse", json_schema_extra=IN_A_FLEET)
    warmup: float = Field(0.0, ge=0, lt=1, json_schema_extra=IN_A_FLEET)
    clip: float = Field(0.0, ge=0)
    bottleneck: int = Field(256, ge=0)
    initialisation: Literal["torch", "kaiming"] = "torch"
    forward: Literal["joint", "separate"] = "joint"
    batch_norm: Literal["train", "eval", "reestimate"] = "train"
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    cuda_graph: bool = False
    crop: int = Field(0, ge=0)
    resize: int = Field(0, ge=0)
    augment: Literal["none", "flip", "standard"] = "standard"
    scale_min: float = Field(0.08, gt=0, le=1)
    colour_jitter: float = Field(0.0, ge=0, le=1)
    sampler: Literal["shuffle", "class_balanced", "domain_balanced", "rare_classes"] = "shuffle"
    fourier: float = Field(0.0, ge=0, lt=0.5)
    decoder: Literal[
        "", "unet", "fcn", "deeplabv3", "lraspp", "faster_rcnn", "faster_rcnn_320", "faster_rcnn_small"
    ] = ""
    answers: Literal["as_given", "standardised", "bounded"] = "as_given"
    invariant: bool = False
    evaluations: int = Field(5, ge=1, le=100_000)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, given: Any) -> Any:
        return refuse_booleans(cls, given)

    @model_validator(mode="after")
    def _crop_fits(self) -> TrainConfig:
        if self.resize and self.crop > self.resize:
            raise ValueError(f"crop = {self.crop} is larger than resize = {self.resize}; raise resize or lower crop")
        return self

    @model_validator(mode="after")
    def _rate_is_the_optimisers(self) -> TrainConfig:
        if self.optimiser == "adamw" and "lr" not in self.model_fields_set:
            self.__dict__["lr"] = ADAMW_RATE  # not as a field that was given: a row may choose sgd again
        return self

    @model_validator(mode="after")
    def _settings_are_the_optimisers(self) -> TrainConfig:
        for name, optimiser in (("momentum", "sgd"), ("beta1", "adamw"), ("beta2", "adamw")):
            value = getattr(self, name)
            if self.optimiser != optimiser and value != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} = {value:g} changes nothing with optimiser = {self.optimiser}; "
                    f"leave it out, or set optimiser = {optimiser}"
                )
        return self

    @property
    def points(self) -> frozenset[int]:
        """After how many steps candidates are evaluated."""
        if self.evaluations > 2 * self.steps:
            return frozenset(range(self.steps + 1))
        return frozenset(round(self.steps * (i + 1) / self.evaluations) for i in range(self.evaluations))


MAY_DIFFER = frozenset(
    name
    for name, field in TrainConfig.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("may_differ_in_a_fleet")
)
"""Settings in which runs of one fleet may differ, as they say themselves."""
