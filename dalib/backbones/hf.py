"""Texts as token ids (n, L): a Hugging Face encoder from a local folder, weights = 'FOLDER' (extra `text`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dalib.backbones._scratch import masked_mean, require_rows
from dalib.backbones._weights import hash_state
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError, unknown
from dalib.core.rows import RowShape
from dalib.core.saved_models import check_settings, find_folder, load_saved

POOLING = ("mean", "first")


class Encoder(nn.Module):
    """ids (B, L) int64 -> z (B, hidden size): the mean over the tokens that are no padding, or the first token."""

    def __init__(self, model: nn.Module, padding: int, pooling: str) -> None:
        super().__init__()
        self.model = model
        self.padding = padding
        self.pooling = pooling

    def forward(self, x: Tensor) -> Tensor:
        seen = x != self.padding
        h = self.model(input_ids=x, attention_mask=seen.long()).last_hidden_state
        return h[:, 0] if self.pooling == "first" else masked_mean(h, seen)


PRETRAINING = {"imagenet": ()}
"""Random too: `imagenet` is the general default, and these have none of it."""


def build(
    name: str, weights: str, rows: RowShape, pooling: str = "mean", config: Mapping[str, Any] | None = None
) -> Backbone:
    """An encoder that `transformers` knows; it reads local files only and runs no code of theirs.

    Groups: the embeddings, then layer by layer. Ids are those of the model's own tokenizer, its padding included.

    Args
        weights: folder with config.json and model.safetensors (`save_pretrained`), or `none`: random weights
        pooling: `mean` or `first` (BERT's [CLS])
        config: architecture for `none`, as in a config.json; default a BERT of 2 layers and width 64
    """
    require_rows(name, rows, 1, True, "token ids (n, L), whole numbers")
    if pooling not in POOLING:
        raise unknown(f"{name}.pooling", pooling, POOLING)
    if not isinstance(config or {}, Mapping):
        raise DalibError(f"{name}.config = {config!r} is not a table; give keys and values as in a config.json")
    if config and weights not in ("none", "imagenet"):
        raise DalibError(f"{name}.config is for weights = 'none'; the folder '{weights}' has its own: leave it out")
    model = load_encoder(name, weights, rows, dict(config or {}))
    size, length = model.config.vocab_size, getattr(model.config, "max_position_embeddings", rows.shape[0])
    if rows.ids > size or rows.shape[0] > length:
        raise DalibError(
            f"backbone '{name}' knows {size} ids and {length} positions; these rows are {rows}: "
            "use the model's own tokenizer and cut texts to its length"
        )
    padding = model.config.pad_token_id
    module = Encoder(model, 0 if padding is None else padding, pooling)
    backbone = Backbone(name, module, model.config.hidden_size, find_groups(model), rows=replace(rows, ids=size))
    backbone.options = {"config": model.config.to_dict()}
    if weights not in ("none", "imagenet"):
        backbone.weights, backbone.weights_hash = Path(weights).name, hash_state(module)
    return backbone


def load_encoder(name: str, weights: str, rows: RowShape, config: dict[str, Any]) -> Any:
    """The model without a pooler where it has one; DalibError when the package or the folder is missing."""
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError:
        raise DalibError(f"backbone '{name}' needs the package transformers: pip install dalib-toolkit[text]") from None
    if weights in ("none", "imagenet"):
        small = {"model_type": "bert", "vocab_size": rows.ids, "hidden_size": 64, "intermediate_size": 128}
        small |= {"num_hidden_layers": 2, "num_attention_heads": 4}
        try:
            made = AutoConfig.for_model(**(config or small))
            check_settings(config, type(made), f"{name}.config")
            model = AutoModel.from_config(made)
        except DalibError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:160]
            raise DalibError(f"{name}.config describes no encoder ({reason}); give keys as in a config.json") from None
    else:
        folder = find_folder(weights)
        if folder is None:
            raise DalibError(f"no encoder in '{weights}': give a folder with config.json and model.safetensors")
        model = load_saved(AutoModel, folder, f"the encoder in '{weights}'", unused=("pooler.",))
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def find_groups(model: nn.Module) -> list[nn.Module]:
    """Modules that hold every parameter once, in the order in which the model declares them; layers one by one."""
    groups: list[nn.Module] = []
    for child in model.children():
        stacks = [part for part in child.modules() if isinstance(part, nn.ModuleList)]
        inside = {p for stack in stacks[:1] for p in stack.parameters()}
        split = bool(stacks) and inside == set(child.parameters())
        groups += list(stacks[0]) if split else [child]
    return [group for group in groups if any(True for _ in group.parameters())]
