"""The zero-shot prior as a term of any algorithm, and learning from it alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import dalib
from dalib.checks.world import CONFIG, features_of, make_task
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.texts import encode_names
from dalib.core.types import Source, Target
from dalib.nn.propagation import propagate_labels
from dalib.train.trainer import Trainer
from tests.nn.test_semantics import conse


def fit(algorithm, task=None, backbone=None):  # type: ignore[no-untyped-def]
    given = backbone or features_of(dalib.ZeroShot)
    return Trainer(CONFIG, device="cpu").fit(algorithm, task or make_task(), given)


def zero_shot() -> np.ndarray:
    """ConSE's probabilities of the world's target."""
    task, given = make_task(), features_of(dalib.ZeroShot)
    logits = given.head(torch.as_tensor(task.target.x)).detach().double().numpy()  # type: ignore[misc]
    known, asked = (encode_names(n, "spelling").numpy() for n in (given.head_classes, task.classes))
    e = np.exp(conse(logits, known, asked, 10) / 0.1)
    return np.asarray(e / e.sum(1, keepdims=True))


@pytest.mark.parametrize("neighbours", [0, 4])
def test_the_prior_is_zero_shots_handed_on_among_neighbours(neighbours: int) -> None:
    fitted = fit(dalib.ZeroShotPrior(encoder="spelling", neighbours=neighbours))
    expected = zero_shot()
    if neighbours:
        z = torch.as_tensor(make_task().target.x)
        expected = propagate_labels(torch.as_tensor(expected), z, neighbours, 0.8, True).numpy()
    np.testing.assert_allclose(fitted.algorithm.prior, expected, rtol=1e-4, atol=1e-6)


def test_the_term_is_the_cross_entropy_with_the_rows_of_the_batch() -> None:
    algorithm = dalib.ZeroShotPrior(encoder="spelling", weight=0.7)
    algorithm.attach(Network(features_of(dalib.ZeroShot), 3, bottleneck=0))
    algorithm.prior = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2], [1.0, 0.0, 0.0]])
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    target = replace(Target.of(torch.zeros(2, 16), logits), index=torch.tensor([2, 0]))
    log_p = logits.numpy() - np.log(np.exp(logits.numpy()).sum(1, keepdims=True))
    expected = -0.7 * (log_p[0, 0] + (np.array([0.2, 0.3, 0.5]) * log_p[1]).sum()) / 2
    source = Source.of(torch.zeros(2, 16), logits, torch.tensor([0, 1]))
    [value] = algorithm.adapt(source, target, 0.5).values()
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_it_adds_to_any_algorithm_and_pulls_towards_itself() -> None:
    plain, pulled = (fit(a) for a in (dalib.DANN(), dalib.DANN() + dalib.ZeroShotPrior(encoder="spelling", weight=3.0)))
    task, q = make_task(), torch.as_tensor(zero_shot())
    agree = [float((q.argmax(1) == f.outputs(task.target).logits.argmax(1)).double().mean()) for f in (plain, pulled)]
    assert agree[1] > agree[0] or agree[0] == 1.0
    assert {"zero_shot_prior", "adversarial"} <= set(pulled.algorithm.loss(*_batches(pulled), 0.5))


def _batches(fitted):  # type: ignore[no-untyped-def]
    from dalib.checks.world import batches

    return batches(fitted.algorithm)


def test_distillation_reads_no_label_and_keeps_what_zero_shot_knew() -> None:
    task = make_task()
    shuffled = replace(task, labelled=replace(task.labelled, y=task.labelled.labels[::-1].copy()))
    one, other = (fit(dalib.ZeroShotDistillation(encoder="spelling"), t) for t in (task, shuffled))
    logits = one.outputs(task.test).logits
    assert torch.equal(logits, other.outputs(task.test).logits)
    reached = float((logits.argmax(1).numpy() == task.test.labels).mean())
    assert reached >= float((zero_shot().argmax(1) == task.test.labels).mean()) - 0.02


@pytest.mark.parametrize("name", ["zero_shot_prior", "zero_shot_distillation"])
def test_a_backbone_without_a_classifier_is_one_line(name: str) -> None:
    cls = dalib.core.registry.ALGORITHMS.get(name)
    with pytest.raises(DalibError, match=f"{name} reads the classifier that the backbone was pretrained with"):
        fit(cls(encoder="spelling"), backbone=replace(features_of(cls), head=None))
