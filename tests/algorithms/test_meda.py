"""MEDA: Manifold embedded distribution alignment; it is its own classifier, the largest f_c is the class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dalib
from tests.support.algorithms import check_refusal
from tests.support.peak import told_over_used
from tests.support.planes import (
    D,
    check_a_row_is_predicted_alike_alone_and_in_company,
    check_few_rows_are_answered_alike_in_any_order,
    check_it_beats_its_first_labels_on_the_shift_it_is_built_for,
    check_predictions_do_not_depend_on_the_order_of_rows_or_on_the_coordinate_system,
    check_small_surf_tasks_reach_the_published_accuracy_to_its_last_figure,
    check_surf_average_is_the_published_one,
    embedding,
    fit,
    noisy,
    rotated,
    turned,
)
from tests.support.shifts import Rows


@pytest.mark.parametrize("data", [turned, rotated, noisy])
def test_it_beats_its_first_labels_on_the_shift_it_is_built_for(data: Any) -> None:
    check_it_beats_its_first_labels_on_the_shift_it_is_built_for("MEDA", data, {"components": 2})


def test_predictions_do_not_depend_on_the_order_of_rows_or_on_the_coordinate_system() -> None:
    check_predictions_do_not_depend_on_the_order_of_rows_or_on_the_coordinate_system("MEDA")


def test_a_row_is_predicted_alike_alone_and_in_company() -> None:
    check_a_row_is_predicted_alike_alone_and_in_company("MEDA")


def test_the_memory_that_is_told_is_what_the_solution_takes() -> None:
    assert 0.75 < told_over_used(dalib.MEDA()) < 1.3


def test_few_landmarks_say_nearly_what_all_rows_say() -> None:
    """Another f, of 40 kernels in place of 120 and more; the labels of a plain shift are the same."""
    data = turned()
    exact, few, all_rows = (fit("MEDA", data, components=2, landmarks=m) for m in (0, 40, 10_000))
    assert len(few.fitted_.algorithm.rows) == 40
    assert (exact.predict(data[2]) == few.predict(data[2])).mean() > 0.97
    assert torch.equal(exact.fitted_.algorithm.beta, all_rows.fitted_.algorithm.beta)


def test_meda_without_its_regularisers_is_kernel_ridge_regression() -> None:
    from sklearn.kernel_ridge import KernelRidge

    x_s, y_s, x_t, _ = turned()
    model = fit("MEDA", turned(), components=2, weight=1e-12, rho=0.0, eta=0.3, iterations=1)
    z_t = embedding(model, x_t)
    z_s = model.fitted_.algorithm.rows[: len(x_s)].numpy()
    ridge = KernelRidge(alpha=0.3, kernel="rbf", gamma=0.5).fit(z_s, np.eye(4)[y_s])
    with torch.no_grad():
        logits = model.fitted_.algorithm.predict(torch.as_tensor(x_t, dtype=torch.float32))[1]
    np.testing.assert_allclose(logits.numpy(), ridge.predict(z_t), atol=1e-5)  # the training rows are float32


@pytest.mark.parametrize("mu", [-0.1, 1.1, float("nan"), True, "auto"])
def test_a_balance_that_is_neither_estimated_nor_a_share_is_refused(mu: Any) -> None:
    with pytest.raises(
        dalib.DalibError, match=r"meda.mu = .* is out of range; give 'estimated' or a number in \[0, 1\]"
    ):
        fit("MEDA", turned(), mu=mu)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"components": 0.0}, "meda.components"),
        ({"weight": 0.0}, "meda.weight"),
        ({"eta": 0.0}, "meda.eta"),
        ({"neighbours": 0.0}, "meda.neighbours"),
        ({"iterations": 0.0}, "meda.iterations"),
        ({"rho": -1.0}, "meda.rho"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("MEDA", hparams, message)


def test_meda_never_predicts_a_class_without_source_rows() -> None:
    x_s, y_s, x_t, _ = turned()
    algorithm = dalib.MEDA(components=2)
    algorithm.attach(dalib.Network.on_features(D, 4, bottleneck=0))

    some, names = y_s != 1, tuple("abcd")
    algorithm.fit(Rows(), dalib.Domain("s", x_s[some], y_s[some], names, ""), dalib.Domain("t", x_t, None, names, ""))  # type: ignore[arg-type]
    logits = algorithm.predict(torch.as_tensor(x_t))[1]
    assert logits.shape == (len(x_t), 4)
    assert set(logits.argmax(1).tolist()) == {0, 2, 3}


@pytest.mark.parametrize("task", ["dslr->webcam", "webcam->dslr"])
def test_small_surf_tasks_reach_the_published_accuracy_to_its_last_figure(shared_data: Path, task: str) -> None:
    check_small_surf_tasks_reach_the_published_accuracy_to_its_last_figure(shared_data, "MEDA", task)


def test_few_rows_are_answered_alike_in_any_order() -> None:
    check_few_rows_are_answered_alike_in_any_order("MEDA")


@pytest.mark.slow
def test_surf_average_is_the_published_one(shared_data: Path) -> None:
    check_surf_average_is_the_published_one(shared_data, "MEDA", 52.7, 0.05)
