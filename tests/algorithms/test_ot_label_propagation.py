"""OTLabelPropagation: Label propagation through a transport plan; no row moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ot
import pytest
import torch
from scipy.spatial.distance import cdist

from tests.support.algorithms import check_refusal
from tests.support.carried_labels import (
    Data,
    K,
    blobs,
    check_a_class_without_source_rows_is_never_predicted,
    check_collapsed_and_huge_features_give_finite_logits,
    check_rows_that_were_not_transported_are_classified_as_well,
    check_surf_average_is_far_above_that_of_nearest_neighbours,
    fit,
    logits,
    moved,
    scores,
)


@pytest.mark.parametrize("method", ["emd", "sinkhorn"])
@pytest.mark.parametrize(("classifier", "baseline"), [("logistic", "LinearProbe"), ("nearest", "NearestNeighbour")])
def test_label_propagation_beats_its_own_classifier(method: str, classifier: str, baseline: str) -> None:
    before, after = scores(baseline), scores("OTLabelPropagation", method=method, classifier=classifier)
    assert (after > before + 0.1).all(), f"{after}, {baseline}: {before}"


def test_rows_that_were_not_transported_are_classified_as_well() -> None:
    check_rows_that_were_not_transported_are_classified_as_well("OTLabelPropagation")


def pot_labels(data: Data, method: str) -> np.ndarray:
    """POT's soft labels of the target rows (m, K)."""
    x_s, y_s, x_t, _ = data
    if method == "emd":
        transport = ot.da.EMDTransport(norm="max")
    else:
        transport = ot.da.SinkhornTransport(reg_e=0.03, norm="max", max_iter=20_000, tol=1e-11)
    return transport.fit(Xs=x_s, Xt=x_t).transform_labels(y_s)


@pytest.mark.parametrize("method", ["emd", "sinkhorn"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_carried_labels_are_pots(method: str, dtype: Any) -> None:
    expected = pot_labels(moved(), method).argmax(1)
    algorithm = fit("OTLabelPropagation", moved(), dtype, method=method, classifier="nearest")
    assert (algorithm.classifier_labels.numpy() == expected).all()
    assert (logits(algorithm, moved()[2].astype(dtype)).argmax(1) == expected).all()


@pytest.mark.parametrize("method", ["emd", "sinkhorn"])
def test_soft_labels_are_pots_and_have_the_sources_proportions(method: str) -> None:
    """The second half is why the method cannot follow a target with other proportions."""
    from dalib.nn.transport import barycentric_map, emd, sinkhorn

    x_s, _ = blobs(0, 0, np.repeat([0, 1, 2, 3], [50, 20, 15, 5]))
    y_s = np.repeat([0, 1, 2, 3], [50, 20, 15, 5])
    x_t = moved()[2]
    cost = torch.from_numpy(cdist(x_s, x_t, "sqeuclidean"))
    plan = emd(cost) if method == "emd" else sinkhorn(cost, 0.03)
    L = barycentric_map(plan.T, torch.eye(K, dtype=torch.float64)[y_s]).numpy()
    np.testing.assert_allclose(L, pot_labels((x_s, y_s, x_t, y_s), method), atol=1e-8)
    np.testing.assert_allclose(L.mean(0), np.bincount(y_s) / len(y_s), atol=1e-7)


def test_a_class_without_source_rows_is_never_predicted() -> None:
    check_a_class_without_source_rows_is_never_predicted("OTLabelPropagation")


@pytest.mark.parametrize(
    "change",
    [lambda x: 0 * x, lambda x: 0 * x + 1e6, lambda x: 1e12 * x, lambda x: 1e-12 * x],
    ids=["zero", "constant", "huge", "tiny"],
)
def test_collapsed_and_huge_features_give_finite_logits(change: Any) -> None:
    check_collapsed_and_huge_features_give_finite_logits("OTLabelPropagation", change)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"reg": 0.0}, "ot_label_propagation.reg = 0.0 is out of range; give a number > 0"),
        ({"C": 0.0}, "ot_label_propagation.C = 0.0 is out of range; give a number > 0"),
        ({"method": "sinkorn"}, "did you mean 'sinkhorn'"),
        ({"classifier": "nearst"}, "did you mean 'nearest'"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("OTLabelPropagation", hparams, message)


@pytest.mark.slow
def test_surf_average_is_far_above_that_of_nearest_neighbours(shared_data: Path) -> None:
    check_surf_average_is_far_above_that_of_nearest_neighbours(shared_data, "OTLabelPropagation", 41.0)
