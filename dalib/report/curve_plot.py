"""A learning curve as a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dalib.report.curve import Curve, number
from dalib.report.figures import name_in_legend, names_as_they_are, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "source": ("#666666", "#9a9a9a", "#3d3d3d", "#bbbbbb"),
    "target": ("#b3261e", "#e8871e", "#7a3b69", "#c7a317", "#8c4a2f", "#e58f8f"),
    "both": (
        "#1f3a5f", "#2a9d8f", "#7b2cbf", "#3a86ff", "#6a994e", "#0b7285", "#d63384", "#e8871e", "#52b788", "#8a817c",
    ),
}  # fmt: skip
TITLES = {"alone": "source or target labels", "both": "labels of both"}
_MARKS = "osD^vPX<>*"


@names_as_they_are()
def draw_curve(curve: Curve, path: str | Path) -> Path:
    """Accuracy with labels of one domain, with both, and the gain of these over target-only; .png, .pdf or .svg.

    The strategies that gains refer to are dashed and stand in both panels; without a target-only row gains are over
    source-only, and without either, or without strategies that have both, panels are left out.
    The same curve gives the same SVG.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    labels = {name: str(curve.at(name, curve.values[0])["labels"]) for name in curve.strategies}
    groups = {
        "alone": [name for name in curve.strategies if labels[name] != "both"],
        "both": [name for name in curve.strategies if labels[name] == "both"],
    }
    groups = {key: names for key, names in groups.items() if names}
    kind = "target" if curve.target else "source"
    gains = bool(getattr(curve, kind))
    count = len(groups) + gains
    figure = Figure(figsize=(3.1 * count + 1.7, 3.9), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    styles = _styles(curve, labels)
    for panel, (key, names) in zip(panels, groups.items(), strict=False):
        references = [name for name in (curve.source, curve.target) if name and name not in names]
        for name in (*references, *names):
            values = [curve.scale.factor * number(curve.at(name, value)["mean"]) for value in curve.values]
            panel.plot(
                range(len(values)), values, label="" if name in references else name_in_legend(name), **styles[name]
            )
        panel.set_title(TITLES[key], fontsize=9)
        panel.set_ylabel(curve.scale.name.lower() if panel is panels[0] else "", fontsize=8)
        if panel is not panels[0]:
            panel.sharey(panels[0])
    if gains:
        names = groups.get("both") or [name for name in groups["alone"] if name != getattr(curve, kind)]
        _draw_gains(panels[-1], curve, names, kind, styles)
    for panel in panels:
        shown = [f"{value:g}" if curve.sweep == "shots" else f"{100 * value:g}" for value in curve.values]
        panel.set_xticks(range(len(shown)), shown)
        panel.tick_params(labelsize=8)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(curve.axis, fontsize=8)
    figure.legend(loc="outside right center", fontsize=7.5, frameon=False)
    return save_figure(figure, path)


def _draw_gains(panel: Axes, curve: Curve, names: list[str], kind: str, styles: dict[str, dict[str, Any]]) -> None:
    """Means with their intervals, side by side at every value."""
    for place, name in enumerate(names):
        rows = [curve.at(name, value) for value in curve.values]
        moved = [x + 0.6 * (place / max(len(names) - 1, 1) - 0.5) for x in range(len(rows))]
        panel.plot(
            moved,
            [curve.scale.factor * number(r[f"over_{kind}"]) for r in rows],
            **(styles[name] | {"linestyle": "none"}),
        )
        for x, row in zip(moved, rows, strict=True):
            ends = [curve.scale.factor * number(row[f"over_{kind}_{end}"]) for end in ("low", "high")]
            if not any(map(math.isnan, ends)):
                panel.plot((x, x), ends, color=styles[name]["color"], linewidth=1.2)
    panel.axhline(0, color="#333333", linewidth=0.8)
    panel.set_title(f"gain over {name_in_legend(getattr(curve, kind))} in {curve.scale.steps}, 95 %", fontsize=9)


def _styles(curve: Curve, labels: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Colours by labels: greys = source, warm = target; the two references are dashed, colours used twice dotted."""
    styles: dict[str, dict[str, Any]] = {}
    used = dict.fromkeys(COLOURS, 0)
    for name in curve.strategies:
        n, colours = used[labels[name]], COLOURS[labels[name]]
        line = "--" if name in (curve.source, curve.target) else ":" if n >= len(colours) else "-"
        styles[name] = {"color": colours[n % len(colours)], "marker": _MARKS[n % len(_MARKS)], "linestyle": line}
        styles[name] |= {"linewidth": 1.2, "markersize": 4}
        used[labels[name]] += 1
    return styles
