"""Fits in a row with one Backbone object: each starts from it as it was loaded, and leaves earlier results alone."""

from __future__ import annotations

import pytest
import torch

import dalib
from dalib import MultiTask, Trainer
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.train.fitted import Fitted
from tests.support.image_world import copy_state, differing, make_backbone, make_image_task, recipe

CHANGERS: dict[str, type[Algorithm]] = {
    "lora": dalib.LoRA, "adapters": dalib.Adapters, "stoch_norm": dalib.StochNorm, "source_only": dalib.SourceOnly,
}  # fmt: skip


def fit(algorithm: Algorithm, backbone: Backbone) -> Fitted:
    return Trainer(recipe(steps=6), device="cpu").fit(algorithm, make_image_task(), backbone)


@pytest.mark.parametrize("first", CHANGERS.values(), ids=CHANGERS)
def test_a_second_fit_starts_from_the_backbone_as_it_was_loaded(first: type[Algorithm]) -> None:
    backbone = make_backbone()
    loaded, classes = copy_state(backbone.module), [type(m) for m in backbone.module.modules()]
    earlier = fit(first(), backbone)
    assert differing(loaded, copy_state(backbone.module)) == []
    assert [type(m) for m in backbone.module.modules()] == classes
    assert all(p.requires_grad for p in backbone.module.parameters())
    test = make_image_task().test
    before = earlier.outputs(test).logits
    second = fit(dalib.SourceOnly(), backbone)
    alone = fit(dalib.SourceOnly(), make_backbone())
    assert differing(copy_state(second.algorithm), copy_state(alone.algorithm)) == []
    assert torch.equal(earlier.outputs(test).logits, before)


def test_what_was_trained_is_the_results_backbone_from_which_another_fit_goes_on() -> None:
    backbone = make_backbone()
    first = fit(dalib.SourceOnly(), backbone)
    assert first.backbone.module is first.algorithm.network.backbone
    trained = copy_state(first.backbone.module)
    assert differing(copy_state(backbone.module), trained)
    still = Trainer(recipe(steps=0), device="cpu").fit(dalib.SourceOnly(), make_image_task(), first.backbone)
    assert differing(trained, copy_state(still.backbone.module)) == []


def test_blocks_and_the_pretrained_classifier_are_those_of_the_copy() -> None:
    backbone = make_backbone()
    backbone.head = torch.nn.Linear(backbone.dim, 4)
    twin = backbone.copied()
    mine = {id(p) for p in twin.module.parameters()}
    assert mine == {id(p) for group in twin.groups for p in group.parameters()}
    assert not mine & {id(p) for p in backbone.module.parameters()}
    assert twin.head is not backbone.head and torch.equal(twin.head.weight, backbone.head.weight)  # type: ignore


def test_tasks_at_once_share_one_copy() -> None:
    backbone, task = make_backbone(), make_image_task()
    loaded = copy_state(backbone.module)
    fitted = MultiTask(recipe(steps=2), device="cpu").fit(
        {"a": (task, dalib.SourceOnly()), "b": (task, dalib.LoRA())}, backbone
    )
    assert differing(loaded, copy_state(backbone.module)) == []
    assert fitted["a"].algorithm.network.backbone is fitted["b"].algorithm.network.backbone
