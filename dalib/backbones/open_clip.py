"""Any CLIP of open_clip: `open_clip:ViT-B-32`, weights = 'FILE' (extra `clip`): image features and the text tower."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dalib.backbones._moments import MEAN, STD, Moments, check_moments
from dalib.backbones._open_clip_text import OpenClipTower
from dalib.backbones._weights import State, find_file, hash_state, load_state, read_state
from dalib.backbones.timm import find_groups
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError, unknown
from dalib.core.saved_models import read_settings

OWN_WEIGHTS = "FILE"
"""There are none that come by themselves."""
CONFIG = "open_clip_config.json"
"""What open_clip saves beside weights."""
IDLE = ("hf_", "tokenizer_", "timm_model_pretrained", "timm_drop", "patch_dropout", "output_tokens", "context_length")
"""Beginnings of what may differ there: it changes no number here, or a shape does not fit."""
LEFT = ("input_resolution", "context_length", "vocab_size", "text.transformer.embeddings.position_ids")
"""Entries of old files that are no weights."""


def build(name: str, weights: str) -> Backbone:
    """Features are the projected ones, which zero-shot compares with those of texts; nothing is downloaded.

    Groups: as of timm's models, layer by layer; the projection goes with the last. Images are warped to the network's
    side. What open_clip_config.json says beside the file is heeded: another architecture is refused.

    Args
        weights: .safetensors, .pt or .bin that open_clip wrote, looked for here, then in `DALIB_DATA`; or `none`:
            random weights, without a text tower
    """
    model, settings = create_model(name)
    backbone = Backbone(name, model.visual, settings["embed_dim"], _group(model.visual))
    side = settings["vision_cfg"].get("image_size", 224)
    if isinstance(side, list | tuple) and len(set(side)) > 1:
        raise DalibError(f"{name} takes pictures of {side} px, and only square ones are made here; take another")
    side = side[0] if isinstance(side, list | tuple) else side
    if weights == "none":
        backbone.preprocess = Preprocess(side, side, *_own_moments(name), fixed=True)
        return backbone
    if weights in ("imagenet", OWN_WEIGHTS):
        raise DalibError(
            f"backbone '{name}' has no weights of its own, nor of ImageNet: give a file that open_clip wrote "
            "(weights = 'FILE.safetensors'), or 'none'"
        )
    if Path(weights).is_dir():
        raise DalibError(f"{weights} is a folder; give the file of weights in it (open_clip_model.safetensors)")
    path = find_file(weights)
    moments = _find_moments(name, settings, path)
    load_state(model, _fit(model, read_state(path)), LEFT, name, path.name)
    backbone.preprocess = Preprocess(side, side, *moments, fixed=True)
    backbone.weights, backbone.weights_hash = path.name, hash_state(model.visual)
    backbone.text_tower = OpenClipTower(model, settings["text_cfg"], f"{name}, weights '{weights}',")
    return backbone


def create_model(name: str) -> tuple[Any, dict[str, Any]]:
    """open_clip's model with random weights and its settings.

    Raises
        DalibError: the package is missing, nobody knows the architecture, or its text half needs a download
    """
    try:
        import open_clip
    except ImportError:
        raise DalibError(
            f"backbone '{name}' needs the package open_clip: pip install dalib-toolkit[clip] (open-clip-torch)"
        ) from None
    model, known = name.partition(":")[2], open_clip.list_models()
    if model not in known:
        raise unknown(
            "open_clip model", model, known, "backbone = 'open_clip:MODEL', open_clip.list_models() has all names"
        )
    settings: dict[str, Any] = open_clip.get_model_config(model)
    if "multimodal_cfg" in settings:
        raise DalibError(
            f"'{name}' writes texts too (CoCa), which is not done here; take an architecture of two halves"
        )
    if of := settings["text_cfg"].get("hf_model_name"):
        raise DalibError(
            f"'{name}' reads texts by {of}, which open_clip downloads; take an architecture with a text half of its "
            "own, or a folder of transformers' (backbone clip)"
        )
    kind = open_clip.CustomTextCLIP if settings.get("custom_text") else open_clip.CLIP
    return kind(**{k: v for k, v in settings.items() if k != "custom_text"}), settings


def _group(visual: Any) -> list[nn.Module]:
    """Of a transformer of open_clip's own its layers, of timm's and ResNets the parts that they name."""
    if hasattr(visual, "trunk"):
        head = [visual.head] if any(True for _ in visual.head.parameters()) else []
        return [*find_groups(visual.trunk), *head]
    layers = getattr(getattr(visual, "transformer", None), "resblocks", None)
    if layers is None:
        return find_groups(visual)
    own = dict(visual.named_parameters(recurse=False))
    last = [own.pop(key) for key in ("proj",) if key in own]
    parts = [(key, part) for key, part in visual.named_children() if any(True for _ in part.parameters())]
    at = [key for key, _ in parts].index("transformer")
    before, behind = [part for _, part in parts[:at]], [part for _, part in parts[at + 1 :]]
    return [
        nn.ModuleList([nn.ParameterList(own.values()), *before]),
        *layers,
        nn.ModuleList([*behind, nn.ParameterList(last)]),
    ]


def _fit(model: Any, state: State) -> State:
    """The state in today's names of open_clip, as it loads older files and those of others itself."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    fitted = convert_state_dict(model, dict(state))
    if "positional_embedding" in fitted and not hasattr(model, "positional_embedding"):
        fitted = convert_to_custom_text_state_dict(fitted)
    for key in ("logit_scale", "logit_bias"):
        own = getattr(model, key, None)
        if key in fitted and own is not None and fitted[key].numel() == 1:
            fitted[key] = fitted[key].reshape(own.shape)
    if getattr(model, "logit_bias", None) is not None:  # of weights that were not trained with one; nothing reads it
        fitted.setdefault("logit_bias", torch.zeros_like(model.logit_bias))
    same = State(fitted)
    same.maker, same.steps = state.maker, state.steps
    return same


def _own_moments(name: str) -> tuple[Moments, Moments]:
    """By which most weights that open_clip publishes for the architecture are prepared; CLIP's own without any."""
    found = [_moments_of(facts) for facts in published(name).values()]
    return max(found, key=found.count) if found else (MEAN, STD)


def _moments_of(facts: Mapping[str, Any]) -> tuple[Moments, Moments]:
    mean, std = tuple(facts.get("mean") or MEAN), tuple(facts.get("std") or STD)
    return mean, std


def published(name: str) -> dict[str, dict[str, Any]]:
    """Tags of the weights that open_clip publishes for an architecture -> what it says of them."""
    import open_clip

    model = name.partition(":")[2]
    return {tag: open_clip.get_pretrained_cfg(model, tag) for tag in open_clip.list_pretrained_tags_by_model(model)}


def _find_moments(name: str, settings: Mapping[str, Any], path: Path) -> tuple[Moments, Moments]:
    """Mean and std by open_clip_config.json beside the file, else by the tag that its name holds.

    Raises
        DalibError: either says that the weights are of another architecture, of which shapes tell nothing
    """
    beside = path.with_name(CONFIG)
    if beside.is_file():
        told = read_settings(beside)
        _refuse_other(name, settings, told.get("model_cfg", told), beside)
        prepared = told.get("preprocess_cfg") or {}
        return check_moments(beside, ("mean", "std"), prepared.get("mean", MEAN), prepared.get("std", STD))
    tags, title, quick = published(name), path.name.lower().replace("-", "_"), bool(settings.get("quick_gelu"))
    if tag := max((tag for tag in tags if tag in title), key=len, default=""):
        if bool(tags[tag].get("quick_gelu")) != quick:
            raise DalibError(
                f"'{path.name}' is called after the weights '{tag}', which were trained "
                f"{'without' if quick else 'with'} quick_gelu, and {name} computes "
                f"{'with' if quick else 'without'} it; take {_twin(name, quick)}"
            )
        return _moments_of(tags[tag])
    if len({bool(facts.get("quick_gelu")) for facts in tags.values()}) > 1:
        warnings.warn(
            f"'{path.name}': nobody says whether these weights were trained with quick_gelu; {name} computes "
            f"{'with' if quick else 'without'} it, OpenAI's need it (open_clip:…-quickgelu); {CONFIG} beside the file "
            "would say it",
            UserWarning,
            stacklevel=4,
        )
    return _own_moments(name)


def _twin(name: str, quick: bool) -> str:
    return name.removesuffix("-quickgelu") if quick else f"{name}-quickgelu"


def _refuse_other(name: str, settings: Mapping[str, Any], told: Any, beside: Path) -> None:
    """DalibError where the file says another architecture than the name: heads and activations have no shapes."""
    import open_clip

    kinds = {"vision_cfg": open_clip.CLIPVisionCfg, "text_cfg": open_clip.CLIPTextCfg}
    if not isinstance(told, Mapping) or not all(isinstance(told.get(key), Mapping) for key in kinds):
        raise DalibError(f"{beside} has no model_cfg with vision_cfg and text_cfg; fetch it again, or take it away")
    pairs: list[tuple[str, Any, Any]] = []
    for key, kind in kinds.items():
        own, other = asdict(kind()) | settings[key], asdict(kind()) | told[key]
        pairs += [(f"{key}.{k}", own.get(k), other.get(k)) for k in own | other if not k.startswith(IDLE)]
    pairs += [(key, settings.get(key), told.get(key)) for key in ("embed_dim",)]
    pairs += [(key, bool(settings.get(key)), bool(told.get(key))) for key in ("quick_gelu",)]
    for key, mine, theirs in pairs:
        if mine != theirs:
            raise DalibError(
                f"{beside} says {key} = {theirs}, and {name} has {mine}; name the architecture that it describes"
            )
