"""What turns texts into features of the space in which a picture's lie: CLIP's second half."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from dalib.core.errors import DalibError, unknown
from dalib.core.texts import spell_out

TWINS = 1e-6
"""How near 1 the cosine of two names may be that are told apart."""
PROMPTS = {
    "photo": ("a photo of a {}.",),
    "ensemble": (
        "itap of a {}.", "a bad photo of the {}.", "a origami {}.", "a photo of the large {}.",
        "a {} in a video game.", "art of the {}.", "a photo of the small {}.",
    ),
}  # fmt: skip
"""Sentences around a class name. `photo` is the one of CLIP's paper (Radford et al. 2021, arXiv:2103.00020, 3.1.4);
`ensemble` are the seven that forward selection among the paper's eighty kept (the authors' notebook
Prompt_Engineering_for_ImageNet)."""


class TextTower(nn.Module):
    """A subclass gives `tokenise`, `embed` and `encode`; it is no part of the network that is trained.

    scale: what CLIP multiplies cosines by, exp of its learnt `logit_scale`
    width: of a token's vector
    dim: of the features, that of the pictures'
    length: tokens that it reads at most
    name: of the backbone, for messages
    """

    scale: float
    width: int
    dim: int
    length: int
    name: str

    def tokenise(self, texts: Sequence[str]) -> Tensor:
        """Texts (n) -> ids (n, L), start and end among them. DalibError for a text that is too long."""
        raise NotImplementedError

    def count_words(self, text: str) -> int:
        """Tokens of the text itself, without start, end and what the tokenizer does not know."""
        raise NotImplementedError

    def leave_room(self, ids: Tensor, n: int) -> Tensor:
        """The ids (n, L), less padding where it is read, so that n learnt vectors may be put in."""
        return ids

    def embed(self, ids: Tensor) -> Tensor:
        """ids (n, L) -> the tokens' vectors (n, L, width), without positions."""
        raise NotImplementedError

    def encode(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Vectors (n, L, width) in place of the tokens' own -> features (n, dim); `ids` say where a text ends."""
        raise NotImplementedError

    def sum(self) -> str:
        """sha256 of weights and tokenizer, which a run's key knows."""
        raise NotImplementedError

    def forward(self, ids: Tensor) -> Tensor:
        return self.encode(self.embed(ids), ids)


def check_prompts(prompts: str) -> None:
    """DalibError unless it is a word of `PROMPTS` or a sentence with one {} for the class."""
    if prompts not in PROMPTS and prompts.count("{}") != 1:
        raise unknown("prompts", prompts, PROMPTS, "or give a sentence with one {} in the class's place")


def check_names(tower: TextTower, classes: Sequence[str]) -> list[str]:
    """The names in words, `back_pack` -> `back pack`. DalibError for one of which the tokenizer knows nothing."""
    names = [spell_out(name) for name in classes]
    for given, name in zip(classes, names, strict=True):
        if not tower.count_words(name):
            raise DalibError(f"class '{given}' has no word that the tokenizer of {tower.name} knows; give it a name")
    return names


def encode_classes(tower: TextTower, classes: Sequence[str], prompts: str) -> Tensor:
    """Class names (K) -> unit rows (K, dim): t_k = n(mean_j n(text(prompt_j(k)))), n(v) = v / |v|, as CLIP's authors.

    Args
        prompts: a word of `PROMPTS`, or a sentence with one {}

    Raises
        DalibError: a name of which the tokenizer knows nothing, two that are the same to it, a sentence longer than
            the tower reads
    """
    check_prompts(prompts)
    templates = PROMPTS.get(prompts, (prompts,))
    rows = []
    with torch.no_grad():
        for name in check_names(tower, classes):
            t = tower(tower.tokenise([template.replace("{}", name) for template in templates])).float()
            rows.append(normalize(normalize(t, dim=1).mean(0), dim=0))
    return refuse_twins(torch.stack(rows), classes, tower.name)


def refuse_twins(t: Tensor, classes: Sequence[str], reader: str) -> Tensor:
    """The names' unit rows (K, d), if no two are the same.

    Raises
        DalibError: two are, so that the reader cannot tell their classes apart
    """
    same = (t @ t.T).triu(1) > 1 - TWINS
    if bool(same.any()):
        a, b = same.nonzero()[0].tolist()
        raise DalibError(f"classes '{classes[a]}' and '{classes[b]}' are the same to {reader}; name one otherwise")
    return t
