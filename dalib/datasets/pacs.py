"""PACS: 7 classes as photographs, art paintings, cartoons and sketches."""

from dalib.core.dataset import DatasetInfo, Download

STATED = "thuml/Transfer-Learning-Library, tllib/vision/datasets/pacs.py (c4aa59e)"

DATASET = DatasetInfo(
    name="pacs",
    title="PACS: 7 classes as photographs, art paintings, cartoons and sketches",
    domains=("art_painting", "cartoon", "photo", "sketch"),
    classes=(
        "dog",
        "elephant",
        "giraffe",
        "guitar",
        "horse",
        "house",
        "person",
    ),
    counts={"art_painting": 2048, "cartoon": 2344, "photo": 1670, "sketch": 3929},
    source="http://www.eecs.qmul.ac.uk/~dl307/project_iccv2017",
    licence="none stated where its addresses were read; for research, see the source",
    paper="li2017deeper",
    downloads=(
        Download("art_painting.tgz", ("https://cloud.tsinghua.edu.cn/f/46684292e979402b8d87/?dl=1",), STATED),
        Download("cartoon.tgz", ("https://cloud.tsinghua.edu.cn/f/7bfa413b34ec4f4fa384/?dl=1",), STATED),
        Download("photo.tgz", ("https://cloud.tsinghua.edu.cn/f/45f71386a668475d8b42/?dl=1",), STATED),
        Download("sketch.tgz", ("https://cloud.tsinghua.edu.cn/f/4ba559535e4b4b6981e5/?dl=1",), STATED),
    ),
)
