"""What a user froze by `requires_grad = False` is not trained, and is told; what a fit froze is free for the next."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import dalib
from dalib.checks.world import DIM, make_task
from dalib.core.backbone import Backbone
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.trainer import Trainer

RECIPE = TrainConfig(steps=4, batch_size=8, backbone_rate=1.0)


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(DIM, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6))


def _fit(network: nn.Module, algorithm: dalib.Algorithm | None = None) -> Fitted:
    backbone = Backbone.of(network, make_task().labelled.x)
    return Trainer(RECIPE, device="cpu").fit(algorithm or dalib.DANN(), make_task(), backbone)


@pytest.mark.parametrize("parts", [["0"], ["0", "1"], ["0.weight"], ["3.bias"]], ids="+".join)
@pytest.mark.parametrize("name", ["dann", "mean_teacher", "lp_ft", "gradual_unfreezing", "adabn"])
def test_frozen_parameters_stay_and_the_user_is_told_how_many(parts: list[str], name: str) -> None:
    network, before = _network(), _network().state_dict()
    for key, parameter in network.named_parameters():
        parameter.requires_grad_(not any(key.startswith(part) for part in parts))
    frozen = {key for key, p in network.named_parameters() if not p.requires_grad}
    with pytest.warns(UserWarning, match=f"{len(frozen)} of backbone module's 6 parameter tensors .* stay frozen"):
        fitted = _fit(network, dalib.core.registry.ALGORITHMS.get(name)())
    after = fitted.backbone.module.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in frozen)
    assert {key for key, p in fitted.backbone.module.named_parameters() if not p.requires_grad} >= frozen
    if "1" in parts and name != "adabn":
        assert torch.equal(after["1.running_mean"], before["1.running_mean"]), "a frozen batch norm measures nothing"


def test_what_is_not_frozen_trains_and_nothing_is_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = _fit(_network())
    before = _network().state_dict()
    assert all(not torch.equal(p, before[name]) for name, p in fitted.backbone.module.named_parameters())


def test_what_a_fit_froze_is_free_in_the_next_and_what_the_user_froze_is_not() -> None:
    network = _network()
    network[0].requires_grad_(False)
    with pytest.warns(UserWarning, match="stay frozen"):
        probed = _fit(network, dalib.core.registry.ALGORITHMS.get("linear_probe")())
    before = copy.deepcopy(probed.backbone.module.state_dict())
    with pytest.warns(UserWarning, match="stay frozen"):
        later = Trainer(RECIPE, device="cpu").fit(dalib.DANN(), make_task(), probed.backbone)
    after = later.backbone.module.state_dict()
    assert torch.equal(after["0.weight"], before["0.weight"])
    assert not torch.equal(after["3.weight"], before["3.weight"])


def test_the_estimator_keeps_them_too() -> None:
    network = _network()
    network[0].requires_grad_(False)
    task = make_task()
    model = dalib.AdaptationClassifier(dalib.DANN(), backbone=network, train={"steps": 4}, device="cpu")
    with pytest.warns(UserWarning, match="stay frozen"):
        model.fit(np.asarray(task.labelled.x), task.labelled.labels, np.asarray(task.target.x))
    assert torch.equal(model.fitted_.backbone.module[0].weight, network[0].weight)


@pytest.mark.parametrize("algorithm", [dalib.DANN(), dalib.DANN() + dalib.MCC()], ids=["one", "sum"])
def test_a_fitted_model_is_kept_by_pickle_and_torch_save(algorithm: dalib.Algorithm) -> None:
    """What stays frozen is a set of parameters, which a copy must hold as its own."""
    network = _network()
    network[0].requires_grad_(False)
    task = make_task()
    with pytest.warns(UserWarning, match="stay frozen"):
        fitted = _fit(network, algorithm)
    file = io.BytesIO()
    torch.save(fitted, file)
    file.seek(0)
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), torch.load(file, weights_only=False)):
        assert torch.equal(again.outputs(task.test).logits, fitted.outputs(task.test).logits)
        assert len(again.fixed) == 2 and again.fixed <= set(again.algorithm.parameters())
