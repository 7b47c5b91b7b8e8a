"""A tiny random text encoder in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch


def save_encoder(folder: Path, words: Sequence[str], seed: int = 0) -> tuple[Any, Any]:
    """(tokenizer, model) of a BERT of one layer that knows these words."""
    transformers = pytest.importorskip("transformers", reason="optional dependency (pip install dalib-toolkit[text])")
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = (
        transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)})
        if _takes_a_table(transformers)
        else transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))
    )
    tokenizer.save_pretrained(folder)
    small = {"vocab_size": len(vocabulary), "hidden_size": 16, "intermediate_size": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.BertModel(
            transformers.BertConfig(**small, num_hidden_layers=1, num_attention_heads=2), add_pooling_layer=False
        ).eval()
    model.save_pretrained(folder, safe_serialization=True)
    return tokenizer, model


def _takes_a_table(transformers: Any) -> bool:
    """From version 5 on a tokenizer is given its vocabulary, not a file's path."""
    return int(transformers.__version__.partition(".")[0]) >= 5
