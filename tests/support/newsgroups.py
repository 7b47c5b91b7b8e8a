"""20 Newsgroups in small, laid out as 20news-bydate.tar.gz unpacks."""

from __future__ import annotations

from dalib.data.newsgroups import PARTS
from dalib.datasets.twenty_newsgroups import GROUPS

OTHERS = ("alt.atheism", "comp.windows.x", "misc.forsale", "soc.religion.christian")
"""Groups that belong to no domain."""


def newsgroup_files() -> dict[str, bytes]:
    """path -> message: one of every group in each part; words of the topic, of the domain, and one in all."""
    made = {f"{part}/{group}/7": b"From: nobody\n\nelsewhere elsewhere\n" for part in PARTS for group in OTHERS}
    for domain, groups in GROUPS.items():
        for group in groups:
            topic = group.partition(".")[0]
            for number, part in enumerate(PARTS):
                text = f"From: a{number}\n\n{topic.title()} {topic}, {domain}-caf\xe9 {group} x everywhere\n"
                made[f"{part}/{group}/{10 - number}"] = text.encode("latin-1")
    return made
