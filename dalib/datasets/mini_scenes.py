"""Several drawn objects in one picture, with the class of every pixel; needs no download."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="mini_scenes",
    title="Scenes of mini_office's objects with masks and boxes, drawn procedurally",
    kind="masks",
    objective="segmentation",
    domains=("catalogue", "webcam", "night"),
    classes=("background", "monitor", "back_pack", "calculator", "bottle", "desk_lamp", "mug"),
    counts={"catalogue": 240, "webcam": 240, "night": 240},
    source="drawn by dalib (leave the root out)",
    licence="Apache-2.0, as dalib",
    generator="dalib.datasets.drawing:write_mini_scenes",
)
