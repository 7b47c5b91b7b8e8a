"""CUB-200: 200 kinds of birds as photographs and as paintings."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="cub_paintings",
    title="CUB-200-2011 and CUB-200-Painting: 200 kinds of birds, 11 788 photographs, and paintings",
    domains=("photographs", "paintings"),
    class_count=200,
    source="http://www.vision.caltech.edu/visipedia/CUB-200-2011.html and https://github.com/thuml/PAN",
    licence="none stated where their addresses were read; for research, see the sources",
    paper="wang2020pan",
    class_aliases={
        "CUB_200_2011": "photographs",
        "CUB-200-2011": "photographs",
        "CUB-200-Painting": "paintings",
        "CUB_200_Painting": "paintings",
    },
    by_hand="lay the class folders (001.Black_footed_Albatross …) of both sets side by side, as photographs and "
    "paintings",
)
