"""Axes of one's own or new ones, and the colours of every picture: told apart by colour-blind readers too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dalib.core.errors import DalibError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, without yellow, which no white page shows."""
MARKS = "osD^vPX"
INK, DIM, RULE = "#222222", "#777777", "#dddddd"


def open_axes(axes: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes given, or those of a new figure of that size in inches, which no pyplot keeps.

    Raises
        DalibError: something that is no Axes, such as a figure or a whole array of axes
    """
    if axes is None:
        from matplotlib.figure import Figure

        return Figure(figsize=size, layout="constrained").add_subplot()
    if not callable(getattr(axes, "plot", None)):
        raise DalibError(f"axes is a {type(axes).__name__}, no matplotlib Axes; give one of plt.subplots()[1], or none")
    return axes


def tidy_axes(axes: Axes, grid: str = "y") -> Axes:
    """Small ticks, a faint grid along `x`, `y`, `both` or (empty) none, no frame at the top and right."""
    axes.tick_params(labelsize=8)
    if grid:
        axes.grid(axis=grid, color=RULE, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def style(n: int) -> dict[str, Any]:
    """Colour, mark and line of the n-th thing that is drawn: 49 are different, in black and white 7."""
    turn = n // len(COLOURS)
    line = ("-", "--", ":", "-.")[turn % 4]
    return {"color": COLOURS[n % len(COLOURS)], "marker": MARKS[(n + turn) % len(MARKS)], "linestyle": line}


def class_colours(number: int) -> np.ndarray:
    """(number, 4): a colour per class; up to seven are `COLOURS`, more spread over a map of even lightness."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba_array

    if number <= len(COLOURS):
        return to_rgba_array(COLOURS[:number])
    return np.asarray(colormaps["viridis"](np.linspace(0, 0.95, number)))
