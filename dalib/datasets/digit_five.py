"""Digit-Five: handwritten, house-number and synthetic digits, MNIST, MNIST-M, SVHN, SynDigits and USPS."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="digit_five",
    title="Digit-Five: 10 digits, 5 domains; papers draw 25 000 images to train on and 9 000 to test of all but usps",
    kind="arrays",
    domains=("mnist", "mnist_m", "svhn", "syn", "usps"),
    classes=tuple("0123456789"),
    # stated, not tried, training and test images together: MNIST in the source's datasets/mnist.py (00928e4; 55 000 and
    # 10 000), SVHN in tensorflow/datasets, docs/catalog/svhn_cropped.md (ce669a7; 73 257 and 26 032), USPS in
    # KaiyangZhou/Dassl.pytorch, dassl/data/datasets/da/digit5.py (c61a1b5). Nobody states the other two
    counts={"mnist": 65000, "svhn": 99289, "usps": 9298},
    source="https://github.com/VisionLearningGroup/VisionLearningGroup.github.io (M3SDA/code_MSDA_digit)",
    licence="none stated where its address was read; see the five sets",
    paper="peng2019m3sda",
    by_hand="fetch the folder Digit-Five of five .mat files (KaiyangZhou/Dassl.pytorch, DATASETS.md, c61a1b5; a page "
    "with a button) and make one file of it: dalib data pack Digit-Five --out digit_five.npz",
)
