"""Any model of timm: `timm:resnet18.a1_in1k` (pip install dalib-toolkit[timm]); features before its classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from dalib.backbones._pretraining import read_tag
from dalib.backbones._weights import download_failed, find_file, hash_state, load_state, read_state
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError, unknown

STAGES = ("blocks", "stages", "layers", "features")


def build(name: str, weights: str) -> Backbone:
    """`imagenet` means the weights that timm publishes under that name, on whatever they were trained.

    Groups: the model's top-level parts from input to output, stages or blocks one by one; parameters that
    belong to no part (class token, positions) go with the first.
    """
    model = create_model(name, weights)
    preprocess = read_preprocess(model)
    backbone = Backbone(name, model, getattr(model, "head_hidden_size", 0) or model.num_features)
    backbone.groups, backbone.preprocess = find_groups(model), preprocess
    if weights == "none":
        return backbone
    backbone.weights = weights
    if weights == "imagenet":
        backbone.pretraining = read_tag(str(model.pretrained_cfg.get("tag") or ""))
    if weights != "imagenet":
        path = find_file(weights)
        head = model.pretrained_cfg.get("classifier") or ()
        prefixes = tuple(f"{h}." for h in ((head,) if isinstance(head, str) else head))
        load_state(model, read_state(path), prefixes, name, path.name)
        backbone.weights = Path(weights).name
    backbone.weights_hash = hash_state(model)
    return backbone


def create_model(name: str, weights: str) -> Any:
    """timm's model without classifier; DalibError when the package, the model or the download is missing."""
    try:
        import timm
    except ImportError:
        raise DalibError(f"backbone '{name}' needs the package timm: pip install dalib-toolkit[timm]") from None
    model = name.partition(":")[2]
    known = {*timm.list_models(), *timm.list_models(pretrained=True)}
    if model not in known:
        raise unknown("timm model", model, known, "backbone = 'timm:MODEL', timm.list_models() has all names")
    if weights == "imagenet":
        try:
            return timm.create_model(model, pretrained=True, num_classes=0)
        except Exception as error:
            published = timm.get_pretrained_cfg(model)
            hub = published.hf_hub_id if published else None
            if hub is None:
                raise DalibError(f"timm publishes no weights for '{name}'; use weights = 'none' or a path") from None
            raise download_failed(name, f"https://huggingface.co/{hub}/resolve/main/model.safetensors", error) from None
    return timm.create_model(model, num_classes=0)


def read_preprocess(model: Any) -> Preprocess:
    """Crop, resize, mean and std from timm's data configuration; images are warped and bilinear, as everywhere here."""
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(model)
    crop = config["input_size"][-1]
    fixed = bool(config.get("fixed_input_size") or model.pretrained_cfg.get("fixed_input_size"))
    return Preprocess(round(crop / config["crop_pct"]), crop, tuple(config["mean"]), tuple(config["std"]), fixed=fixed)


def find_groups(model: nn.Module) -> list[nn.Module]:
    """Modules that hold every parameter once, in the order in which the model declares them."""
    groups: list[nn.Module] = []
    for name, child in model.named_children():
        parts = list(child.children()) if name in STAGES else [child]
        groups += [part for part in parts if any(True for _ in part.parameters())]
    bare = list(model.parameters(recurse=False))
    return [nn.ModuleList([nn.ParameterList(bare), groups[0]]), *groups[1:]] if bare else groups
