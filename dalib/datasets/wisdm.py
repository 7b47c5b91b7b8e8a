"""WISDM in AdaTime's form: windows of sensors, a domain per person."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="wisdm",
    title="WISDM in AdaTime's form: 6 activities, 3 channels of 128 steps; its 10 pairs: 7->18 20->30 35->31 …",
    kind="features",
    classes=("walk", "jog", "sit", "stand", "upstairs", "downstairs"),
    source="https://researchdata.ntu.edu.sg/dataset.xhtml?persistentId=doi:10.21979/N9/KJWE5B",
    licence="none stated where its address was read; see the source",
    paper="ragab2023adatime",
    metric="macro_f1",
    class_aliases={"0": "walk", "1": "jog", "2": "sit", "3": "stand", "4": "upstairs", "5": "downstairs"},
    by_hand="press Download on the page of doi:10.21979/N9/KJWE5B at researchdata.ntu.edu.sg (train_0.pt, test_0.pt …; "
    "AdaTime's README.md, 2d9be6b), and make one file of the folder: dalib data pack FOLDER --out wisdm.npz",
)
