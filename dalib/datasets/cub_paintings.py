"""CUB-200: 200 kinds of birds as photographs and as paintings."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="cub_paintings",
    title="CUB-200-2011 and CUB-200-Painting: 200 kinds of birds, 11 788 photographs, 3 047 paintings",
    domains=("photographs", "paintings"),
    class_count=200,
    # stated, not tried: thuml/PAN, dataset_list/cub200_2011.txt and cub200_drawing.txt (b5eb3a6)
    counts={"photographs": 11788, "paintings": 3047},
    source="http://www.vision.caltech.edu/visipedia/CUB-200-2011.html and https://github.com/thuml/PAN",
    licence="none stated where their addresses were read; for research, see the sources",
    paper="wang2020pan",
    class_aliases={
        "CUB_200_2011": "photographs",
        "CUB-200-2011": "photographs",
        "CUB-200-Painting": "paintings",
        "CUB_200_Painting": "paintings",
    },
    by_hand="fetch the paintings (https://drive.google.com/file/d/1G327KsD93eyGTjMmByuVy9sk4tlEOyK3/view, press "
    "Download; thuml/PAN, README.md, b5eb3a6) and lay the class folders (001.Black_footed_Albatross …) of both sets "
    "side by side, as photographs and paintings",
)
