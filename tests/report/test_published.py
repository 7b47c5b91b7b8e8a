import io
import math
import subprocess
import sys

import pandas as pd
import pytest

from dalib.report.layout import lay_out
from dalib.report.published import add_published, is_checked, published_rows
from dalib.report.render import render
from dalib.report.table import build_table
from tests.support.report_shelf import Shelf


def test_tasks_carry_our_names_and_methods_our_algorithms() -> None:
    rows = published_rows("office31", "resnet50")
    dan = rows[(rows["method"] == "dan") & (rows["kind"] == "paper")].iloc[0]
    assert dan["algorithm"] == "mmd"
    assert (dan["amazon->webcam"], dan["average"]) == (80.5, 80.4)
    tasks = [name for name in rows.columns if "->" in name]
    assert len(tasks) == 6 and rows["reported_by"].notna().all()


def test_six_task_averages_are_those_of_their_rows() -> None:
    rows = published_rows("office31")
    tasks = [name for name in rows.columns if "->" in name]
    whole = rows[rows[tasks].notna().all(axis=1) & rows["average"].notna()]
    assert len(whole) > 40
    assert (whole[tasks].mean(axis=1) - whole["average"]).abs().median() < 0.06


def test_mada_is_as_its_printed_mean_needs() -> None:
    row = published_rows("office31").set_index("method").loc["mada"]
    tasks = [name for name in row.index if "->" in name]
    assert row["amazon->webcam"] == 90.0 and row["average"] == 85.2
    assert row[tasks].sum() == pytest.approx(511.5)


def test_every_row_says_against_what_it_was_checked() -> None:
    rows = pd.concat([published_rows("office31"), published_rows("digits")])
    ways = ("source", "printed by ", "average in ", "no")
    assert rows["checked"].map(lambda text: text.startswith(ways)).all()
    known = rows["checked"].map(is_checked)
    paper = rows["kind"] == "paper"
    assert set(rows[paper & ~known]["method"]) >= {
        "homm",
        "etd",
        "safn_ent",
        "alda",
        "gvb",
        "rwot",
        "srdc",
        "mada",
        "dan",
    }
    read = rows[known & ~paper].groupby("reported_by")["method"].agg(set)
    assert read["hankyul2 3-run rerun"] >= {"shot", "fixbi"} and "cdan" in read["Transfer-Learning-Library"]


def test_tables_mark_what_was_not_checked(shelf: Shelf) -> None:
    for task in ("amazon->webcam", "webcam->amazon"):
        shelf.put("gvb", task, [0.6, 0.6])
    table = add_published(build_table(shelf, "toy"))
    names = [row[0].text for block in lay_out(table)[1] for row in block.rows]
    assert "gvb [GVB-GD] °" in names and "mmd [DAN] °" in names and "mmd [DeepDA]" in names
    assert "° was not read where it was printed" in table.published_note
    frame = pd.read_csv(io.StringIO(render(table, "csv")))
    sources = frame.dropna(subset="reported_by").groupby("label")["reported_by"].agg(set)
    assert sources["gvb"] == {"GVB-GD; not checked"} and {"DAN; not checked", "DeepDA"} <= sources["dan"]


def test_digits_have_their_two_tasks_and_say_what_differs(shelf: Shelf) -> None:
    rows = published_rows("digits")
    assert [name for name in rows.columns if "->" in name] == ["mnist->usps", "usps->mnist"]
    mcd = rows[rows["method"] == "mcd"].iloc[0]
    assert (mcd["mnist->usps"], mcd["usps->mnist"]) == (94.2, 94.1)
    assert ((rows["mnist->usps"] + rows["usps->mnist"]) / 2 - rows["average"]).abs().max() < 0.051
    shelf.toy.dataset = "digits"
    assert "MNIST is its 10 000 test images" in add_published(build_table(shelf, "toy")).published_note


def test_an_unknown_data_set_or_backbone_has_no_rows(shelf: Shelf) -> None:
    assert published_rows("mini_office").empty
    assert published_rows("office31", "alexnet").empty
    shelf.toy.dataset = "mini_office"
    table = add_published(build_table(shelf, "toy"))
    assert table.published is None
    assert table.published_note == "No published numbers are kept for mini_office."
    assert table.published_note in render(table, "md")


def test_published_rows_stand_apart_unranked_and_never_bold(shelf: Shelf) -> None:
    plain, table = build_table(shelf, "toy"), add_published(build_table(shelf, "toy"))
    _, alone = lay_out(plain)
    header, blocks = lay_out(table)
    assert blocks[: len(alone)] == alone
    titles = [block.title for block in blocks[len(alone) :]]
    assert [title.partition(":")[0] for title in titles] == ["Published by papers", "Published re-runs by others"]
    cells = [row for block in blocks[len(alone) :] for row in block.rows]
    assert not any(cell.bold for row in cells for cell in row)
    assert all(row[header.index("Rank")].text == "" for row in cells)
    assert any(row[0].text.startswith("mmd [DAN") and row[1].text == "80.5" for row in cells)
    assert not any(row[0].text.startswith("mcc") for row in cells)


def test_the_average_is_over_the_tasks_shown(shelf: Shelf) -> None:
    table = add_published(build_table(shelf, "toy"))
    assert table.published is not None
    dan = table.published[(table.published["method"] == "dan") & (table.published["kind"] == "paper")].iloc[0]
    assert dan["average"] == pytest.approx((80.5 + 62.8) / 2)
    assert "over the tasks shown" in table.published_note
    assert "target test labels" in table.published_note and "resnet50" in table.published_note


def test_csv_tells_published_rows_by_their_kind(shelf: Shelf) -> None:
    frame = pd.read_csv(io.StringIO(render(add_published(build_table(shelf, "toy")), "csv")))
    assert set(frame["kind"]) == {"run", "reference", "paper", "rerun"}
    dan = frame[(frame["label"] == "dan") & (frame["task"] == "amazon->webcam") & (frame["kind"] == "paper")].iloc[0]
    assert dan["mean"] == 80.5 and math.isnan(dan["n_ok"]) and isinstance(dan["reported_by"], str)


def test_reports_do_not_load_torch() -> None:
    code = "import sys, dalib.report.render, dalib.report.per_class; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
