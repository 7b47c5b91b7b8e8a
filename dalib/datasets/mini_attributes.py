"""Several attributes of every picture of mini_office, each true or not; drawn by dalib itself."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="mini_attributes",
    title="mini_office's pictures and domains, asked for ten attributes: object, colour and style",
    domains=("amazon", "dslr", "webcam"),
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
    counts={"amazon": 936, "dslr": 282, "webcam": 400},
    source="drawn by dalib (leave the root out)",
    licence="Apache-2.0, as dalib",
    objective="multilabel",
    generator="dalib.datasets.drawing.attributes:write_mini_attributes",
)
