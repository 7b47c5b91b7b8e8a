"""Handwritten digits: MNIST's test images and USPS, in two domains."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="digits",
    title="Digits: the 10 000 test images of MNIST and all 9 298 of USPS, 10 classes",
    kind="arrays",
    domains=("mnist", "usps"),
    classes=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    counts={"mnist": 10000, "usps": 9298},
    source="http://yann.lecun.com/exdb/mnist and https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets (usps)",
    licence="MNIST: CC BY-SA 3.0; USPS: none stated, distributed for research",
    paper="lecun1998gradient",
)
