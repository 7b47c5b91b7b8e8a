"""What a run takes for settings that it leaves open is the same on the command line, in suites and in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dalib.bench.describe import describe_run
from dalib.bench.plan import plan
from dalib.bench.suite import load_suite
from dalib.checks.world import fit
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS
from dalib.train.arguments import read_recipe
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


def test_what_an_algorithm_asks_lies_over_the_recipe_and_another_optimiser_takes_its_rate_alone_away() -> None:
    class Asking(ALGORITHMS.get("dann")):  # type: ignore[misc]
        recipe = {"lr": 0.2, "augment": "flip", "optimiser": "adamw"}

    def fill(**given: Any) -> dict[str, Any]:
        return fill_recipe(given, Asking, "resnet50", "imagenet", False)

    assert fill() == {"lr": 0.2, "augment": "flip", "optimiser": "adamw"}
    assert fill(steps=3) == {"lr": 0.2, "augment": "flip", "optimiser": "adamw", "steps": 3}
    assert fill(optimiser="adamw", lr=0.4) == {"lr": 0.4, "augment": "flip", "optimiser": "adamw"}
    assert fill(optimiser="sgd") == {"augment": "flip", "optimiser": "sgd"}
    assert fill_recipe({}, ALGORITHMS.get("dann"), "resnet50", "imagenet", False) == {}
    assert fill_recipe({"optimiser": "adamw"}, ALGORITHMS.get("dann"), "resnet50", "none", False) == {
        "backbone_rate": 1.0,
        "optimiser": "adamw",
    }


def test_adda_takes_adam_with_half_the_usual_average_end_to_end_and_another_optimiser_takes_all_of_it_away() -> None:
    adda = ALGORITHMS.get("adda")

    def fill(backbone: str, **given: Any) -> dict[str, Any]:
        return fill_recipe(given, adda, backbone, "none", False)

    adam = {"backbone_rate": 1.0, "optimiser": "adamw", "lr": 0.001, "beta1": 0.5}
    assert fill("lenet") == adam
    assert fill("lenet", optimiser="sgd") == {"backbone_rate": 1.0, "optimiser": "sgd"}
    assert TrainConfig.model_validate(fill("identity")) == TrainConfig()
    assert TrainConfig.model_validate(fill("identity", optimiser="adamw", momentum=0.9)).lr == 0.003


def test_what_an_algorithm_asks_on_features_is_not_asked_end_to_end() -> None:
    class Asking(ALGORITHMS.get("dann")):  # type: ignore[misc]
        recipe = {"lr": 0.2, "sampler": "class_balanced"}
        recipe_on_features = {"lr": 0.3}

    def fill(frozen: bool, weights: str = "imagenet", **given: Any) -> dict[str, Any]:
        return fill_recipe(given, Asking, "resnet50", weights, frozen)

    assert fill(True) == {"lr": 0.3, "sampler": "class_balanced"}
    assert fill(False) == {"lr": 0.2, "sampler": "class_balanced"}
    assert fill(False, "none") == {"lr": 0.2, "sampler": "class_balanced", "backbone_rate": 1.0}
    assert fill(True, lr=0.4)["lr"] == 0.4
    assert "lr" not in fill(True, optimiser="adamw")


@pytest.mark.parametrize("name", ALGORITHMS.names())
def test_what_an_algorithm_asks_of_the_recipe_is_a_field_of_it(name: str) -> None:
    TrainConfig.model_validate(ALGORITHMS.get(name).recipe)
    TrainConfig.model_validate(ALGORITHMS.get(name).recipe_on_features)


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
        assert suite.recipe(row) == one.train
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
        assert (suite.recipe(label), suite.section(label, "protocol")) == (one.train, one.protocol), label
        assert (
            one.backbone == suite.section(label, "backbone") and one.hparams == ALGORITHMS.get(one.algorithm).defaults()
        )


@pytest.mark.parametrize(("initialisation", "largest"), [("torch", 8**-0.5), ("kaiming", 0.05)])
def test_the_trainer_begins_with_the_initialisation_that_its_recipe_names(initialisation: str, largest: float) -> None:
    fitted = fit(ALGORITHMS.get("source_only"), steps=0, bottleneck=8, initialisation=initialisation)
    head = fitted.algorithm.network.head.weight
    assert 0.01 < float(head.abs().max()) <= largest
    assert (float(head.abs().max()) > 0.2) == (initialisation == "torch")


@pytest.mark.parametrize(
    ("weights", "frozen", "lr", "backbone_rate"),
    [("pretrained", True, 0.03, 0.1), ("pretrained", False, 0.03, 0.1), ("none", False, 0.03, 1.0)],
)
def test_planned_runs_have_the_recipe_filled_in(
    tmp_path: Path, weights: str, frozen: bool, lr: float, backbone_rate: float
) -> None:
    file = tmp_path / "s.toml"
    file.write_text(SUITE.format(weights=weights, frozen=str(frozen).lower(), rows="mcc = {}\ndeep_jdot = {}"))
    specs = {run.spec.algorithm: run.spec.train for run in plan(load_suite(file)).runs}
    assert {(train.lr, train.backbone_rate) for train in specs.values()} == {(lr, backbone_rate)}
    assert (specs["mcc"].sampler, specs["deep_jdot"].sampler) == ("shuffle", "class_balanced")


@pytest.mark.parametrize("weights", ["pretrained", "none"])
@pytest.mark.parametrize("frozen", ["true", "false"])
def test_another_optimiser_has_a_rate_of_its_own_wherever_it_is_chosen(
    tmp_path: Path, weights: str, frozen: str
) -> None:
    rows = 'source_only = {}\na = { algorithm = "source_only", train = { optimiser = "adamw" } }\n'
    rows += 'b = { algorithm = "source_only", train = { optimiser = "adamw", lr = 0.005 } }'
    (tmp_path / "s.toml").write_text(SUITE.format(weights=weights, frozen=frozen, rows=rows))
    suite = load_suite(tmp_path / "s.toml")
    sgd = fill_recipe({}, ALGORITHMS.get("source_only"), "tiny", weights, frozen == "true")
    rates = [suite.recipe(label).lr for label in ("source_only", "a", "b")]
    assert rates == [sgd.get("lr", 0.03), 0.003, 0.005]
    assert read_recipe({"optimiser": "adamw"}, sgd).lr == 0.003
    assert read_recipe({}, sgd).lr == rates[0]


def test_a_row_may_choose_sgd_again_and_has_its_rate(tmp_path: Path) -> None:
    text = SUITE.format(weights="none", frozen="true", rows='source_only = { train = { optimiser = "sgd" } }')
    (tmp_path / "s.toml").write_text(text + '[train]\noptimiser = "adamw"\n')
    assert load_suite(tmp_path / "s.toml").recipe("source_only").lr == 0.03


def test_a_rate_that_was_left_out_is_no_field_that_was_given() -> None:
    assert TrainConfig(optimiser="adamw").lr == 0.003
    assert "lr" not in TrainConfig(optimiser="adamw").model_dump(exclude_unset=True)
    assert TrainConfig.model_validate_json(TrainConfig(optimiser="adamw", lr=0.03).model_dump_json()).lr == 0.03


def test_an_algorithm_with_an_optimiser_of_its_own_does_not_get_the_rate_of_the_kind_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Own(ALGORITHMS.get("source_only")):  # type: ignore[misc]
        recipe = {"optimiser": "adamw"}

    monkeypatch.setitem(RECIPES, "fine_tuning", {"lr": 0.02})
    assert fill_recipe({}, ALGORITHMS.get("source_only"), "resnet50", "imagenet", False) == {"lr": 0.02}
    filled = fill_recipe({}, Own, "resnet50", "imagenet", False)
    assert TrainConfig.model_validate(filled).lr == 0.003
    assert fill_recipe({"lr": 0.2, "optimiser": "sgd"}, Own, "resnet50", "imagenet", False)["lr"] == 0.2


def test_a_rate_is_refused_where_it_could_be_for_either_optimiser() -> None:
    def fill(backbone: str, **given: Any) -> dict[str, Any]:
        return fill_recipe(given, ALGORITHMS.get("adda"), backbone, "imagenet", False)

    with pytest.raises(DalibError, match=r"^train\.lr = 0\.03 without .* adda has one .* adamw or sgd, or"):
        fill("resnet50", lr=0.03)
    assert fill("resnet50", lr=0.03, optimiser="adamw")["beta1"] == 0.5
    assert fill("resnet50", lr=0.03, optimiser="sgd") == {"lr": 0.03, "optimiser": "sgd"}
    assert fill("identity", lr=0.1)["lr"] == 0.1, "on features it has the optimiser that all have"
