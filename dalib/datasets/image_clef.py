"""ImageCLEF-DA: 12 classes that Caltech-256, ImageNet and Pascal VOC share."""

from dalib.core.dataset import DatasetInfo, Download

DATASET = DatasetInfo(
    name="image_clef",
    title="ImageCLEF-DA (ImageCLEF 2014): 12 classes, 3 domains: c (Caltech-256), i (ImageNet), p (Pascal VOC)",
    domains=("c", "i", "p"),
    class_count=12,
    # stated, not tried: 50 of every class; thuml/CDAN, data/image-clef/c_list.txt, i_list.txt, p_list.txt (c904cd3)
    counts={"c": 600, "i": 600, "p": 600},
    source="https://www.imageclef.org/2014/adaptation",
    licence="none stated where its address was read; pictures belong to the sets they were taken from",
    paper="caputo2014imageclef",
    class_aliases={"clist": "c", "ilist": "i", "plist": "p", "image-CLEF": "image_clef"},
    downloads=(
        Download(
            "image_CLEF.zip",
            ("https://wjdcloud.blob.core.windows.net/dataset/image_CLEF.zip",),
            "jindongwang/transferlearning, data/dataset.md (f951df1)",
        ),
    ),
)
