"""UCIHAR in AdaTime's form: windows of sensors, a domain per person."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="har",
    title="UCIHAR in AdaTime's form: 6 activities, 9 channels of 128 steps; its 10 pairs: 2->11 6->23 7->13 …",
    kind="features",
    classes=("walk", "upstairs", "downstairs", "sit", "stand", "lie"),
    source="https://researchdata.ntu.edu.sg/dataset.xhtml?persistentId=doi:10.21979/N9/0SYHTZ",
    licence="none stated where its address was read; see the source",
    paper="ragab2023adatime",
    metric="macro_f1",
    class_aliases={"0": "walk", "1": "upstairs", "2": "downstairs", "3": "sit", "4": "stand", "5": "lie"},
    by_hand="press Download on the page of doi:10.21979/N9/0SYHTZ at researchdata.ntu.edu.sg (train_0.pt, test_0.pt …; "
    "AdaTime's README.md, 2d9be6b), and make one file of the folder: dalib data pack FOLDER --out har.npz",
)
