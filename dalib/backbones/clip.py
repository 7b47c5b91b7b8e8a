"""CLIP from a local folder, weights = 'FOLDER' (extra `clip`): projected image features, and its text tower."""

from __future__ import annotations

import hashlib
import inspect
import math
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dalib.backbones._moments import MEAN, STD, Moments, check_moments
from dalib.backbones._weights import hash_state
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError, unknown
from dalib.core.saved_models import check_settings, find_folder, load_saved, read_settings
from dalib.core.text_tower import TextTower

OWN_WEIGHTS = "FOLDER"
"""There are none that come by themselves."""
PREPARES = ("image_mean", "image_std", "do_normalize", "do_rescale", "rescale_factor")
"""What a folder says of it."""
TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json")
SMALL = {
    "projection_dim": 32,
    "vision_config": {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": 64, "patch_size": 16,
    },
    "text_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2},
}  # fmt: skip


class ImageTower(nn.Module):
    """Pictures (B, 3, side, side) -> projected features (B, dim), not normalised."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision_model, self.visual_projection = model.vision_model, model.visual_projection

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.visual_projection(self.vision_model(pixel_values=x).pooler_output)
        return z


class FolderTower(TextTower):
    """The text half of a CLIP as transformers keeps it; the tokenizer is read when it is first asked for."""

    def __init__(self, model: Any, folder: Path, name: str) -> None:
        super().__init__()
        self.text, self.projection, self.folder, self.name = model.text_model, model.text_projection, folder, name
        self.scale, self.width = float(model.logit_scale.detach().exp()), model.config.text_config.hidden_size
        self.dim, self.length = model.config.projection_dim, model.config.text_config.max_position_embeddings
        self.eval().requires_grad_(False)

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        if not any((self.folder / name).is_file() for name in TOKENIZER[:2]):
            raise DalibError(
                f"'{self.folder}' has no tokenizer, so {self.name} reads no class names; save it there "
                "(tokenizer.save_pretrained: tokenizer.json)"
            )
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise DalibError(f"cannot load the tokenizer in '{self.folder}' ({reason}); save it again") from None
        tokenizer.padding_side = "right"  # the layers are causal: what stands after the end changes nothing
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        if tokenizer.eos_token is None:
            raise DalibError(f"the tokenizer in '{self.folder}' has no token that ends a text; it is not {self.name}'s")
        return tokenizer

    def tokenise(self, texts: Sequence[str]) -> Tensor:
        self._refuse_marks(texts)
        ids: Tensor = self.tokenizer(list(texts), padding=True, return_tensors="pt")["input_ids"]
        if ids.shape[1] > self.length:
            longest = max(texts, key=len)
            raise DalibError(
                f"{self.name} reads {self.length} tokens, and '{longest}' has {ids.shape[1]}; give a shorter name"
            )
        size = self.text.config.vocab_size
        if int(ids.max()) >= size:
            raise DalibError(f"the tokenizer in '{self.folder}' knows ids beyond the model's {size}; it is another's")
        ends = ids[torch.arange(len(ids)), self._find_end(ids)]
        if not bool((ends == self.tokenizer.eos_token_id).all()):
            raise DalibError(
                f"the tokenizer in '{self.folder}' does not end a text as the model's config.json has it (eos_token_id "
                f"{self.text.config.eos_token_id}); one of them is another's"
            )
        return ids.to(self.projection.weight.device)

    def _refuse_marks(self, texts: Sequence[str]) -> None:
        """DalibError for a name in which a text begins or ends."""
        for mark in filter(None, (self.tokenizer.bos_token, self.tokenizer.eos_token)):
            if held := next((text for text in texts if mark in text), None):
                raise DalibError(
                    f"'{held}' holds {mark}, which begins or ends a text for {self.name}; give another name"
                )

    def _find_end(self, ids: Tensor) -> Tensor:
        """Where each text ends, as transformers looks for it."""
        end = self.text.config.eos_token_id
        return ids.argmax(1) if end == 2 else (ids == end).int().argmax(1)

    def count_words(self, text: str) -> int:
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return sum(i not in self.tokenizer.all_special_ids for i in ids)

    def embed(self, ids: Tensor) -> Tensor:
        vectors: Tensor = self.text.embeddings.token_embedding(ids)
        return vectors

    def encode(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Positions, causal layers, norm, the vector at the text's end, projection; transformers takes ids only."""
        h = self.text.embeddings(inputs_embeds=vectors)
        n, length = ids.shape
        mask = torch.full((length, length), torch.finfo(h.dtype).min, device=h.device, dtype=h.dtype).triu(1)
        kinds = {p.kind for p in inspect.signature(self.text.encoder.forward).parameters.values()}
        told = (
            {"is_causal": True} if inspect.Parameter.VAR_KEYWORD in kinds else {}
        )  # transformers 4 asks the mask alone
        out = self.text.encoder(inputs_embeds=h, attention_mask=mask.expand(n, 1, length, length), **told)
        h = self.text.final_layer_norm(out.last_hidden_state)
        t: Tensor = self.projection(h[torch.arange(n, device=h.device), self._find_end(ids)])
        return t

    def sum(self) -> str:
        digest = hashlib.sha256(hash_state(self).encode())
        for name in TOKENIZER:
            if (self.folder / name).is_file():
                digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()


def build(name: str, weights: str, config: Mapping[str, Any] | None = None) -> Backbone:
    """A CLIP that `transformers` knows; it reads local files only and runs no code of theirs.

    Features are the projected ones, which zero-shot compares with those of texts. Groups: embeddings, layer by layer,
    the projection. Images are warped to the network's side.

    Args
        weights: folder with config.json, model.safetensors and tokenizer (`save_pretrained`), looked for here, then in
            `DALIB_DATA`; or `none`: random weights, without a text tower
        config: architecture for `none`, as in a config.json; default a vision tower of 2 layers and width 32
    """
    if not isinstance(config or {}, Mapping):
        raise DalibError(f"{name}.config = {config!r} is not a table; give keys and values as in a config.json")
    if config and weights != "none":
        raise DalibError(f"{name}.config is for weights = 'none'; the folder '{weights}' has its own: leave it out")
    model, folder = load_clip(name, weights, dict(config or SMALL))
    module = ImageTower(model)
    vision = module.vision_model
    groups = [vision.embeddings, vision.pre_layrnorm, *vision.encoder.layers, vision.post_layernorm]
    backbone = Backbone(name, module, model.config.projection_dim, [*groups, module.visual_projection])
    side = model.config.vision_config.image_size
    mean, std = read_preparation(folder) if folder else (MEAN, STD)
    backbone.preprocess = Preprocess(side, side, mean, std, fixed=True)
    backbone.options = {"config": model.config.to_diff_dict()}
    if folder:
        backbone.weights, backbone.weights_hash = folder.name, hash_state(module)
        backbone.text_tower = FolderTower(model, folder, f"{name}, weights '{weights}',")
    return backbone


def load_clip(name: str, weights: str, config: dict[str, Any]) -> tuple[Any, Path | None]:
    """The whole model, and the folder it came from; DalibError when the package or the folder is missing."""
    try:
        from transformers import CLIPConfig, CLIPModel
    except ImportError:
        raise DalibError(f"backbone '{name}' needs the package transformers: pip install dalib-toolkit[clip]") from None
    if weights == "none":
        check_settings(config, CLIPConfig, f"{name}.config")
        if config.get("model_type", "clip") != "clip":
            raise unknown(f"{name}.config.model_type", str(config["model_type"]), ("clip",))
        try:
            return CLIPModel(CLIPConfig(**{k: v for k, v in config.items() if k != "model_type"})), None
        except Exception as error:
            reason = " ".join(str(error).split())[:160]
            raise DalibError(f"{name}.config describes no CLIP ({reason}); give keys as in a config.json") from None
    folder = find_folder(weights, os.environ.get("DALIB_DATA", "."))
    if folder is None:
        if weights in ("imagenet", OWN_WEIGHTS):
            raise DalibError(
                f"backbone '{name}' has no weights of its own, nor of ImageNet: give a folder with config.json, "
                "model.safetensors and tokenizer (weights = 'FOLDER'), or 'none'"
            )
        raise DalibError(f"no CLIP in '{weights}': give a folder with config.json, model.safetensors and tokenizer")
    kind = read_settings(folder / "config.json").get("model_type")
    if kind != "clip":
        other = "" if kind != "clip_vision_model" else ", the image half alone, which has no text tower"
        raise unknown(f"model of {name} ('{weights}' holds a {kind}{other})", str(kind), ("clip",))
    return load_saved(CLIPModel, folder, f"the CLIP in '{weights}'"), folder


def read_preparation(folder: Path) -> tuple[Moments, Moments]:
    """Mean and std of processor_config.json or preprocessor_config.json, in the order of transformers; CLIP's own
    without.

    Raises
        DalibError: another preparation than (x / 255 - mean) / std
    """
    for name in ("processor_config.json", "preprocessor_config.json"):
        file = folder / name
        facts = read_settings(file) if file.is_file() else {}
        facts = facts.get("image_processor", facts)
        if isinstance(facts, dict) and any(key in facts for key in PREPARES):
            return _read_moments(file, facts)
    return MEAN, STD


def _read_moments(file: Path, facts: Mapping[str, Any]) -> tuple[Moments, Moments]:
    factor = facts.get("rescale_factor", 1 / 255)
    usual = isinstance(factor, float) and math.isclose(factor, 1 / 255, rel_tol=1e-3)
    if not (usual and facts.get("do_rescale", True) is True and facts.get("do_normalize", True) is True):
        told = {key: facts[key] for key in PREPARES if key in facts}
        raise DalibError(
            f"{file} prepares pictures otherwise than (x / 255 - mean) / std ({told}), which is not done here"
        )
    mean, std = (facts.get(key, own) for key, own in (("image_mean", MEAN), ("image_std", STD)))
    return check_moments(file, ("image_mean", "image_std"), mean, std)
