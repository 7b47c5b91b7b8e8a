"""Architectures of open_clip of two layers, and files of random weights that open_clip itself reads."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from tests.support.named_pictures import SIDE

DIM, SCALE = 24, 14.0
VISION = {"image_size": SIDE, "layers": 2, "width": 16, "head_width": 8, "patch_size": 16}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
PLAIN = {"embed_dim": DIM, "vision_cfg": VISION, "text_cfg": TEXT}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "tiny-plain": PLAIN,
    "tiny-plain-quickgelu": PLAIN | {"quick_gelu": True},
    "tiny-custom": PLAIN | {"custom_text": True},
    "tiny-both-ways": PLAIN | {"custom_text": True, "text_cfg": TEXT | {"no_causal_mask": True}},
    "tiny-resnet": PLAIN | {"vision_cfg": {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8}},
    "tiny-timm": PLAIN
    | {"vision_cfg": {"image_size": SIDE, "timm_model_name": "resnet10t", "timm_pool": "", "timm_proj": "linear"}},
    "tiny-siglip": PLAIN
    | {
        "custom_text": True,
        "init_logit_bias": -10,
        "text_cfg": TEXT
        | {"hf_tokenizer_name": "nobody/has-it", "no_causal_mask": True, "pool_type": "last", "proj_bias": True},
    },
    "tiny-coca": PLAIN | {"custom_text": True, "multimodal_cfg": {"layers": 1}},
    "tiny-hf": PLAIN | {"text_cfg": {"hf_model_name": "roberta-base", "hf_tokenizer_name": "roberta-base"}},
}


def register() -> None:
    """Tell open_clip of the architectures above, as its users tell it of theirs."""
    open_clip = pytest.importorskip("open_clip", reason="open_clip is an optional dependency (dalib-toolkit[clip])")
    if set(ARCHITECTURES) <= set(open_clip.list_models()):
        return
    with TemporaryDirectory() as folder:
        for name, settings in ARCHITECTURES.items():
            (Path(folder) / f"{name}.json").write_text(json.dumps(settings))
        open_clip.add_model_config(folder)


def make_model(name: str, seed: int = 3) -> Any:
    """open_clip's own model, its random weights far from those it begins with."""
    import open_clip

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.create_model(name, pretrained=None, load_weights=False)
        for key, parameter in model.named_parameters():
            if parameter.ndim > 1 or key.endswith("bias"):
                torch.nn.init.normal_(parameter, std=1.0 if "attn" in key or "token_embedding" in key else 0.3)
    model.logit_scale.data.fill_(torch.tensor(SCALE).log())
    return model.eval()


def save_tiny_open_clip(file: Path, name: str = "tiny-plain", seed: int = 3) -> Path:
    """The file, .safetensors or what torch.save writes, with the state dict of `make_model`."""
    from safetensors.torch import save_file

    state = {k: v.contiguous() for k, v in make_model(name, seed).state_dict().items()}
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, file)
    return file
