import math

import pytest

from dalib.core.errors import DalibError
from dalib.records.spec import BackboneSpec, DataSpec
from dalib.report.caption import word_rows
from dalib.report.layout import cell_text, lay_out, make_sheet
from dalib.report.scale import Scale
from dalib.report.table import TableCell, TableRow, build_table, short_columns
from dalib.report.tidy import tidy
from tests.support.report_shelf import FAILED, MISSING, Shelf, points


def rows(shelf: Shelf, **kwargs: object) -> dict[str, TableRow]:
    table = build_table(shelf, "toy", **kwargs)
    return {row.label: row for row in (*table.rows, *table.references)}


def test_mean_and_spread_agree_with_a_hand_computation(shelf: Shelf) -> None:
    cell = rows(shelf)["mmd"].cells["amazon->webcam"]
    assert cell.mean == pytest.approx(0.72)
    assert cell.std == pytest.approx(math.sqrt(2 * 0.02**2 / 1))


def test_the_average_is_over_seeds_of_the_average_over_tasks(shelf: Shelf) -> None:
    average = rows(shelf)["mmd"].average
    per_seed = [(0.70 + 0.50) / 2, (0.74 + 0.52) / 2]
    assert average.mean == pytest.approx(0.615)
    assert average.std == pytest.approx(abs(per_seed[0] - per_seed[1]) / math.sqrt(2))


def test_ranks_share_ties_and_leave_references_out(shelf: Shelf) -> None:
    found = rows(shelf)
    assert (found["mmd"].rank, found["source_only"].rank, found["dann"].rank) == (1.0, (2 + 2.5) / 2, (3 + 2.5) / 2)
    assert math.isnan(found["target_labels"].rank)


def test_gain_is_in_points_against_the_baseline_and_marks_negative_transfer(shelf: Shelf) -> None:
    header, blocks = lay_out(build_table(shelf, "toy"))
    column = header.index("vs source_only")
    assert [row[column].text for row in blocks[0].rows] == ["baseline", "+10.5", "−2.5 ▼"]


def test_an_average_that_differs_in_the_last_bit_is_not_below_the_baselines() -> None:
    toy = Shelf().put("source_only", "amazon->webcam", [0.6, 0.6]).put("source_only", "webcam->amazon", [0.2, 0.2])
    toy.put("mmd", "amazon->webcam", [0.7, 0.7]).put("mmd", "webcam->amazon", [0.1, 0.1])
    assert rows(toy)["mmd"].gain != 0
    header, blocks = lay_out(build_table(toy, "toy"))
    assert blocks[0].rows[1][header.index("vs source_only")].text == "+0.0"


def test_the_baseline_counts_even_when_it_is_not_shown(shelf: Shelf) -> None:
    table = build_table(shelf, "toy", algorithms=["mmd"])
    assert [row.label for row in table.rows] == ["mmd"]
    assert table.rows[0].gain == pytest.approx(0.105)
    assert table.rows[0].rank == 1.0


def test_the_best_is_bold_but_never_a_reference(shelf: Shelf) -> None:
    _, blocks = lay_out(build_table(shelf, "toy"))
    bold = {(row[0].text, cell.text) for block in blocks for row in block.rows for cell in row if cell.bold}
    assert bold == {("mmd", "72.0 ± 2.8"), ("mmd", "51.0 ± 1.4"), ("mmd", "61.5 ± 2.1")}
    assert [block.title for block in blocks] == ["", "Uses target labels (reference)"]


def test_ties_at_the_shown_precision_are_all_bold() -> None:
    shelf = Shelf()
    for label, value in (("source_only", 0.5), ("mmd", 0.70049), ("dann", 0.69951)):
        shelf.put(label, "amazon->webcam", [value])
    _, blocks = lay_out(build_table(shelf, "toy"))
    assert [row[1].bold for row in blocks[0].rows] == [False, True, True]


def test_a_line_of_the_csv_names_its_own_backbone(shelf: Shelf) -> None:
    """A table of several had named all of them in every line."""
    shelf.put("mcc", "amazon->webcam", [0.5], backbone=BackboneSpec(name="resnet50", weights="imagenet"))
    shelf.put("bnm", "amazon->webcam", [MISSING])
    frame = tidy(build_table(shelf, "toy")).groupby("label")["backbone"].unique()
    assert {label: list(names) for label, names in frame.items()} == {
        **{label: ["mobilenet_v2"] for label in ("source_only", "mmd", "dann", "target_labels")},
        "mcc": ["resnet50"],
        "bnm": ["mobilenet_v2/resnet50"],
    }


def test_one_seed_shows_no_spread() -> None:
    shelf = Shelf().put("source_only", "amazon->webcam", [0.5])
    _, blocks = lay_out(build_table(shelf, "toy"))
    assert [cell.text for cell in blocks[0].rows[0]] == ["source_only", "50.0", "50.0", "1.0", "baseline", "1"]
    assert "no spread" in build_table(shelf, "toy").caption


def test_what_is_not_there_is_seen() -> None:
    assert cell_text(TableCell({0: 0.71, 1: 0.714}, 3, n_failed=1), Scale()) == "71.2 ± 0.3 (2/3)"
    assert cell_text(TableCell({}, 3, n_failed=2, n_missing=1), Scale()) == "failed 2/3"
    assert cell_text(TableCell({}, 3, n_missing=3), Scale()) == "–"
    assert cell_text(TableCell({}, 3, n_unavailable=3), Scale()) == "n/a"


@pytest.mark.parametrize("hole", [FAILED, MISSING])
def test_an_incomplete_row_is_marked_and_neither_ranked_nor_bold(shelf: Shelf, hole: str) -> None:
    shelf.put("mcc", "amazon->webcam", [0.99, 0.98]).put("mcc", "webcam->amazon", [0.97, hole])
    _, blocks = lay_out(build_table(shelf, "toy"))
    row = blocks[0].rows[-1]
    average = 100 * (0.985 + 0.97) / 2
    assert [cell.text for cell in row] == [
        "mcc", "98.5 ± 0.7", "97.0 (1/2)", f"{average:.1f}*", "–", "–", "3/4 runs",
    ]  # fmt: skip
    assert not any(cell.bold for cell in row)
    assert blocks[0].rows[1][1].bold
    assert rows(shelf)["mmd"].rank == 1.0


def test_a_row_without_any_record_is_a_row_of_dashes(shelf: Shelf) -> None:
    shelf.put("mcc", "amazon->webcam", [MISSING] * 2).put("mcc", "webcam->amazon", [MISSING] * 2)
    _, blocks = lay_out(build_table(shelf, "toy"))
    assert [cell.text for cell in blocks[0].rows[-1]] == ["mcc", "–", "–", "–", "–", "–", "0/4 runs"]


def test_selection_changes_the_numbers() -> None:
    shelf = Shelf().put("source_only", "amazon->webcam", [0.5])
    next(iter(shelf.records.values())).candidates = points(0.3, 0.8, 0.5)
    found = [build_table(shelf, "toy", rule).rows[0].average.mean for rule in ("last", "oracle", "entropy")]
    assert found == [0.5, 0.8, 0.3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"select": "entropi"}, "the records hold: entropy, last, oracle"),
        ({"metric": "target_acuracy"}, "no metric named 'target_acuracy'; did you mean 'target_accuracy'"),
        ({"algorithms": ["dan"]}, "no row named 'dan'; did you mean 'dann'"),
    ],
)
def test_a_wrong_name_ends_in_one_line(shelf: Shelf, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DalibError, match=message) as caught:
        build_table(shelf, "toy", **arguments)
    assert "\n" not in str(caught.value)


def test_short_names_only_where_no_two_domains_share_an_initial() -> None:
    assert [c.short for c in short_columns(["amazon->webcam", "webcam->dslr"])] == ["A→W", "W→D"]
    assert [c.short for c in short_columns(["mnist->mnistm"])] == ["mnist→mnistm"]


def test_the_caption_says_what_was_done(shelf: Shelf) -> None:
    caption = build_table(shelf, "toy").caption
    for words in (
        "Toy suite.", "office31 (amazon 1000, webcam 795)", "transductive", "mobilenet_v2 (imagenet weights), frozen",
        "last: the model at the end of training, no selection", "over 2 seeds", "rows that use target labels",
        "▼: average below source_only.", "All 16 runs succeeded.",
    ):  # fmt: skip
        assert words in caption
    assert "PARTIAL" not in caption


def test_what_backbones_have_seen_is_in_the_caption_and_a_column_where_they_differ(shelf: Shelf) -> None:
    table = build_table(shelf, "toy")
    assert "mobilenet_v2 (imagenet weights), frozen, pretrained on imagenet-1k." in table.caption
    assert "Pretraining" not in make_sheet(table).header and set(tidy(table)["pretraining"]) == {"imagenet-1k"}
    clip = BackboneSpec(name="timm:vit_base_patch16_clip_224.openai", weights="imagenet", frozen=True)
    scratch = BackboneSpec(name="resnet18", hash="none")
    for task in ("amazon->webcam", "webcam->amazon"):
        shelf.put("clip", task, [0.8, 0.8], backbone=clip).put("scratch", task, [0.1, 0.1], backbone=scratch)
    sheet = make_sheet(table := build_table(shelf, "toy"))
    assert sheet.header[:2] == ("Algorithm", "Pretraining")
    seen = {row[0].text: row[1].text for block in sheet.blocks for row in block.rows}
    assert seen == dict.fromkeys(["source_only", "mmd", "dann", "target_labels"], "imagenet-1k") | {
        "clip": "unknown-web", "scratch": "none",
    }  # fmt: skip
    assert len({len(row) for block in sheet.blocks for row in block.rows} | {len(sheet.header)}) == 1
    assert set(tidy(table).set_index("label")["pretraining"]["clip"]) == {"unknown-web"}


def test_the_caption_marks_the_oracle_partial_copies_and_holes(shelf: Shelf) -> None:
    shelf.put("mcc", "amazon->webcam", [FAILED, MISSING], data=DataSpec(dataset="office31", partial=True))
    table = build_table(shelf, "toy", "oracle")
    assert "best point by TARGET TEST LABELS, an upper bound, not attainable in practice" in table.caption
    assert "PARTIAL COPY" in table.caption
    assert "Of 18 runs 1 failed and 1 are missing" in table.caption
    assert table.failures == ("mcc, amazon->webcam, seed 0: Diverged: loss term 'mmd' became nan at step 7",)


@pytest.mark.parametrize(("dataset", "word"), [("office31", "images"), ("features:rows.npz", "rows")])
def test_a_caption_calls_rows_of_numbers_no_images(dataset: str, word: str) -> None:
    text = word_rows("tested on the same target images", dataset)
    assert text == f"tested on the same target {word}"
