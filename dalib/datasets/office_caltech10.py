"""Office-Caltech10: the 10 classes that Office-31 and Caltech-256 share, in 4 domains."""

from dalib.core.dataset import DatasetInfo, Download

STATED = "thuml/Transfer-Learning-Library, tllib/vision/datasets/officecaltech.py (c4aa59e)"

DATASET = DatasetInfo(
    name="office_caltech10",
    title="Office-Caltech10 (Gong et al., CVPR 2012): 2 533 images, 10 classes, 4 domains",
    domains=("amazon", "caltech", "dslr", "webcam"),
    classes=(
        "backpack",
        "bike",
        "calculator",
        "headphones",
        "keyboard",
        "laptop",
        "monitor",
        "mouse",
        "mug",
        "projector",
    ),
    counts={"amazon": 958, "caltech": 1123, "dslr": 157, "webcam": 295},
    source="https://github.com/jindongwang/transferlearning/tree/master/data (Office+Caltech, original images)",
    licence="no licence stated; compiled from Office-31 and Caltech-256 for research",
    paper="gong2012gfk",
    class_aliases={
        "caltech10": "caltech",
        "caltech256": "caltech",
        "touring_bike": "bike",
        "head_phones": "headphones",
        "computer_keyboard": "keyboard",
        "laptop_101": "laptop",
        "laptop_computer": "laptop",
        "computer_monitor": "monitor",
        "computer_mouse": "mouse",
        "coffee_mug": "mug",
        "video_projector": "projector",
        "office_caltech": "office_caltech10",
    },
    downloads=(
        Download(
            "office-caltech.tgz",
            ("https://cloud.tsinghua.edu.cn/f/eea518fa781a41d1b20e/?dl=1",),
            STATED,
        ),
    ),
)
