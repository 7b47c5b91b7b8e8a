"""VisDA-2017: 12 classes as synthetic renderings (train) and photographs (validation)."""

from dalib.core.dataset import DatasetInfo, Download

STATED = "thuml/Transfer-Learning-Library, tllib/vision/datasets/visda2017.py (c4aa59e)"

DATASET = DatasetInfo(
    name="visda2017",
    title="VisDA-2017: 12 classes, 152 397 renderings, 55 388 photographs; tables are means over classes",
    domains=("train", "validation"),
    classes=(
        "aeroplane",
        "bicycle",
        "bus",
        "car",
        "horse",
        "knife",
        "motorcycle",
        "person",
        "plant",
        "skateboard",
        "train",
        "truck",
    ),
    # stated, not tried: validation in the challenge's own list (VisionLearningGroup/taskcv-2017-public, classification/
    # result/val_ground_truth.txt, 370d5dd); train is what is left of 280 157 in all (jindongwang/transferlearning,
    # data/dataset.md, f951df1) without it and the 72 372 of the challenge's test (classification/data/image_list.txt)
    counts={"train": 152397, "validation": 55388},
    metric="macro_recall",
    source="http://ai.bu.edu/visda-2017",
    licence="none stated where its addresses were read; for research, see the source",
    paper="peng2017visda",
    class_aliases={"synthetic": "train", "real": "validation"},
    downloads=(
        Download("train.tgz", ("https://cloud.tsinghua.edu.cn/f/c5f3ce59139144ec8221/?dl=1",), STATED),
        Download("validation.tgz", ("https://cloud.tsinghua.edu.cn/f/da70e4b1cf514ecea562/?dl=1",), STATED),
    ),
)
