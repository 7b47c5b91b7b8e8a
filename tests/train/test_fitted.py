"""Answers of a whole domain: how many rows at once, and that it does not matter."""

from __future__ import annotations

import pytest
import torch

import dalib
from dalib.train import fitted as fitted_module
from tests.support.image_world import make_image_task
from tests.support.strategies import train


@pytest.mark.parametrize(("side_rows", "most"), [(1000, 256), (3, 3), (0, 1)])
def test_a_cpu_answers_for_as_many_images_at_once_as_their_pixels_allow(
    side_rows: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, model = make_image_task(), train(dalib.SourceOnly(), steps=2)
    expected, sizes = model.outputs(task.test), []
    assert model.backbone.preprocess is not None
    monkeypatch.setattr(fitted_module, "CPU_PIXELS", side_rows * model.backbone.preprocess.crop**2)
    predict = model.algorithm.predict

    def counted(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(x))
        return predict(x)

    monkeypatch.setattr(model.algorithm, "predict", counted)
    outputs = model.outputs(task.test)
    assert max(sizes) == min(most, len(task.test)) and sum(sizes) == len(task.test)
    torch.testing.assert_close(outputs.logits, expected.logits)
    torch.testing.assert_close(outputs.z, expected.z)


def test_statistics_of_a_domain_come_from_batches_of_the_old_size(monkeypatch: pytest.MonkeyPatch) -> None:
    task, model = make_image_task(), train(dalib.SourceOnly(), steps=2)
    monkeypatch.setattr(fitted_module, "CPU_PIXELS", 1)
    assert max(map(len, model.batches(model.store(task.test)))) == min(fitted_module.EVAL_BATCH, len(task.test))
