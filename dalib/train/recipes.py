"""A recipe each for features, fine-tuning and training from scratch: what a run takes for settings left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dalib.core.errors import DalibError
from dalib.core.registry import OBJECTIVES, snake_case
from dalib.train.config import TrainConfig

if TYPE_CHECKING:
    from dalib.core.algorithm import Algorithm

RECIPES: dict[str, dict[str, Any]] = {
    "features": {},
    "fine_tuning": {},
    "scratch": {"backbone_rate": 1.0},
}
"""What departs from the defaults of `TrainConfig`. How they were chosen: docs/recipe.md."""
OF_THE_OPTIMISER = ("lr", "momentum", "beta1", "beta2")
"""Settings that mean nothing, or another thing, with another optimiser."""


def name_recipe(backbone: str, weights: str, frozen: bool) -> str:
    """`features` when what is trained stands on features, `scratch` for random weights, else `fine_tuning`."""
    if frozen or backbone == "identity":
        return "features"
    return "scratch" if weights == "none" else "fine_tuning"


def fill_recipe(
    given: Mapping[str, Any],
    algorithm: type[Algorithm],
    backbone: str,
    weights: str,
    frozen: bool,
    objective: str = "classification",
) -> dict[str, Any]:
    """Fields of TrainConfig: the recipe of that kind, over it the answers' and the algorithm's, over them the given.

    objective: what a label is. Numbers that belong to pictures rule out crops and flips, unless `invariant` is given

    Raises
        DalibError: a rate without its optimiser, where the algorithm's own is not the one that all others have
    """
    kind = name_recipe(backbone, weights, frozen)
    own = dict(OBJECTIVES.get(objective).recipe) if objective != "classification" else {}
    if kind == "features" or given.get("invariant"):
        own.pop("augment", None)
    asked = algorithm.recipe | (algorithm.recipe_on_features if kind == "features" else {})
    recipe, usual = lay_over({**RECIPES[kind], **own}, asked), TrainConfig().optimiser
    if "lr" in given and "optimiser" not in given and recipe.get("optimiser", usual) != usual:
        raise DalibError(
            f"train.lr = {given['lr']} without an optimiser, and {snake_case(algorithm.__name__)} has one of its own "
            f"here: say which the rate is for, train.optimiser = {recipe['optimiser']} or {usual}, or leave lr out"
        )
    return lay_over(recipe, given)


def lay_over(recipe: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given over the recipe, whose rate and averages are left out where another optimiser is given."""
    own = recipe.get("optimiser", TrainConfig().optimiser)
    other = given.get("optimiser", own) != own
    return {k: v for k, v in recipe.items() if not (other and k in OF_THE_OPTIMISER)} | dict(given)
