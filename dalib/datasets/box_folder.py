"""Any pictures with boxes: domain/images/x.jpg beside a COCO file, Pascal VOC's XML or YOLO's lines."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="box_folder",
    title="Your own pictures with a box around every object",
    kind="boxes",
    objective="detection",
    source="your own files",
    licence="yours",
)
