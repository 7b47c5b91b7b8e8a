"""The scenes of mini_scenes with the box of each object in place of the class of every pixel; needs no download."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="mini_boxes",
    title="Scenes of mini_office's objects with a box each, drawn procedurally",
    kind="boxes",
    objective="detection",
    domains=("catalogue", "webcam", "night"),
    classes=("monitor", "back_pack", "calculator", "bottle", "desk_lamp", "mug"),
    counts={"catalogue": 240, "webcam": 240, "night": 240},
    source="drawn by dalib (leave the root out)",
    licence="Apache-2.0, as dalib",
    generator="dalib.datasets.drawing:write_mini_scenes",
)
