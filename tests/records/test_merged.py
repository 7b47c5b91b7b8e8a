"""Result files of several people in one table: joined by key, told apart by settings, conflicts named."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import dalib
from dalib.cli import main
from dalib.core.checksum import seal_lines
from dalib.core.errors import DalibError
from dalib.records.merged import Merged
from dalib.records.spec import DataSpec
from dalib.train.config import TrainConfig
from tests.support.report_shelf import FAILED, Shelf

TASK, OTHER = "amazon->webcam", "webcam->amazon"


def write(shelf: Shelf, path: Path) -> Path:
    lines = [shelf.toy.model_dump_json(), *(r.model_dump_json() for r in shelf.records.values())]
    path.write_bytes(seal_lines(("\n".join(lines) + "\n").encode()))
    return path


def shelf(**manifest: Any) -> Shelf:
    return Shelf(**manifest).put("source_only", TASK, [0.6, 0.62]).put("source_only", OTHER, [0.5, 0.52])


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write(shelf().put("mcc", TASK, [0.7, 0.72]).put("mcc", OTHER, [0.6, 0.62]), tmp_path / "first.jsonl")


def rows(*paths: Path, **how: Any) -> dict[str, list[dict[int, float]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = dalib.table(list(paths), **how)
    return {row.label: [cell.values for cell in row.cells.values()] for row in table.rows}


def test_rows_of_others_join_and_runs_that_all_have_count_once(first: Path, tmp_path: Path) -> None:
    second = write(shelf().put("dann", TASK, [0.75, 0.71]).put("dann", OTHER, [0.66, 0.6]), tmp_path / "second.jsonl")
    found = rows(first, second)
    assert set(found) == {"source_only", "mcc", "dann"}
    assert found["source_only"] == [{0: 0.6, 1: 0.62}, {0: 0.5, 1: 0.52}]
    assert found["dann"] == [{0: 0.75, 1: 0.71}, {0: 0.66, 1: 0.6}]
    assert found == {label: rows(second, first)[label] for label in found}, "the order of files changes no number"
    assert "from first and second" in dalib.table([first, second]).caption


def test_seeds_of_one_row_add_up(first: Path, tmp_path: Path) -> None:
    more = Shelf().put("mcc", TASK, ["missing", "missing", 0.9]).put("mcc", OTHER, ["missing", "missing", 0.8])
    more.toy.runs = [cell for cell in more.toy.runs if cell.seed == 2]
    found = rows(first, write(more, tmp_path / "more.jsonl"))
    assert found["mcc"] == [{0: 0.7, 1: 0.72, 2: 0.9}, {0: 0.6, 1: 0.62, 2: 0.8}]


def test_other_numbers_under_one_key_are_named_and_the_first_file_counts(first: Path, tmp_path: Path) -> None:
    second = write(Shelf().put("mcc", TASK, [0.7, 0.79]).put("mcc", OTHER, [0.6, 0.62]), tmp_path / "second.jsonl")
    merged = Merged([first, second])
    assert merged.conflicts == [f"mcc {TASK} seed 1: 0.7200 in first, 0.7900 in second"]
    with pytest.warns(UserWarning, match="other numbers under one key: mcc amazon->webcam seed 1: 0.7200 in first"):
        table = dalib.table([first, second])
    row = next(row for row in table.rows if row.label == "mcc")
    assert row.cells[TASK].values == {0: 0.7, 1: 0.72}
    assert "of which 1 run in several with other numbers: those of the first count" in table.caption
    with pytest.warns(UserWarning, match="other numbers"):
        swapped = dalib.table([second, first])
    assert next(row for row in swapped.rows if row.label == "mcc").cells[TASK].values == {0: 0.7, 1: 0.79}


def test_a_success_counts_before_a_failure_whichever_file_it_is_in(first: Path, tmp_path: Path) -> None:
    failed = write(Shelf().put("mcc", TASK, [FAILED, FAILED]).put("mcc", OTHER, [FAILED, 0.62]), tmp_path / "f.jsonl")
    for paths in ((first, failed), (failed, first)):
        assert rows(*paths)["mcc"] == [{0: 0.7, 1: 0.72}, {0: 0.6, 1: 0.62}]


def test_a_row_of_other_settings_keeps_a_name_of_its_own(first: Path, tmp_path: Path) -> None:
    """Even where no task and seed is in both files."""
    other = Shelf().put("mcc", TASK, ["missing", "missing", 0.9], algorithm="bnm")
    other.toy.runs = [cell for cell in other.toy.runs if cell.seed == 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        merged = Merged([first, write(other, tmp_path / "theirs.jsonl")])
    labels = {(cell.label, cell.seed) for cell in merged.manifest().runs if "mcc" in cell.label}
    assert labels == {("mcc", 0), ("mcc", 1), ("mcc (theirs)", 2)}


def test_a_row_of_other_settings_is_shown_where_the_first_file_has_no_run_of_it(tmp_path: Path) -> None:
    planned = write(shelf().put("mcc", TASK, ["missing", "missing"]), tmp_path / "planned.jsonl")
    other = write(Shelf().put("mcc", TASK, [0.7, 0.8], algorithm="bnm"), tmp_path / "theirs.jsonl")
    found = rows(planned, other)
    assert found["mcc (theirs)"][0] == {0: 0.7, 1: 0.8} and found["mcc"][0] == {}


@pytest.mark.parametrize("seeds", [(0, 1), (2, 3)])
def test_a_row_under_another_version_of_the_recipe_keeps_a_name_of_its_own(
    first: Path, tmp_path: Path, seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is in the key alone. Its numbers had been left out, or, of other seeds, been the same row's."""
    with monkeypatch.context() as patch:
        patch.setattr(TrainConfig, "VERSION", 1)
        old = Shelf().put("mcc", TASK, [0.8, 0.9, 0.8, 0.9])
    old.toy.runs = [cell for cell in old.toy.runs if cell.seed in seeds]
    found = rows(first, write(old, tmp_path / "old.jsonl"))
    assert found["mcc"][0] == {0: 0.7, 1: 0.72}
    assert found["mcc (old)"][0] == dict(zip(seeds, (0.8, 0.9), strict=True))


def test_a_third_file_of_the_first_ones_settings_joins_its_row(first: Path, tmp_path: Path) -> None:
    def seed(n: int, name: str, **spec: Any) -> Path:
        made = Shelf().put("mcc", TASK, [*["missing"] * n, 0.9], **spec)
        made.toy.runs = [cell for cell in made.toy.runs if cell.seed == n]
        return write(made, tmp_path / f"{name}.jsonl")

    paths = [first, seed(2, "theirs", algorithm="bnm"), seed(3, "ours"), seed(4, "later", algorithm="bnm")]
    found = {(c.label, c.seed) for c in Merged(paths).manifest().runs if "mcc" in c.label and c.task == TASK}
    assert found == {("mcc", 0), ("mcc", 1), ("mcc (theirs)", 2), ("mcc", 3), ("mcc (later)", 4)}


def test_domains_that_the_first_file_lacks_are_added_and_fewer_rows_are_other_data(first: Path, tmp_path: Path) -> None:
    counts = Merged([first]).manifest().counts
    more = write(Shelf(counts={**counts, "caltech": 9}).put("dann", TASK, [0.7]), tmp_path / "more.jsonl")
    assert Merged([first, more]).manifest().counts == {**counts, "caltech": 9}
    fewer = write(Shelf(counts={"amazon": 7}).put("dann", TASK, [0.7]), tmp_path / "fewer.jsonl")
    with pytest.raises(DalibError, match="amazon of office31 has 1000 rows in first and 7 in fewer"):
        Merged([first, fewer])


@pytest.mark.parametrize(
    ("manifest", "spec", "message"),
    [
        ({"dataset": "mini_office"}, {}, "first is of office31 and other of mini_office; one table holds one data set"),
        ({"counts": {"amazon": 2817}}, {}, "amazon of office31 has 1000 rows in first and 2817 in other"),
        ({"metric": "target_macro_f1"}, {}, r"shows target_accuracy and other target_macro_f1; say which one"),
        ({"sweep": "shots"}, {}, "first sweeps nothing and other shots"),
    ],
)
def test_files_that_do_not_compare_are_refused(
    manifest: dict[str, Any], spec: dict[str, Any], message: str, first: Path, tmp_path: Path
) -> None:
    other = write(Shelf(**manifest).put("dann", TASK, [0.7], **spec), tmp_path / "other.jsonl")
    with pytest.raises(DalibError, match=message):
        dalib.table([first, other])


def test_rows_of_other_content_are_refused(tmp_path: Path) -> None:
    paths = [
        write(Shelf().put(a, TASK, [0.7], data=DataSpec(dataset="office31", fingerprint=p)), tmp_path / f"{a}.jsonl")
        for a, p in (("mcc", "11"), ("dann", "22"))
    ]
    with pytest.raises(DalibError, match="the rows of office31 differ in content between mcc and dann"):
        dalib.table(paths)


def test_the_command_merges_what_export_wrote(first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = write(shelf().put("dann", TASK, [0.75, 0.71]).put("dann", OTHER, [0.66, 0.6]), tmp_path / "second.jsonl")
    assert main(["table", str(first), str(second), "--format", "md"]) == 0
    text = capsys.readouterr().out
    assert "mcc" in text and "dann" in text
    assert main(["table", str(first), "--format", "csv"]) == 0
    assert "dann" not in capsys.readouterr().out
    for words, message in (
        ([str(first), "office31"], "is made of their archives, and office31 is none"),
        ([str(first), str(first)], "is given twice"),
        ([str(first), str(tmp_path / "gone.jsonl")], "no archive"),
        ([str(first), "--records", str(first)], "leave --records"),
    ):
        assert main(["table", *words]) == 2
        assert message in capsys.readouterr().err
