"""20 Newsgroups: messages told by their topic, where source and target are of different groups of each topic."""

from dalib.core.dataset import DatasetInfo, Download

GROUPS = {
    "first": ("comp.graphics", "rec.autos", "sci.crypt", "talk.politics.guns"),
    "second": ("comp.os.ms-windows.misc", "rec.motorcycles", "sci.electronics", "talk.politics.mideast"),
    "third": ("comp.sys.ibm.pc.hardware", "rec.sport.baseball", "sci.med", "talk.politics.misc"),
    "fourth": ("comp.sys.mac.hardware", "rec.sport.hockey", "sci.space", "talk.religion.misc"),
}
"""Domain -> the group that each class is there. comp, rec and sci as in load_comp_vs_rec.m, load_rec_vs_sci.m and
load_sci_vs_comp.m of hnjzlishuang/DAM (ac51f03), whose target is the fourth; the four groups of talk, in their order.
"""

DATASET = DatasetInfo(
    name="twenty_newsgroups",
    title="20 Newsgroups by date: 4 topics, 4 domains of a group of each; tasks take two topics",
    kind="features",
    domains=tuple(GROUPS),
    classes=("comp", "rec", "sci", "talk"),
    # stated, not tried: huggingface/datasets, datasets/newsgroup/README.md (040102f), bydate_GROUP, train and test
    counts={"first": 3864, "second": 3905, "third": 3741, "fourth": 3577},
    source="http://qwone.com/~jason/20Newsgroups (20news-bydate.tar.gz)",
    licence="unknown, says the card in huggingface/datasets, datasets/newsgroup/README.md (040102f)",
    paper="duan2012dam",
    downloads=(
        Download(
            "20news-bydate.tar.gz",
            (
                "https://ndownloader.figshare.com/files/5975967",
                "https://people.csail.mit.edu/jrennie/20Newsgroups/20news-bydate.tar.gz",
            ),
            "scikit-learn/scikit-learn, sklearn/datasets/_twenty_newsgroups.py (fbf12e3)",
            digest="sha256:8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
        ),
    ),
    packed=".",
)
