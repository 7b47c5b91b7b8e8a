"""Where the network puts the rows of both domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dalib.core.errors import DalibError, unknown
from dalib.core.types import Domain, Task
from dalib.report.axes import COLOURS, class_colours, open_axes
from dalib.report.figures import name_in_legend, names_as_they_are
from dalib.report.projection import project, thin
from dalib.train.fitted import Fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_IN_LEGEND = 10


@names_as_they_are()
def features(
    fitted: Fitted,
    task: Task,
    axes: Axes | None = None,
    *,
    method: str = "pca",
    colour: str = "domain",
    rows: int = 500,
    seed: int = 0,
) -> Axes:
    """Features z of source (circles) and target (triangles) in two dimensions.

    Args
        method: `pca`, or `tsne`, of which distances between far points say nothing
        colour: `domain`, or `class` by true labels; target rows without any are then grey
        rows: at most so many of each domain, drawn by `seed`

    Raises
        DalibError: another method or colour, classes where labels are none, fewer than two rows a domain
    """
    if colour not in ("domain", "class"):
        raise unknown("colour", colour, ("domain", "class"))
    if colour == "class" and task.objective != "classification":
        raise DalibError(f"labels of {task.objective} are no classes; use colour='domain'")
    if rows < 2:
        raise DalibError(f"rows = {rows} of a domain make no map; give 2 or more")
    sides = (task.labelled, task.test if len(task.test) else task.target)
    shown = [side.take(thin(len(side), rows, seed), "shown") for side in sides]
    flat = project([fitted.outputs(domain).z.numpy() for domain in shown], method, seed)
    axes = open_axes(axes, (4.2, 3.8))
    names = [part.strip() for part in task.name.split("->")]
    classes = max(task.classes, task.test.classes, key=len)
    for n, (domain, points, marker) in enumerate(zip(shown, flat, "o^", strict=True)):
        style = {"s": 14, "marker": marker, "linewidths": 0.3, "edgecolors": "white"}
        given = COLOURS[n] if colour == "domain" else _by_class(domain, len(classes))
        label = name_in_legend(f"{('source', 'target')[n]}: {names[n] if len(names) == 2 else domain.name}")
        axes.scatter(points[:, 0], points[:, 1], c=given, label=label, zorder=2 + n, **style)  # type: ignore[arg-type]
    legend = axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.02), borderaxespad=0)
    if colour == "class" and len(classes) <= MOST_IN_LEGEND:
        from matplotlib.lines import Line2D

        for handle in legend.legend_handles:
            handle.set_facecolor("#777777")  # type: ignore[union-attr]
        axes.add_artist(legend)
        look = {"marker": "s", "linestyle": "none", "markersize": 5}
        every = [
            Line2D([], [], color=tuple(shade), label=name_in_legend(name), **look)  # type: ignore[arg-type]
            for shade, name in zip(class_colours(len(classes)), classes, strict=True)
        ]
        axes.legend(handles=every, fontsize=7.5, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{type(fitted.algorithm).__name__}, {'PCA' if method == 'pca' else 't-SNE'} of z", fontsize=9)
    return axes


def _by_class(domain: Domain, number: int) -> np.ndarray:
    """(n, 4): the colour of every row's class; grey without labels."""
    if domain.y is None:
        return np.tile((0.6, 0.6, 0.6, 1.0), (len(domain), 1))
    return class_colours(number)[domain.y]
