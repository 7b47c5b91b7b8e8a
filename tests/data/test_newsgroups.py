"""20 Newsgroups: messages in folders of groups become rows, classes and domains."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.data.catalog import load_data
from dalib.data.file_kinds import pack_files
from dalib.data.newsgroups import PARTS, arrays_of_newsgroups
from dalib.data.tasks import make_task
from dalib.datasets.twenty_newsgroups import DATASET, GROUPS
from tests.support.image_sets import write_folder
from tests.support.newsgroups import newsgroup_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "news", newsgroup_files())


def test_rows_are_the_words_weights_of_their_messages(folder: Path) -> None:
    made = arrays_of_newsgroups(folder)
    bags = {}
    for domain, groups in GROUPS.items():
        for group in groups:
            for part in PARTS:
                (path,) = (folder / part / group).iterdir()
                words = re.findall("[a-z]{2,}", path.read_text(encoding="latin-1").lower())
                bags[domain, path.relative_to(folder).as_posix()] = Counter(words)
    n, seen = len(bags), Counter(word for bag in bags.values() for word in bag)
    kept = sorted(word for word, d in seen.items() if 1 < d <= n / 2)
    assert made["columns"].tolist() == kept and "everywhere" not in kept and "caf" not in kept and "comp" in kept
    rows = {(d, name): x for d in GROUPS for name, x in zip(made[f"{d}_names"], made[f"{d}_x"], strict=True)}
    assert set(rows) == set(bags)
    for key, bag in bags.items():
        weights = np.array([bag[w] * (1 + math.log((1 + n) / (1 + seen[w]))) for w in kept])
        np.testing.assert_allclose(rows[key], weights / math.sqrt(sum(weights**2)), rtol=1e-6)


def test_as_many_words_as_are_asked_for_the_most_frequent_first(folder: Path) -> None:
    made = arrays_of_newsgroups(folder, words=8)  # in eight messages each
    assert made["columns"].tolist() == sorted((*DATASET.classes, *GROUPS))
    topics = [made["columns"].tolist().index(name) for name in DATASET.classes]
    np.testing.assert_array_equal(made["first_x"][:, topics].argmax(1), made["first_y"])
    few = arrays_of_newsgroups(folder, words=2)
    assert few["columns"].tolist() == ["comp", "first"] and not few["second_x"][-1].any()  # equals: by the alphabet


def test_the_folder_becomes_the_declared_set_and_its_usual_task(folder: Path, tmp_path: Path) -> None:
    assert pack_files([folder], tmp_path / "twenty_newsgroups.npz").labelled == dict.fromkeys(GROUPS, 8)
    with pytest.raises(DalibError, match="first 8 of 3864 rows"):
        load_data("twenty_newsgroups", tmp_path)
    data = load_data("twenty_newsgroups", tmp_path, partial=True)
    assert data.domains == tuple(GROUPS) and data.classes == DATASET.classes
    named = dict(zip(data.domain("fourth").files, data.domain("fourth").labels.tolist(), strict=True))
    assert named["20news-bydate-train/sci.space/10"] == named["20news-bydate-test/sci.space/9"] == 2
    two = ("comp", "rec")
    task = make_task(data, "first+second+third", "fourth", source_classes=two, target_classes=two, validation=0)
    assert task.classes == two and (len(task.labelled), len(task.test)) == (12, 4)


def test_a_group_that_is_not_there_is_named(folder: Path) -> None:
    for path in (folder / PARTS[1] / "sci.med").iterdir():
        path.unlink()
    with pytest.raises(DalibError, match=r"has no messages in 20news-bydate-test/sci\.med; unpack 20news-bydate"):
        pack_files([folder], folder / "out.npz")


def test_messages_without_words_that_count_are_told(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_text("always the same")
    with pytest.raises(DalibError, match="no word that is in two messages and in no more than half"):
        arrays_of_newsgroups(folder)
