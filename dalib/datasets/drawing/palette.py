"""Colours: families shared by all classes, so that colour alone does not tell the class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RGB = tuple[int, int, int]

FAMILIES: dict[str, tuple[RGB, ...]] = {
    "dark": ((30, 30, 33), (52, 53, 58), (36, 42, 62), (58, 46, 42)),
    "grey": ((122, 124, 128), (158, 160, 165), (96, 102, 110), (140, 146, 158)),
    "pale": ((234, 234, 230), (214, 208, 192), (242, 236, 220), (205, 214, 222)),
    "vivid": (
        (188, 34, 38),
        (34, 84, 170),
        (36, 132, 74),
        (238, 184, 40),
        (232, 112, 36),
        (112, 56, 134),
        (36, 148, 160),
        (216, 88, 132),
    ),
    "wood": ((150, 102, 58), (192, 148, 94), (104, 70, 44), (212, 178, 128)),
}
FIXED: dict[str, tuple[RGB, ...]] = {
    "k": ((34, 34, 37), (46, 46, 50)),
    "w": ((240, 240, 237), (228, 229, 230)),
    "m": ((168, 171, 177), (142, 146, 152), (190, 192, 196)),
    "s": ((22, 26, 36), (58, 98, 150), (148, 188, 218), (34, 52, 88), (96, 136, 110)),
    "l": ((168, 182, 160), (150, 166, 158), (126, 138, 126)),
    "y": FAMILIES["wood"],
}


@dataclass(frozen=True)
class Palette:
    """The colours of one individual.

    Slots: a (main), b, c (accents), k black, w white, m metal, s screen, l liquid crystal, y wood.
    A slot followed by `-` is darker, `--` darker still, `+` lighter.
    """

    slots: dict[str, RGB]

    @classmethod
    def draw(cls, families: Sequence[str], rng: np.random.Generator) -> Palette:
        """Pick every slot; the accents differ visibly from the main colour."""
        main = _pick(FAMILIES[families[int(rng.integers(len(families)))]], rng)
        slots = {name: _pick(colours, rng) for name, colours in FIXED.items()}
        return cls(slots | {"a": main, "b": _accent(main, rng), "c": _accent(main, rng)})

    def __getitem__(self, slot: str) -> RGB:
        red, green, blue = self.slots[slot[0]]
        if slot.endswith("+"):
            return red + (255 - red) * 2 // 5, green + (255 - green) * 2 // 5, blue + (255 - blue) * 2 // 5
        dim = 0.72 ** slot.count("-")
        return int(red * dim), int(green * dim), int(blue * dim)


def _accent(main: RGB, rng: np.random.Generator) -> RGB:
    families = ("dark", "grey", "pale", "vivid")
    picks = [_pick(FAMILIES[families[int(rng.integers(4))]], rng) for _ in range(3)]
    return max(picks, key=lambda colour: min(90, sum(abs(p - q) for p, q in zip(colour, main, strict=True))))


def _pick(colours: Sequence[RGB], rng: np.random.Generator) -> RGB:
    base = np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, 7, 3)
    red, green, blue = np.clip(base, 8, 250).astype(int).tolist()
    return red, green, blue
