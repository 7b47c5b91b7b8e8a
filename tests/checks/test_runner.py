"""The checks catch what they are for, pass what is right, and say which it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from dalib.checks import check_plugin, new_plugin
from dalib.core.errors import DalibError
from dalib.core.registry import REGISTRIES

DEFECTS = Path(__file__).parent / "defects"
NAMED = {
    "zero_gradient_adversary": {"gradient_reaches_features": "'domain' has zero gradient"},
    "state_outside_buffers": {"loss_is_pure": "'mean'", "state_stays_in_buffers": "'mean'"},
    "state_outside_buffers_in_step": {"state_stays_in_buffers": "'count'", "exact_resume": "after a resume"},
    "global_numpy_generator": {
        "global_generators_are_left_alone": "NumPy's global random generator",
        "seed_decides_everything": "two fits with seed 0 differ",
    },
    "clock_seed": {"seed_decides_everything": "clock", "loss_is_pure": "'size' differs between two calls"},
    "reads_labels": {"target_labels_are_unread": "changes with the target's labels"},
    "asks_for_labels": {"target_labels_are_unread": "has no labels here"},
    "nan_on_collapse": {"collapsed_features_stay_finite": "'gap' is nan when all features are alike"},
    "wrong_normalisation": {"unequal_batch_sizes": "B_s and B_t may differ"},
    "mutable_constructor": {
        "defaults_are_usable": "mutable list",
        "constructor_only_stores": "the constructor changes 'scales'",
    },
    "target_ignored": {"gradient_reaches_features": "no loss term sends a gradient to the target"},
    "row_pairs": {"row_order_is_irrelevant": "loss term 'pairs' changes by"},
    "shape_and_sign": {"score_is_a_number": "returned Tensor", "higher_is_better": "flip the sign"},
    "label_numbers": {
        "score_is_a_number": "returned Tensor",
        "class_numbers_are_irrelevant": "other numbers for the classes",
        "row_order_is_irrelevant": "other order of the rows",
    },
    "wrong_direction": {
        "score_is_a_number": "set unit = ''",
        "right_answers_score_best": "turn higher_is_better",
        "score_is_deterministic_and_pure": "two calls give",
    },
    "forgets_rows": {
        "ending_is_usable": "without a dot",
        "text_holds_rows_and_numbers": "'reference' of the table is not in the text",
        "any_label_is_rendered": "render fails with no rows",
        "render_is_deterministic_and_pure": "leave out times",
    },
    "wrong_width": {
        "output_has_the_declared_width": "declared are (2, 16)",
        "groups_are_blocks_of_the_module": "2 parameters are in no group",
        "wrong_weights_are_refused": "raise DalibError",
    },
    "meddling_listener": {
        "changes_no_number": "draw no random numbers",
        "candidates_stay": "'target_accuracy' of a candidate is changed",
        "follows_several_fits": "start anew in `begin`",
    },
    "loses_jobs": {"every_job_is_done_once": "came of", "it_can_be_closed_early": "returns no generator"},
    "wrong_counts": {"counts_match_domains": "'third'", "names_are_folder_names": "['apple'] occur twice"},
}


@pytest.fixture(autouse=True)
def registries_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_extra", dict(registry._extra))


def test_every_seeded_defect_is_listed() -> None:
    assert {p.stem for p in DEFECTS.glob("*.py")} == set(NAMED)


@pytest.mark.parametrize("defect", NAMED)
def test_a_seeded_defect_is_caught_and_named(defect: str) -> None:
    failed = {r.name: r.message for r in check_plugin(DEFECTS / f"{defect}.py") if not r.passed}
    for check, words in NAMED[defect].items():
        assert words in failed.get(check, "passed"), failed
    assert all("\n" not in message for message in failed.values())


@pytest.mark.parametrize("kind", [kind.removesuffix("s") for kind in REGISTRIES])
def test_a_new_plugin_passes_as_it_is(kind: str, tmp_path: Path) -> None:
    path = new_plugin(kind, f"fresh_{kind}", tmp_path)
    results = check_plugin(path)
    assert len(results) >= 4
    assert [r for r in results if not r.passed] == []
    assert "${" not in path.read_text()


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("algoritm", "mine", "did you mean 'algorithm'"),
        ("algorithm", "MyMethod", "lower-case"),
        ("algorithm", "class", "cannot name a plug-in file"),
        ("algorithm", "../escape", "cannot name a plug-in file"),
        ("backbone", "identity", "already is a backbone"),
        ("dataset", "taken", "is not overwritten"),
    ],
)
def test_a_new_plugin_refuses_bad_names(kind: str, name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "taken.py").write_text("mine = 1\n")
    with pytest.raises(DalibError, match=words):
        new_plugin(kind, name, tmp_path)
    assert (tmp_path / "taken.py").read_text() == "mine = 1\n"


def test_a_missing_plugin_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DalibError, match="no plug-in file"):
        check_plugin(tmp_path / "nowhere.py")
