"""What methods share whose matrices over pairs of rows may be cut: each part of the rows is solved for by itself."""

from __future__ import annotations

from typing import Any

from dalib.core.hyper import whole
from dalib.core.needs import Needs, Size, need
from dalib.nn.blocks import count_blocks

_LOG_DOMAIN_BELOW = 0.01
"""Entropies whose iterations take two exponentials per pair of rows."""


def rows_together(what: str) -> Any:
    """The hyper-parameter `block_rows`; what: the parts have of their own."""
    doc = f"rows of each domain in a part with {what} of its own; 0 = {what} for all rows"
    return whole(default=0, least=0, last=True, doc=doc)


def cut(size: Size, block_rows: int) -> tuple[str, dict[str, Any]]:
    """How formulas spell the pairs of a part, and the symbols b, m_s, m_t of its parts."""
    b = count_blocks(size.n_s, size.n_t, block_rows)
    return "m_s m_t" if block_rows else "n_s n_t", {"b": b, "m_s": size.n_s / b, "m_t": size.n_t / b}


def need_plans(size: Size, method: str, reg: float, block_rows: int) -> Needs:
    """What one transport plan for every part takes: `emd`, `sinkhorn` or `class_regularised`."""
    pairs, symbols = cut(size, block_rows)
    numbers, products = f"5 {pairs}", "b m_s m_t d"
    if method == "emd":
        return need(size, numbers, products, "5 b m_s m_t", plan="m_s m_t", plans="b", **symbols)
    each = 3.0 if reg < _LOG_DOMAIN_BELOW else 0.5
    repeats = 10.0 if method == "class_regularised" else 1.0
    passes = "5 repeats b m_s m_t + repeats each steps b m_s m_t"
    return need(size, numbers, products, passes, each=each, repeats=repeats, steps=3 / reg, **symbols)
