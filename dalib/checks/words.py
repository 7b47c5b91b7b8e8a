"""A text tower of the small world: a word is a vector, a sentence their sum; `a`, `b` and `c` lie at the classes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dalib.core.text_tower import TextTower

WORDS = 101
START, END = 1, 2


class WordTower(TextTower):
    """centres (K, d): of the classes `a`, `b` …, whose names are words of that place."""

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.scale, self.width, self.dim, self.length, self.name = 20.0, centres.shape[1], centres.shape[1], 60, "words"
        table = 0.1 * torch.randn(WORDS, self.width, generator=torch.Generator().manual_seed(5))
        table[0] = 0
        for k, centre in enumerate(centres):
            table[self._number(chr(ord("a") + k))] = centre.float()
        article = centres[0].float()  # "a photo of a …" and "a … image" name class `a` besides: taken back
        table[self._number("photo")], table[self._number("image")] = -2 * article, -article
        self.table = nn.Embedding.from_pretrained(table)

    def tokenise(self, texts: Sequence[str]) -> Tensor:
        rows = [[START, *map(self._number, self._words(text)), END] for text in texts]
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=self.table.weight.device)

    def count_words(self, text: str) -> int:
        return len(self._words(text))

    def embed(self, ids: Tensor) -> Tensor:
        vectors: Tensor = self.table(ids)
        return vectors

    def encode(self, vectors: Tensor, ids: Tensor) -> Tensor:
        return (vectors * (ids > 0).unsqueeze(2)).sum(1)

    def sum(self) -> str:
        return "words"

    @staticmethod
    def _words(text: str) -> list[str]:
        return re.findall(r"\w+", text)

    @staticmethod
    def _number(word: str) -> int:
        return 3 + zlib.crc32(word.encode()) % (WORDS - 3)
