"""The 31 classes of Office-31 drawn by dalib itself; needs no download."""

from dalib.core.dataset import DatasetInfo
from dalib.datasets.office31 import DATASET as OFFICE31

DATASET = DatasetInfo(
    name="mini_office",
    title="Office-31's classes and domains, drawn procedurally as JPEG files",
    domains=OFFICE31.domains,
    classes=OFFICE31.classes,
    counts={"amazon": 936, "dslr": 282, "webcam": 400},
    source="drawn by dalib (leave the root out)",
    licence="Apache-2.0, as dalib",
    generator="dalib.datasets.drawing:write_mini_office",
)
