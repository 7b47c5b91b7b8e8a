"""Texts in folders of groups, as 20news-bydate.tar.gz unpacks, as features of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.packing import Arrays
from dalib.datasets.twenty_newsgroups import DATASET, GROUPS

PARTS = ("20news-bydate-train", "20news-bydate-test")
WORD = r"[a-z]{2,}"


def arrays_of_newsgroups(folder: str | Path, words: int = 5000) -> Arrays:
    """20 Newsgroups by date, `20news-bydate-train/GROUP/NUMBER` and `20news-bydate-test/GROUP/NUMBER`, as tf-idf.

    A row is a whole message, headers included, as the archive has them. Its columns are the `words` words (two letters
    a to z or more, in lower case) that are in most messages of all domains, but neither in one only nor in more than
    half of them: f (1 + ln((1 + n) / (1 + d))), for f times in the message and d of n messages that have the word, then
    divided by the row's length. No label is looked at.

    Raises
        DalibError: a group that is not there or empty, no word that counts
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.preprocessing import normalize

    files, labels = _list_messages(Path(folder))
    counter = CountVectorizer(token_pattern=WORD, dtype=np.float64)
    paths = [path for of_domain in files.values() for path in of_domain]
    try:
        counts = counter.fit_transform(path.read_text(encoding="latin-1") for path in paths)
    except ValueError as error:  # no word in any of them
        raise DalibError(f"{folder} holds messages without words ({error})") from error
    seen = np.bincount(counts.indices, minlength=counts.shape[1])
    usable = np.flatnonzero((seen > 1) & (seen <= len(paths) / 2))
    kept = np.sort(usable[np.argsort(-seen[usable], kind="stable")[:words]])
    if not len(kept):
        raise DalibError(f"{folder} has no word that is in two messages and in no more than half of them")
    rarity = 1 + np.log((1 + len(paths)) / (1 + seen[kept]))
    rows = normalize(counts[:, kept].multiply(rarity)).tocsr().astype(np.float32)
    arrays: Arrays = {
        "classes": np.array(DATASET.classes),
        "columns": counter.get_feature_names_out()[kept].astype(str),
    }
    start = 0
    for domain, of_domain in files.items():
        end = start + len(of_domain)
        arrays[f"{domain}_x"], arrays[f"{domain}_y"] = rows[start:end].toarray(), labels[domain]
        arrays[f"{domain}_names"] = np.array([path.relative_to(folder).as_posix() for path in of_domain])
        start = end
    return arrays


def _list_messages(folder: Path) -> tuple[dict[str, list[Path]], dict[str, np.ndarray]]:
    """(domain -> messages, training before test and by number; domain -> their labels)."""
    files: dict[str, list[Path]] = {}
    labels: dict[str, np.ndarray] = {}
    for domain, groups in GROUPS.items():
        files[domain], y = [], []
        for label, group in enumerate(groups):
            for part in PARTS:
                place = folder / part / group
                found = sorted((p for p in place.glob("[!.]*") if p.is_file()), key=lambda p: (len(p.name), p.name))
                if not found:
                    raise DalibError(f"{folder} has no messages in {part}/{group}; unpack 20news-bydate.tar.gz there")
                files[domain] += found
                y += [label] * len(found)
        labels[domain] = np.array(y)
    return files, labels
