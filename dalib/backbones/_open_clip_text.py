"""The text half of an open_clip model."""

from __future__ import annotations

import hashlib
import html
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from dalib.backbones._weights import hash_state
from dalib.core.errors import DalibError
from dalib.core.text_tower import TextTower

POOLS = ("argmax", "eos")
"""Where a text's feature is read, of those that open_clip knows: both are the token that ends it."""


class OpenClipTower(TextTower):
    """CLIP's text transformer with the tokenizer that the package carries.

    Args
        model: `CLIP`, whose text half lies in itself, or `CustomTextCLIP`, where it is `text`
        settings: `text_cfg` of its architecture
    """

    attn_mask: Tensor | None

    def __init__(self, model: Any, settings: Mapping[str, Any], name: str) -> None:
        super().__init__()
        text = getattr(model, "text", model)
        self.token_embedding, self.transformer, self.ln_final = text.token_embedding, text.transformer, text.ln_final
        self.positional_embedding, self.text_projection = text.positional_embedding, text.text_projection
        self.register_buffer("attn_mask", text.attn_mask, persistent=False)
        self.settings, self.name, self.vocabulary = dict(settings), name, self.token_embedding.num_embeddings
        self.length, self.width = self.positional_embedding.shape[0], self.token_embedding.embedding_dim
        self.scale, self.dim = float(model.logit_scale.detach().exp()), self._find_dim()
        if not math.isfinite(self.scale):
            raise DalibError(
                f"{name} multiplies cosines by exp({float(model.logit_scale.detach()):g}); take another checkpoint"
            )
        self.eval().requires_grad_(False)

    def _find_dim(self) -> int:
        last = self.text_projection
        return self.width if last is None else int(last.out_features if isinstance(last, nn.Linear) else last.shape[1])

    @cached_property
    def tokenizer(self) -> Any:
        import open_clip

        for key, reads in (
            ("hf_tokenizer_name", "by a tokenizer that open_clip downloads"),
            ("embed_cls", "with a token of its own at the end"),
        ):
            if self.settings.get(key):
                raise DalibError(
                    f"{self.name} reads texts {reads} ({key} = {self.settings[key]!r}), which is not done here; take "
                    "an architecture with CLIP's own tokenizer, or a folder of transformers' (backbone clip)"
                )
        if self.settings.get("pool_type", POOLS[0]) not in POOLS:
            raise DalibError(
                f"{self.name} pools texts by '{self.settings['pool_type']}', which is not done here; take an "
                f"architecture that does by {' or '.join(POOLS)}"
            )
        told = self.settings.get("tokenizer_kwargs") or {}
        return open_clip.SimpleTokenizer(**{key: told[key] for key in ("clean",) if key in told})

    def tokenise(self, texts: Sequence[str]) -> Tensor:
        rows = [self._read(text) for text in texts]
        longest = max(range(len(rows)), key=lambda i: len(rows[i]))
        if len(rows[longest]) > self.length:
            raise DalibError(
                f"{self.name} reads {self.length} tokens, and '{texts[longest]}' has {len(rows[longest])}; give a "
                "shorter name"
            )
        end, size = self.tokenizer.eot_token_id, self.vocabulary
        wanted = self.settings.get("eos_id", 2) if self.settings.get("pool_type") == "eos" else end
        if end >= size or wanted != end:
            raise DalibError(
                f"{self.name}: its text half knows {size} ids and ends a text with {wanted}, CLIP's tokenizer with "
                f"{end}; it was trained with another one"
            )
        full = self.length if self.attn_mask is None else len(rows[longest])
        ids = torch.zeros(len(rows), full, dtype=torch.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        return ids.to(self.token_embedding.weight.device)

    def _read(self, text: str) -> list[int]:
        """Start, the text's tokens, end; DalibError for a name in which a text begins or ends."""
        read = self.tokenizer
        ids = read.encode(text)
        if set(ids) & set(read.all_special_ids):
            marks = " or ".join(read.decoder[i] for i in read.all_special_ids[:2])
            raise DalibError(
                f"'{html.unescape(text)}' holds {marks}, which begin and end a text for {self.name}; give another name"
            )
        return [read.sot_token_id, *ids, read.eot_token_id]

    def count_words(self, text: str) -> int:
        return len(self.tokenizer.encode(text))

    def leave_room(self, ids: Tensor, n: int) -> Tensor:
        """Where padding is read too (no causal mask), texts are full: as many places of it go as are put in."""
        if self.attn_mask is not None:
            return ids
        longest = int((ids == self.tokenizer.eot_token_id).int().argmax(1).max()) + 1
        return ids[:, : max(longest, self.length - n)]

    def embed(self, ids: Tensor) -> Tensor:
        vectors: Tensor = self.token_embedding(ids)
        return vectors

    def encode(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Positions, layers, norm, the vector at the text's end, projection; open_clip takes ids only."""
        length = ids.shape[1]
        mask = None if self.attn_mask is None else self.attn_mask[:length, :length].to(vectors.dtype)
        h = self.ln_final(self.transformer(vectors + self.positional_embedding[:length], attn_mask=mask))
        ends = (ids == self.tokenizer.eot_token_id).int().argmax(1)
        t: Tensor = h[torch.arange(len(ids), device=h.device), ends]
        if self.text_projection is None:
            return t
        return self.text_projection(t) if isinstance(self.text_projection, nn.Linear) else t @ self.text_projection

    def sum(self) -> str:
        digest = hashlib.sha256(hash_state(self).encode())
        digest.update(f"{list(self.tokenizer.encoder)} {self.settings.get('tokenizer_kwargs') or {}}".encode())
        return digest.hexdigest()
