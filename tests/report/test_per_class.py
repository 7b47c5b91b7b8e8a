import pytest

from dalib.core.errors import DalibError
from dalib.report.per_class import class_report, find_records, render_classes
from tests.support.report_shelf import FAILED, Shelf


def test_classes_come_worst_first_in_percent(shelf: Shelf) -> None:
    first, second = find_records(shelf, "toy", "mmd", "amazon->webcam")
    assert (first.spec.seed, second.spec.seed) == (0, 1)
    names = ("target_recall", "target_precision", "target_f1", "n")
    first.per_class = {
        "back_pack": dict(zip(names, (0.9, 0.5, 0.643, 29), strict=True)),
        "mug|cup": dict(zip(names, (0.25, 1.0, 0.4, 27), strict=True)),
    }
    report = class_report(first)
    assert list(report.index) == ["mug|cup", "back_pack"]
    assert list(report.loc["mug|cup"]) == pytest.approx([27, 25.0, 100.0, 40.0])
    text = render_classes(first)
    assert "| mug\\|cup  |  27 |   25.0 |     100.0 | 40.0 |" in text


def test_a_failed_run_and_an_unknown_cell_are_named(shelf: Shelf) -> None:
    shelf.put("mcc", "amazon->webcam", [FAILED])
    (failed,) = find_records(shelf, "toy", "mcc", "amazon->webcam")
    with pytest.raises(DalibError, match="mcc on amazon->webcam, seed 0, has no per-class numbers"):
        class_report(failed)
    with pytest.raises(DalibError, match="no row 'mcd' on task"):
        find_records(shelf, "toy", "mcd", "amazon->webcam")
