"""VLCS: five classes of photographs in four older data sets, as DomainBed puts them together."""

from dalib.core.dataset import DatasetInfo, Download

STATED = "facebookresearch/DomainBed, domainbed/scripts/download.py and misc/vlcs_files.txt (b93c22a)"

DATASET = DatasetInfo(
    name="vlcs",
    title="VLCS as in DomainBed: 10 729 images, 5 classes, 4 domains",
    domains=("Caltech101", "LabelMe", "SUN09", "VOC2007"),
    classes=("bird", "car", "chair", "dog", "person"),
    counts={"Caltech101": 1415, "LabelMe": 2656, "SUN09": 3282, "VOC2007": 3376},
    source="http://www.eecs.qmul.ac.uk/~dl307/project_iccv2017",
    licence="none stated where its address was read; for research, see the source",
    paper="fang2013unbiased",
    downloads=(
        Download(
            "VLCS.tar.gz",
            ("https://drive.google.com/uc?id=1skwblH1_okBwxWxmRsp9_qi15hyPpxg8",),
            STATED,
            by_hand="open it in a browser, press Download, and put VLCS.tar.gz into fetched/vlcs beside folder vlcs",
        ),
    ),
)
