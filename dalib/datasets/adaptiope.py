"""Adaptiope: 123 classes as product shots, photographs of daily life and synthetic renderings, 100 images each."""

from dalib.core.dataset import DatasetInfo, Download

DATASET = DatasetInfo(
    name="adaptiope",
    title="Adaptiope (Ringwald & Stiefelhagen, WACV 2021): 36 900 images, 123 classes, 3 domains",
    domains=("product_images", "real_life", "synthetic"),
    counts={"product_images": 12300, "real_life": 12300, "synthetic": 12300},
    class_count=123,
    source="https://github.com/tringwald/Adaptiope",
    licence="none stated where its address was read; for research, see the source",
    paper="ringwald2021adaptiope",
    class_aliases={"product": "product_images", "real": "real_life"},
    downloads=(
        Download(
            "Adaptiope.zip",
            (),
            "tringwald/Adaptiope, README.md (0d4fedb)",
            digest="sha256:93378c8d5f89ebd7f2015d38ba8d3e48c00bae959ebeeaf822e79e6fcfc7fd67",
            by_hand="open https://drive.google.com/file/d/1FmdsvetC0oVyrFJ9ER7fcN-cXPOWx2gq/view and press Download",
        ),
    ),
)
