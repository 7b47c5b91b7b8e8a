"""miniDomainNet: 126 classes and four domains of DomainNet, cut by Dassl's lists."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="mini_domainnet",
    title="miniDomainNet (Zhou et al.): 126 classes, 4 domains of DomainNet, cut by the lists of splits_mini",
    domains=("clipart", "painting", "real", "sketch"),
    source="https://github.com/KaiyangZhou/Dassl.pytorch (DATASETS.md), images of http://ai.bu.edu/M3SDA",
    licence="none stated where its address was read; for research, see the source",
    paper="peng2019m3sda",
    class_aliases={"domainnet": "mini_domainnet"},
    lists=("splits_mini/{domain}_train.txt", "splits_mini/{domain}_test.txt"),
    by_hand="get domainnet, and unpack the splits of https://drive.google.com/open?id=15rrLDCrzyi6ZY-1vJar3u7plgLe4COL7"
    " (a page with a button; KaiyangZhou/Dassl.pytorch, DATASETS.md, c61a1b5) into its folder splits_mini",
)
