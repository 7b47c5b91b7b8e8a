"""The critical-difference diagram: average ranks on a line, bars over methods that are not told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dalib.core.errors import DalibError
from dalib.core.text import show_control
from dalib.report.figures import save_figure
from dalib.report.statistics.critical_difference import cliques

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEAD, _ROW, _BAR = 0.8, 0.19, 0.085
"""Inches: above the axis, per label, per bar."""
_INK, _ACCENT = "#222222", "#b3261e"


def draw_critical_difference(ranks: Mapping[str, float], cd: float, path: str | Path) -> Path:
    """Write the diagram and return its path. Rank 1, the best, is at the left; a bar joins what `cliques` joins.

    Args
        ranks: method -> average rank, >= 1; two methods or more
        cd: critical difference in ranks, > 0
        path: .png, .pdf or .svg
    Raises DalibError for another suffix, fewer than two methods, and as `cliques` does.
    Reference
        Demsar. Statistical Comparisons of Classifiers over Multiple Data Sets. JMLR 2006 (figure 1).
    """
    path = Path(path)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise DalibError(f"cannot draw into '{path.name}'; use a name that ends in .png, .pdf or .svg")
    axes = plot_critical_difference(ranks, cd)
    return save_figure(axes.figure, path, bbox_inches="tight", pad_inches=0.08)


def plot_critical_difference(ranks: Mapping[str, float], cd: float, axes: Axes | None = None) -> Axes:
    """The diagram of `draw_critical_difference` on axes; without any, on a figure of the height that the labels take.

    Raises
        DalibError: fewer than two methods, and as `cliques` does
    """
    if len(ranks) < 2:
        raise DalibError(f"a critical-difference diagram needs two or more methods, not {len(ranks)}")
    groups = [(ranks[group[0]], ranks[group[-1]]) for group in cliques(ranks, cd)]
    last = max(len(ranks), math.ceil(max(ranks.values())))
    bars = _stack(groups, gap=last / 60)
    top = 0.16 + _BAR * (1 + max((level for *_, level in bars), default=-1))
    depth = top + _ROW * math.ceil(len(ranks) / 2)
    if axes is None:
        from matplotlib.figure import Figure

        axes = Figure(figsize=(5.5, _HEAD + depth)).add_axes((0, 0, 1, 1))
    axes.set(xlim=(1, last), ylim=(-depth, _HEAD))
    axes.axis("off")
    _draw_scale(axes, last, cd)
    _draw_labels(axes, ranks, last, top)
    for low, high, level in bars:
        ends, y = (low - last / 400, high + last / 400), -0.11 - _BAR * level
        axes.plot(ends, (y, y), color=_INK, linewidth=2.6, solid_capstyle="butt", clip_on=False)
    return axes


def _draw_scale(axes: Axes, last: int, cd: float) -> None:
    step = max(1, round(last / 10))
    _line(axes, (1, last), (0, 0))
    for tick in range(1, last + 1):
        named = tick in (1, last) or (tick % step == 0 and step <= tick <= last - step / 2)
        _line(axes, (tick, tick), (0, 0.09 if named else 0.05))
        if named:
            axes.text(tick, 0.13, str(tick), ha="center", va="bottom", fontsize=9, color=_INK)
    _line(axes, (1, 1 + cd), (0.47, 0.47), _ACCENT)
    for end in (1, 1 + cd):
        _line(axes, (end, end), (0.42, 0.52), _ACCENT)
    axes.text(1 + cd / 2, 0.55, f"CD = {cd:.2f}", ha="center", va="bottom", fontsize=9, color=_ACCENT)


def _draw_labels(axes: Axes, ranks: Mapping[str, float], last: int, top: float) -> None:
    """The better half at the left, best on top; the other half at the right, worst on top: no two lines cross."""
    names = sorted(ranks, key=lambda name: ranks[name])
    half = math.ceil(len(names) / 2)
    for side, edge, sign in ((names[:half], 1, -1), (names[: half - 1 : -1], last, 1)):
        for row, name in enumerate(side):
            y, rank = -top - _ROW * (row + 0.5), ranks[name]
            _line(axes, (rank, rank, edge + sign * last / 60), (0, y, y))
            shown = show_control(name)
            label = f"{shown}  {rank:.2f}" if sign < 0 else f"{rank:.2f}  {shown}"
            align = "right" if sign < 0 else "left"
            axes.text(
                edge + sign * last / 40, y, label, ha=align, va="center", fontsize=9, color=_INK, parse_math=False
            )


def _line(axes: Axes, xs: Sequence[float], ys: Sequence[float], color: str = _INK) -> None:
    axes.plot(xs, ys, color=color, linewidth=0.8, solid_joinstyle="miter", clip_on=False)


def _stack(spans: Sequence[tuple[float, float]], gap: float) -> list[tuple[float, float, int]]:
    """Give each bar the first level on which it does not touch another."""
    ends: list[float] = []
    placed = []
    for low, high in spans:
        level = next((i for i, end in enumerate(ends) if end + gap < low), len(ends))
        ends[level : level + 1] = [high]
        placed.append((low, high, level))
    return placed
