"""EasyTL: Easy transfer learning: CORAL and an assignment by linear programming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import dalib
from dalib.algorithms.easy_tl import ABSENT
from tests.support.anchors import check_surf_average_is_near_the_published_one
from tests.support.planes import (
    D,
    N,
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for,
    fit,
    moved,
    rotated,
)
from tests.support.shifts import Rows


def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for() -> None:
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for("EasyTL", moved, {})


def test_easy_transfer_gives_every_class_a_target_row() -> None:
    """Far fewer rows of class 3 than of the others, and those near class 2's mean: the mean alone would get none."""
    x_s, y_s, x_t, y_t = rotated(0.0)
    x_t = np.concatenate([x_t[y_t < 3], x_s[y_s == 2][:1] * 0.45 + x_s[y_s == 3][:1] * 0.55 - 0.3])
    model = fit("EasyTL", (x_s, y_s, x_t, y_t))
    assert set(model.predict(x_t)) == {0, 1, 2, 3}


def test_easy_transfer_never_predicts_a_class_without_source_rows() -> None:
    x_s, y_s, x_t, _ = moved()
    algorithm = dalib.EasyTL()
    algorithm.attach(dalib.Network.on_features(D, 4, bottleneck=0))

    some, names = y_s != 1, tuple("abcd")
    algorithm.fit(Rows(), dalib.Domain("s", x_s[some], y_s[some], names, ""), dalib.Domain("t", x_t, None, names, ""))  # type: ignore[arg-type]
    logits = algorithm.predict(torch.as_tensor(x_t))[1]
    assert logits.shape == (N, 4)
    assert set(logits.argmax(1).tolist()) == {0, 2, 3}
    lowest = logits[:, [0, 2, 3]].amin(1)
    torch.testing.assert_close(logits[:, 1], (2 * lowest).clamp(max=ABSENT))
    assert (logits[:, 1] < lowest).all()
    far = algorithm.predict(1e5 * torch.as_tensor(x_t))[1]
    torch.testing.assert_close(far[:, 1], 2 * far[:, [0, 2, 3]].amin(1))
    assert (far[:, 1] < ABSENT).all()


@pytest.mark.slow
def test_surf_average_is_near_the_published_one(shared_data: Path) -> None:
    # the published number is from memory: it could not be read where it was printed
    check_surf_average_is_near_the_published_one(shared_data, "EasyTL", 50.5, 0.1)
