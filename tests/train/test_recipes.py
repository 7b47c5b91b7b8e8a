"""What a run takes for settings that it leaves open is the same on the command line, in suites and in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dalib.bench.suite import load_suite
from dalib.core.registry import ALGORITHMS
from dalib.fitting import describe_run
from dalib.train.config import TrainConfig
from dalib.train.recipes import RECIPES, fill_recipe, name_recipe

ROOT = Path(__file__).resolve().parents[2]
SUITE = """
dataset = "mini_office"
backbone = {{ name = "tiny", weights = "{weights}", frozen = {frozen} }}
[algorithms]
{rows}
"""


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_a_recipe_is_made_of_fields_of_the_model_and_departs_from_its_defaults(recipe: dict[str, Any]) -> None:
    config = TrainConfig.model_validate(recipe)
    assert all(getattr(config, name) != TrainConfig.model_fields[name].default for name in recipe)


@pytest.mark.parametrize("name", ALGORITHMS.names())
def test_what_an_algorithm_asks_of_the_recipe_is_a_field_of_it(name: str) -> None:
    TrainConfig.model_validate(ALGORITHMS.get(name).recipe)


@pytest.mark.parametrize(
    ("backbone", "weights", "frozen", "name"),
    [
        ("identity", "none", False, "features"),
        ("resnet50", "imagenet", True, "features"),
        ("resnet50", "imagenet", False, "fine_tuning"),
        ("tiny", "mine.safetensors", False, "fine_tuning"),
        ("lenet", "none", False, "scratch"),
        ("lenet", "none", True, "features"),
    ],
)
def test_the_recipe_goes_by_what_is_trained(backbone: str, weights: str, frozen: bool, name: str) -> None:
    assert name_recipe(backbone, weights, frozen) == name


def test_what_is_given_wins_over_the_algorithm_and_this_over_the_kind_of_training() -> None:
    cls = ALGORITHMS.get("deep_jdot")
    assert cls.recipe == {"sampler": "class_balanced"}
    assert fill_recipe({}, cls, "lenet", "none", False)["sampler"] == "class_balanced"
    assert fill_recipe({"sampler": "shuffle"}, cls, "lenet", "none", False)["sampler"] == "shuffle"
    assert fill_recipe({"backbone_rate": 0.5}, cls, "lenet", "none", False)["backbone_rate"] == 0.5


def test_a_sum_asks_for_what_no_part_contradicts() -> None:
    assert ALGORITHMS.get("deep_jdot+mcc").recipe == {"sampler": "class_balanced"}
    assert ALGORITHMS.get("dann+mcc").recipe == {}


@pytest.mark.parametrize(("weights", "frozen"), [("pretrained", True), ("pretrained", False), ("none", False)])
def test_a_row_of_a_suite_and_one_run_leave_open_the_same(tmp_path: Path, weights: str, frozen: bool) -> None:
    rows = ["source_only", "dann", "mcc", "deep_jdot", "meda"]
    file = tmp_path / "s.toml"
    file.write_text(
        SUITE.format(weights=weights, frozen=str(frozen).lower(), rows="\n".join(f"{r} = {{}}" for r in rows))
    )
    suite = load_suite(file)
    for row in rows:
        one = describe_run(
            "mini_office", "amazon", "webcam", row, backbone={"name": "tiny", "weights": weights, "frozen": frozen}
        )
        assert suite.section(row, "train") == one.train
        assert ALGORITHMS.get(row).defaults() == one.hparams


@pytest.mark.parametrize("name", ["demo", "office31_subset"])
def test_training_without_options_is_the_row_of_the_shown_tables(name: str) -> None:
    """Same recipe, hyper-parameters and protocol, so `dalib train` gives the cell of seed 0."""
    suite = load_suite(ROOT / "benchmarks" / f"{name}.toml")
    network = suite.backbone.model_dump(exclude_unset=True)
    for label, row in suite.algorithms.items():
        if row.hparams or row.protocol:
            continue
        one = describe_run(suite.dataset, "amazon", "webcam", row.algorithm, backbone=network)
        assert (suite.section(label, "train"), suite.section(label, "protocol")) == (one.train, one.protocol), label
        assert (
            one.backbone == suite.section(label, "backbone") and one.hparams == ALGORITHMS.get(one.algorithm).defaults()
        )
