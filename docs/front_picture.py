"""Draw the front page's picture from committed records: what every method gains on two sets of real images."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

import dalib

ROOT = Path(__file__).resolve().parents[1]
SETS = {"office31_subset": "Office-31, webcam and 1 000 of amazon", "office_caltech10": "Office-Caltech10"}
INKS = {"light": ("#1b1d21", "#9aa0a6", "#0072b2", "#c44e00"), "dark": ("#e6e8eb", "#767d86", "#56b4e9", "#f08c4a")}
LABELLED, WORST = 9, ("nearest_neighbour", "ot_map_emd", "subspace_alignment", "fixmatch", "coral")
"""How many of the best have their names beside them, and which others."""


def gains() -> list[tuple[str, float, float]]:
    """(row, gain over source-only in points on the first set, on the second), those without target labels."""
    found: list[dict[str, float]] = []
    for name in SETS:
        rows = dalib.table(name, records=ROOT / f"results/records/{name}.jsonl.gz").rows
        base = next(row for row in rows if row.label == "source_only").average.mean
        found.append({row.label: 100 * (row.average.mean - base) for row in rows if row.label != "source_only"})
    first, second = found
    return [(name, first[name], second[name]) for name in first if name in second]


def draw(folder: Path) -> None:
    """front-light.svg and front-dark.svg."""
    points = sorted(gains(), key=lambda point: point[1] + point[2])
    named = [*points[: -LABELLED - 1 : -1], *(p for p in points if p[0] in WORST)]
    first, second = SETS.values()
    for scheme, (ink, dim, good, bad) in INKS.items():
        keys = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")
        with plt.rc_context(
            {**dict.fromkeys(keys, ink), "axes.edgecolor": dim, "font.size": 10, "svg.hashsalt": "dalib"}
        ):
            figure, axes = plt.subplots(figsize=(6.8, 4.5))
            figure.subplots_adjust(left=0.1, right=0.99, top=0.98, bottom=0.13)
            axes.axhline(0, color=dim, linewidth=0.8)
            axes.axvline(0, color=dim, linewidth=0.8)
            colours = [good if min(x, y) > 0 else bad if max(x, y) < 0 else dim for _, x, y in points]
            axes.scatter(*zip(*((x, y) for _, x, y in points), strict=True), c=colours, s=26)
            axes.set(xlabel=f"points over source_only, {first}", ylabel=f"points over source_only, {second}")
            axes.spines[["top", "right"]].set_visible(False)
            _name(axes, named, [(x, y) for _, x, y in points])
            figure.savefig(folder / f"front-{scheme}.svg", transparent=True, metadata={"Date": None})
            plt.close(figure)


def _name(axes: Axes, named: list[tuple[str, float, float]], points: list[tuple[float, float]]) -> None:
    """A label for each where it covers no dot and no other label; none where there is no such place."""
    axes.figure.canvas.draw()
    dots = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axes.transData.transform(points)]
    frame = axes.get_window_extent()
    for name, x, y in named:
        for dx, dy, side in (
            (8, 0, "left"),
            (-8, 0, "right"),
            (0, 11, "center"),
            (0, -12, "center"),
            (8, 9, "left"),
            (-8, -9, "right"),
        ):
            label = axes.annotate(name, (x, y), (dx, dy), textcoords="offset pixels", ha=side, va="center", fontsize=9)
            box = label.get_window_extent()
            if frame.x0 < box.x0 and box.x1 < frame.x1 and not any(box.overlaps(dot) for dot in dots):
                dots.append(box)
                break
            label.remove()


if __name__ == "__main__":
    draw(Path(__file__).parent / "_static")
