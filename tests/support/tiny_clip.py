"""A CLIP of two layers with a tokenizer of some words, saved as transformers saves one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tests.support.named_pictures import SIDE

TEXT = (
    "<pad> <unk> <s> </s> a photo of itap bad the origami large in video game art small . , image"
    " back pack cup mug bike cat bee web camera source target"
)
WORDS = TEXT.split()
DIM, SCALE = 24, 14.0


def save_tiny_clip(folder: Path, tokenizer: bool = True, seed: int = 3) -> Path:
    """The folder, with config.json, model.safetensors, preprocessor_config.json and a tokenizer of whole words."""
    transformers = pytest.importorskip("transformers")
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    config = transformers.CLIPConfig(
        projection_dim=DIM,
        vision_config={**tower, "image_size": SIDE, "patch_size": 16, "projection_dim": DIM},
        text_config={
            **tower, **special, "vocab_size": len(WORDS), "max_position_embeddings": 16, "projection_dim": DIM,
        },
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.CLIPModel(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    model.logit_scale.data.fill_(torch.tensor(SCALE).log())
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3]}')
    if tokenizer:
        save_tokenizer(folder, WORDS)
    return folder


def save_tokenizer(folder: Path, words: Sequence[str]) -> None:
    """A tokenizer whose ids are the positions of the words; a text stands between <s> and </s>."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(mark, words.index(mark)) for mark in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
