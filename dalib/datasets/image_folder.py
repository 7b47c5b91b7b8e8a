"""Your own images: any root with domain/class/image; domains and classes are what the folders say."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="image_folder",
    title="Your own images as domain/class/image.jpg, in a folder or a zip",
    source="your own files",
    licence="yours",
)
