"""Sleep-EDF in AdaTime's form: windows of sensors, a domain per person."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="sleep_edf",
    title="Sleep-EDF in AdaTime's form: 5 stages, 1 channel of 3 000 steps; its 10 pairs: 0->11 7->18 9->14 …",
    kind="features",
    classes=("W", "N1", "N2", "N3", "REM"),
    source="https://researchdata.ntu.edu.sg/dataset.xhtml?persistentId=doi:10.21979/N9/UD1IM9",
    licence="none stated where its address was read; see the source",
    paper="ragab2023adatime",
    metric="macro_f1",
    class_aliases={"0": "W", "1": "N1", "2": "N2", "3": "N3", "4": "REM"},
    by_hand="press Download on the page of doi:10.21979/N9/UD1IM9 at researchdata.ntu.edu.sg (train_0.pt, test_0.pt …; "
    "AdaTime's README.md, 2d9be6b), and make one file of the folder: dalib data pack FOLDER --out sleep_edf.npz",
)
