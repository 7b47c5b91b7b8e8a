"""CIFAR-10 and STL-10: the nine classes that both have, small photographs and larger ones."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="cifar_stl",
    title="CIFAR-10 and STL-10: 9 classes that both have, 54 000 and 11 700 images with labels",
    domains=("cifar", "stl"),
    classes=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "ship", "truck"),
    counts={"cifar": 54000, "stl": 11700},
    source="https://www.cs.toronto.edu/~kriz/cifar.html and https://cs.stanford.edu/~acoates/stl10",
    licence="none stated where their addresses were read; see the sources",
    paper="coates2011analysis",
    class_aliases={
        "000_airplane": "airplane",
        "001_bird": "bird",
        "002_car": "car",
        "003_cat": "cat",
        "004_deer": "deer",
        "005_dog": "dog",
        "006_horse": "horse",
        "007_ship": "ship",
        "008_truck": "truck",
        "automobile": "car",
    },
    by_hand="torchvision fetches both; datasets/da/cifar_stl.py of KaiyangZhou/Dassl.pytorch (c61a1b5) writes them as "
    "cifar/train/000_airplane, cifar/test/… and the same of stl, of the shared classes (no frog, no monkey)",
)
