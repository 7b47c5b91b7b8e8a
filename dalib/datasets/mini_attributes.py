"""Several attributes of every picture, each true or not, in mini_office's domains and at night; drawn by dalib."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="mini_attributes",
    title="Pictures of mini_office's things, asked for ten attributes: object, colour and style",
    domains=("amazon", "dslr", "webcam", "night"),
    classes=(
        "electronics",
        "furniture",
        "stationery",
        "dark",
        "grey",
        "pale",
        "vivid",
        "wood",
        "lying",
        "turned",
    ),
    counts={"amazon": 936, "dslr": 282, "webcam": 400, "night": 936},
    source="drawn by dalib (leave the root out)",
    licence="Apache-2.0, as dalib",
    objective="multilabel",
    generator="dalib.datasets.drawing.attributes:write_mini_attributes",
)
