"""HHAR in AdaTime's form: windows of sensors, a domain per person."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="hhar",
    title="HHAR in AdaTime's form: 6 activities, 3 channels of 128 steps; its 10 pairs: 0->6 1->6 2->7 …",
    kind="features",
    classes=("bike", "sit", "stand", "walk", "stairs_up", "stairs_down"),
    source="https://researchdata.ntu.edu.sg/dataset.xhtml?persistentId=doi:10.21979/N9/OWDFXO",
    licence="none stated where its address was read; see the source",
    paper="ragab2023adatime",
    metric="macro_f1",
    class_aliases={"0": "bike", "1": "sit", "2": "stand", "3": "walk", "4": "stairs_up", "5": "stairs_down"},
    by_hand="press Download on the page of doi:10.21979/N9/OWDFXO at researchdata.ntu.edu.sg (train_0.pt, test_0.pt …; "
    "AdaTime's README.md, 2d9be6b), and make one file of the folder: dalib data pack FOLDER --out hhar.npz",
)
