"""One descent's batches: what decides them, and that nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.core.network import Network
from dalib.core.types import Domain
from dalib.train.descent import Descent
from dalib.train.fitted import Fitted
from tests.support.image_world import CLASSES, Plain, make_backbone, recipe


def same_pictures(n: int = 16) -> Domain:
    """One picture n times, so that batches differ by augmentation alone."""
    x = np.random.default_rng(0).integers(0, 255, (1, 3, 14, 14), dtype=np.uint8)
    return Domain("same", np.repeat(x, n, 0), np.arange(n) % 3, CLASSES, "same")


def make_descent(seed: int, augment: str, steps: int = 4) -> Descent:
    algorithm = Plain()
    backbone = make_backbone()
    algorithm.attach(Network(backbone, 3, 8))
    fitted = Fitted(algorithm, backbone, CLASSES, recipe(augment=augment), torch.device("cpu"))
    pictures = same_pictures()
    return Descent(fitted, pictures, pictures.unlabelled(), seed=seed, first=0, last=steps)


def batches(seed: int, augment: str, steps: int = 4) -> list[torch.Tensor]:
    descent = make_descent(seed, augment, steps)
    drawn = [descent.draw() for _ in range(steps)]
    return [rows.x for labelled, views in drawn for rows in (labelled, *views)]


@pytest.mark.parametrize("augment", ["flip", "standard"])
def test_augmentation_follows_the_seed(augment: str) -> None:
    one, again, other = (batches(seed, augment) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[0], one[2]), "and from batch to batch"


def test_without_augmentation_these_batches_are_the_same_for_every_seed() -> None:
    assert all(torch.equal(a, b) for a, b in zip(batches(0, "none"), batches(1, "none"), strict=True))


def test_a_target_that_is_not_used_has_no_rows_and_no_gradient() -> None:
    descent = make_descent(0, "none")
    labelled, _ = descent.draw()
    source, target = descent.forward(labelled, [])
    assert len(source) == 8 and source.z.requires_grad
    assert len(target) == 0 and not target.z.requires_grad and not target.logits.requires_grad
    assert descent.forward(labelled, [])[1] is target, "the same one at every step"
