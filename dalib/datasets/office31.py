"""Office-31: 31 office objects as Amazon product shots, DSLR photographs and webcam pictures."""

from dalib.core.dataset import DatasetInfo, Download

STATED = "thuml/Transfer-Learning-Library, tllib/vision/datasets/office31.py (c4aa59e)"

DATASET = DatasetInfo(
    name="office31",
    title="Office-31 (Saenko et al., ECCV 2010): 4 110 images, 31 classes, 3 domains",
    domains=("amazon", "dslr", "webcam"),
    classes=(
        "back_pack",
        "bike",
        "bike_helmet",
        "bookcase",
        "bottle",
        "calculator",
        "desk_chair",
        "desk_lamp",
        "desktop_computer",
        "file_cabinet",
        "headphones",
        "keyboard",
        "laptop_computer",
        "letter_tray",
        "mobile_phone",
        "monitor",
        "mouse",
        "mug",
        "paper_notebook",
        "pen",
        "phone",
        "printer",
        "projector",
        "punchers",
        "ring_binder",
        "ruler",
        "scissors",
        "speaker",
        "stapler",
        "tape_dispenser",
        "trash_can",
    ),
    counts={"amazon": 2817, "dslr": 498, "webcam": 795},
    source="https://faculty.cc.gatech.edu/~judy/domainadapt (archive domain_adaptation_images)",
    licence="no licence stated; published for research, product pictures belong to their owners",
    paper="saenko2010adapting",
    class_aliases={"domain_adaptation_images": "office31"},
    downloads=(
        Download(
            "amazon.tgz",
            ("https://cloud.tsinghua.edu.cn/f/ec12dfcddade43ab8101/?dl=1",),
            STATED,
        ),
        Download(
            "dslr.tgz",
            ("https://cloud.tsinghua.edu.cn/f/a41d818ae2f34da7bb32/?dl=1",),
            STATED,
        ),
        Download(
            "webcam.tgz",
            ("https://cloud.tsinghua.edu.cn/f/8a41009a166e4131adcd/?dl=1",),
            STATED,
        ),
    ),
)
