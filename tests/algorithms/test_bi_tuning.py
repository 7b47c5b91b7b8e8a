"""BiTuning: Bi-tuning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dalib.core.algorithm import Terms
from dalib.train.loop import Loop
from tests.support.algorithms import check_refusal
from tests.support.image_methods import (
    attached_to_images,
    check_a_backbone_may_be_fitted_twice,
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one,
    check_a_model_file_predicts_what_was_fitted,
    check_every_recipe_trains_to_finite_outputs,
    every_recipe,
    image_batch,
)
from tests.support.image_world import make_image_task


def test_a_killed_run_on_images_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one("bi_tuning", tmp_path)


def test_a_model_file_predicts_what_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_a_model_file_predicts_what_was_fitted("bi_tuning", tmp_path, monkeypatch)


@every_recipe
def test_every_recipe_trains_to_finite_outputs(changes: dict[str, Any]) -> None:
    check_every_recipe_trains_to_finite_outputs("bi_tuning", changes)


def test_a_backbone_may_be_fitted_twice() -> None:
    check_a_backbone_may_be_fitted_twice("bi_tuning")


def test_bi_tunings_terms_are_plain_loops_over_rows_and_keys() -> None:
    algorithm = attached_to_images("bi_tuning", weight=0.5, queue=3, projection=4, temperature=0.3)
    stored = torch.randn(3, 3, 13, generator=torch.Generator().manual_seed(1))
    stored[..., :9] /= stored[..., :9].norm(dim=2, keepdim=True)
    stored[..., 9:] /= stored[..., 9:].norm(dim=2, keepdim=True)
    stored[1, 2], stored[2] = 0.0, 0.0
    algorithm.keys.copy_(stored)
    source, target = image_batch(algorithm)
    terms = {k: float(v.detach()) for k, v in algorithm.loss(source, target, 0.5).items()}

    def unit(v: np.ndarray) -> np.ndarray:
        return v / np.linalg.norm(v, axis=-1, keepdims=True)

    def extended(z: np.ndarray) -> np.ndarray:
        return unit(np.concatenate([z, np.ones((len(z), 1))], 1))

    with torch.no_grad():
        z_key = algorithm.encoder[0].eval()(source.x)
        u, q = (unit(algorithm.projector(z).double().numpy()) for z in (z_key, source.z))
    h, h_key, y = extended(source.z.detach().double().numpy()), extended(z_key.double().numpy()), source.y.numpy()
    head = algorithm.network.head
    w = unit(torch.cat([head.weight, head.bias[:, None]], 1).detach().double().numpy())
    keys: list[list[np.ndarray]] = [[], [], []]
    for k in range(3):
        new = [np.concatenate([h_key[i], u[i]]) for i in range(6) if y[i] == k]
        keys[k] = [*new, *(v for v in stored[k].double().numpy() if v.any())][:3]

    def contrast(query: list[np.ndarray], own: list[float], part: slice) -> float:
        values = []
        for i in range(6):
            each = [(own[i], True)] + [(query[i] @ v[part], k == y[i]) for k in range(3) for v in keys[k]]
            below = math.log(sum(math.exp(s / 0.3) for s, _ in each))
            values.append(-np.mean([s / 0.3 - below for s, mine in each if mine]))
        return float(np.mean(values))

    expected_head = contrast([w[k] for k in y], [float(h[i] @ w[y[i]]) for i in range(6)], slice(0, 9))
    expected_projection = contrast(list(q), [float(q[i] @ u[i]) for i in range(6)], slice(9, 13))
    assert terms["head_contrast"] == pytest.approx(0.5 * expected_head, abs=1e-4)
    assert terms["projection_contrast"] == pytest.approx(0.5 * expected_projection, abs=1e-4)


def test_bi_tunings_second_encoder_is_the_average_of_past_networks_and_its_keys_are_stored() -> None:
    algorithm = attached_to_images("bi_tuning", queue=2, projection=4)
    loop = Loop(algorithm, torch.optim.SGD(algorithm.network.parameters(), lr=0.1))
    source, _ = image_batch(algorithm)
    past = []
    for _ in range(3):
        past.append(algorithm.network.backbone[0][0].weight.detach().clone())
        loop.step(source.x, source.y, source.x[:0], 0.5)
    followed = algorithm.encoder[0][0][0].weight
    torch.testing.assert_close(followed, torch.stack(past).mean(0), rtol=1e-5, atol=1e-6)
    assert not torch.equal(past[0], past[2])
    with torch.no_grad():
        z = algorithm.encoder[0].eval()(source.x)
    expected = F.normalize(torch.cat([z, torch.ones(6, 1)], 1))
    for k in range(3):
        torch.testing.assert_close(algorithm.keys[k, :, :9], expected[source.y == k], rtol=1e-5, atol=1e-6)


def test_bi_tunings_contrasts_alone_draw_rows_of_a_class_together() -> None:
    class Contrasting(Loop):
        def __call__(self, terms: Terms, only: Sequence[nn.Module] | None = None) -> None:
            super().__call__({k: v for k, v in terms.items() if k != "classification"}, only)

    algorithm = attached_to_images("bi_tuning", projection=8).train()
    loop = Contrasting(algorithm, torch.optim.SGD(algorithm.network.backbone.parameters(), lr=0.01, momentum=0.9))
    task = make_image_task(side=12)
    x, y = torch.as_tensor(task.labelled.x).float() / 128 - 1, torch.as_tensor(task.labelled.labels)

    def together() -> float:
        with torch.no_grad():
            q = F.normalize(algorithm.projector(algorithm.network(x)[0]))
        same = y[:, None] == y
        return float((q @ q.T)[same].mean() - (q @ q.T)[~same].mean())

    before = together()
    for _ in range(20):
        loop.step(x, y, x[:0], 0.5)
    assert together() > before + 0.15


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"momentum": 1.0}, "bi_tuning.momentum = 1.0"),
        ({"queue": 1.5}, "bi_tuning.queue = 1.5"),
        ({"temperature": 0.0}, "bi_tuning.temperature = 0.0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("bi_tuning", hparams, message)


def test_the_key_encoder_is_a_frozen_copy() -> None:
    algorithm = attached_to_images("bi_tuning")
    assert not any(p.requires_grad for p in algorithm.encoder.parameters())
    mine = {p.data_ptr() for p in algorithm.network.parameters()} | {
        p.data_ptr() for p in algorithm.projector.parameters()
    }
    assert not any(p.data_ptr() in mine for p in algorithm.encoder.parameters())
