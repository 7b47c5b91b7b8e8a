"""A sweep repeats rows over numbers of target labels, under names that say so."""

from __future__ import annotations

import pytest

from dalib.bench.plan import plan
from dalib.bench.suite import Suite, load_suite, pick_labels
from dalib.core.errors import DalibError
from dalib.records.manifest import Manifest

ROWS = """
[algorithms.few]
algorithm = "source_only"
protocol = { name = "semi_supervised" }
[algorithms.only]
algorithm = "source_only"
protocol = { name = "supervised" }
[algorithms.always_two]
algorithm = "dann"
protocol = { name = "semi_supervised", shots = 2 }
"""


def swept(suite_file, text: str) -> Suite:
    suite_file.write_text(suite_file.read_text() + ROWS + text)
    return load_suite(suite_file)


def test_every_row_is_repeated_under_one_split(suite_file):
    suite = swept(suite_file, "[sweep]\nshots = [1, 3]\n")
    assert list(suite.algorithms) == [
        "source_only@1", "source_only@3", "strong@1", "strong@3", "few@1", "few@3", "only@1", "only@3", "always_two",
    ]  # fmt: skip
    for row in ("source_only", "few", "only"):
        for k in (1, 3):
            protocol = suite.section(f"{row}@{k}", "protocol")
            assert (protocol.shots, protocol.split) == (k, "shots")
    assert suite.section("strong@3", "train").lr == 0.003 and suite.algorithms["strong@3"].hparams == {"weight": 0.5}
    assert suite.section("always_two", "protocol").shots == 2


@pytest.mark.parametrize(
    "text",
    [
        '[algorithms."few@1"]\nalgorithm = "dann"\n[sweep]\nshots = [1, 3]\n',
        "[sweep]\nfraction = [0.12345671, 0.12345672]\n",
    ],
)
def test_two_rows_of_one_label_are_refused(suite_file, text: str):
    """One had taken the other's place."""
    with pytest.raises(DalibError, match=r"has two rows called '(few@1|only@0.123457)', one of them of the sweep"):
        swept(suite_file, text)


def test_the_manifest_knows_row_and_value_of_each_cell(suite_file):
    planned = plan(swept(suite_file, "[sweep]\nshots = [1, 3]\n"))
    manifest = Manifest.model_validate_json(planned.manifest().model_dump_json())
    assert manifest.sweep == "shots" and manifest.baseline == "source_only@1"
    assert {(c.label, c.row, c.at) for c in manifest.runs if c.row == "few"} == {
        ("few@1", "few", 1),
        ("few@3", "few", 3),
    }
    assert {(c.row, c.at) for c in manifest.runs if c.label == "always_two"} == {("", 0.0)}
    assert len(set(manifest.keys)) == len(manifest.runs) == 9 * 2 * 3


def test_a_fraction_repeats_supervised_rows_only(suite_file):
    suite = swept(suite_file, "[sweep]\nfraction = [0.15, 1.0]\n[protocol]\nholdout = 0.25\n")
    assert list(suite.algorithms) == ["source_only", "strong", "few", "only@0.15", "only@1", "always_two"]
    assert suite.section("only@1", "protocol").fraction == 1.0


def test_a_swept_suite_read_again_is_the_same(suite_file):
    suite = swept(suite_file, "[sweep]\nshots = [1, 3]\n")
    again = Suite.model_validate(suite.model_dump())
    assert again.algorithms == suite.algorithms


def test_a_row_is_named_with_and_without_its_value(suite_file):
    suite = swept(suite_file, "[sweep]\nshots = [1, 3]\n")
    assert pick_labels(suite, ("few",)) == ["few@1", "few@3"]
    assert pick_labels(suite, ("few@3", "always_two")) == ["few@3", "always_two"]
    with pytest.raises(DalibError, match="no row named 'fw'; did you mean 'few'"):
        pick_labels(suite, ("fw",))
    assert plan(suite.model_copy(update={"baseline": "few"})).manifest().baseline == "few@1"


def test_without_a_sweep_cells_are_as_they_were(suite):
    manifest = plan(suite).manifest()
    assert manifest.sweep == "" and {(c.row, c.at) for c in manifest.runs} == {("", 0.0)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[sweep]\nshots = [1, 1]\n", "sweep holds 1 twice"),
        ("[sweep]\nshots = [1]\nfraction = [0.5]\n", "sweep is over shots and fraction at once"),
        ("[sweep]\nshots = [0]\n", "sweep.shots.0 = 0 should be greater than or equal to 1"),
        ("[sweep]\nshot = [1]\n", "no key 'shot' in [sweep]; did you mean 'shots'?"),
    ],
)
def test_a_mistake_in_a_sweep_is_one_line(suite_file, text, complaint):
    with pytest.raises(DalibError) as caught:
        swept(suite_file, text)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)
