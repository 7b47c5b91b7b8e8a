"""Any model of timm: `timm:resnet18.a1_in1k` (pip install dalib-toolkit[timm]); features before its classifier."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dalib.backbones._pretraining import read_tag
from dalib.backbones._weights import State, download_failed, find_file, hash_state, load_state, read_state
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError, unknown

STAGES = ("blocks", "stages", "layers", "features")


def build(name: str, weights: str, img_size: int = 0) -> Backbone:
    """`imagenet` means the weights that timm publishes under that name, on whatever they were trained.

    Groups: the model's top-level parts from input to output, stages or blocks one by one; parameters that
    belong to no part (class token, positions) go with the first.

    Args
        img_size: side in pixels that a transformer of one size is built for, a multiple of its patch; its positions are
            interpolated as timm does (bicubic). 0 = its own; a network for images of any size takes train.crop instead
    """
    model = create_model(name, weights, img_size)
    preprocess = read_preprocess(model, img_size)
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
        load_state(model, _fit_positions(model, read_state(path), img_size), prefixes, name, path.name)
        backbone.weights = Path(weights).name
    backbone.weights_hash = hash_state(model)
    return backbone


def create_model(name: str, weights: str, img_size: int = 0) -> Any:
    """timm's model without classifier; DalibError when the package, the model or the download is missing."""
    try:
        import timm
    except ImportError:
        raise DalibError(f"backbone '{name}' needs the package timm: pip install dalib-toolkit[timm]") from None
    model = name.partition(":")[2]
    known = {*timm.list_models(), *timm.list_models(pretrained=True)}
    if model not in known:
        raise unknown("timm model", model, known, "backbone = 'timm:MODEL', timm.list_models() has all names")
    how = _size_for(name, img_size) if img_size else {}
    if weights == "imagenet":
        try:
            return timm.create_model(model, pretrained=True, num_classes=0, **how)
        except Exception as error:
            published = timm.get_pretrained_cfg(model)
            hub = published.hf_hub_id if published else None
            if hub is None:
                raise DalibError(f"timm publishes no weights for '{name}'; use weights = 'none' or a path") from None
            raise download_failed(name, f"https://huggingface.co/{hub}/resolve/main/model.safetensors", error) from None
    return timm.create_model(model, num_classes=0, **how)


def _size_for(name: str, img_size: int) -> dict[str, Any]:
    """`{"img_size": …}` for timm; DalibError where the model has no size of its own, or cannot have this one."""
    import timm

    if not isinstance(img_size, int) or img_size < 1:
        raise DalibError(f"{name}.img_size = {img_size!r} is no side in pixels; give a whole number, for example 224")
    model = name.partition(":")[2]
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            own: Any = timm.create_model(model, num_classes=0)
            patch = getattr(getattr(own, "patch_embed", None), "patch_size", 1)
            patch = max(patch) if isinstance(patch, (tuple, list)) else int(patch)
            near = [str(img_size // patch * patch + more) for more in (0, patch) if img_size // patch + more]
            if img_size % patch:
                raise ValueError(f"it is no multiple of the patch of {patch} px; {' and '.join(near)} are")
            timm.create_model(model, num_classes=0, img_size=img_size).eval()(torch.zeros(1, 3, img_size, img_size))
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        raise DalibError(f"{name} takes images of any size: leave img_size out and give train.crop") from None
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0][:120] or "timm refuses it"
        side = own.pretrained_cfg["input_size"][-1]
        raise DalibError(f"{name}.img_size = {img_size} does not fit ({reason}); its own is {side}") from None
    return {"img_size": img_size}


def _fit_positions(model: nn.Module, state: State, img_size: int) -> State:
    """The state; positions and biases of windows of another size are interpolated by the model's own rule."""
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if not img_size or convert is None:
        return state
    fitted = State(convert(dict(state), model))
    fitted.maker, fitted.steps = state.maker, state.steps
    return fitted


def read_preprocess(model: Any, img_size: int = 0) -> Preprocess:
    """Crop, resize, mean and std from timm's data configuration; images are warped and bilinear, as everywhere here."""
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(model)
    crop = img_size or config["input_size"][-1]
    fixed = bool(config.get("fixed_input_size") or model.pretrained_cfg.get("fixed_input_size") or img_size)
    return Preprocess(round(crop / config["crop_pct"]), crop, tuple(config["mean"]), tuple(config["std"]), fixed=fixed)


def find_groups(model: nn.Module) -> list[nn.Module]:
    """Modules that hold every parameter once, in the order in which the model declares them."""
    groups: list[nn.Module] = []
    for name, child in model.named_children():
        parts = list(child.children()) if name in STAGES else [child]
        groups += [part for part in parts if any(True for _ in part.parameters())]
    bare = list(model.parameters(recurse=False))
    return [nn.ModuleList([nn.ParameterList(bare), groups[0]]), *groups[1:]] if bare else groups
