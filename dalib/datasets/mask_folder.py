"""Any pictures with masks laid out as domain/images/x.jpg and domain/masks/x.png; classes.txt names the values."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="mask_folder",
    title="Your own pictures with a class for every pixel",
    kind="masks",
    objective="segmentation",
    source="your own files",
    licence="yours",
)
