"""From a trained model to a network that another algorithm can go on with."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import replace

import torch

from dalib.backbones import find_plugin, load_backbone
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone, identity
from dalib.core.combination import Combination
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS, BACKBONES
from dalib.train.fitted import Fitted

LINEAR = ("logistic", "lda")
"""Classifiers whose state is the weights of a linear head that gives log-probabilities."""


def source_free_algorithms() -> list[str]:
    """Names of the algorithms that need a trained model and unlabelled rows only; imports all of them."""
    return [name for name in ALGORITHMS.names() if ALGORITHMS.get(name).source_free]


def check_source_free(algorithm: Algorithm | type[Algorithm]) -> None:
    """DalibError, which names algorithms that can, for one that needs source rows."""
    if not algorithm.source_free:
        raise DalibError(
            f"{algorithm.name_for_people()} needs source rows, and a trained model has none; take one of "
            f"{', '.join(source_free_algorithms())}, or train on both domains (dalib train)"
        )


def continue_network(model: Fitted) -> tuple[Network, Backbone]:
    """(network, backbone) as copies: what the model predicts is what the network's own head says.

    Raises
        DalibError: the model predicts in another way, or its network is no longer what its backbone's name says
    """
    algorithm, name = model.algorithm, model.algorithm.name_for_people()
    if len(model.classes) < 2 and algorithm.network.objective.name == "classification":
        raise DalibError(f"the model knows one class ('{model.classes[0]}') only, so nothing can be told apart")
    if algorithm.rejects:
        raise DalibError(
            f"a model of {name} answers 'unknown' too, which no source-free algorithm here keeps; take a model of "
            "source_only, fine_tune or linear_probe"
        )
    backbone = model.backbone.copied()
    if isinstance(algorithm, FeatureAlgorithm):
        return _with_solved_head(algorithm, backbone, name), backbone
    parts: list[Algorithm] = list(algorithm.parts.values()) if isinstance(algorithm, Combination) else [algorithm]
    owners = [part for part in parts if _answers_otherwise(type(part))]
    if owners:
        raise DalibError(
            f"a model of {owners[0].name_for_people()} does not predict by its network's head alone, so nothing can go "
            "on from it; take a model of source_only, fine_tune or linear_probe"
        )
    network = deepcopy(algorithm.network)
    if not backbone.frozen:
        _refuse_altered(network, backbone, name)
        backbone = replace(backbone, module=network.backbone, groups=network.groups)
    network.origins, network.target_origin = 1, -1
    for part in (network.bottleneck, network.head):
        part.requires_grad_(True)  # what its algorithm froze is this one's to decide
    return network, backbone


def _answers_otherwise(cls: type[Algorithm]) -> bool:
    return cls.predict is not Algorithm.predict or cls.answer is not Algorithm.answer


def _with_solved_head(algorithm: FeatureAlgorithm, backbone: Backbone, name: str) -> Network:
    """The network whose head is a solved linear classifier on the backbone's own features."""
    cls = type(algorithm)
    plain = cls.predict is FeatureAlgorithm.predict and cls.project is FeatureAlgorithm.project
    if not plain or algorithm.classifier not in LINEAR:
        how = "moves rows before it classifies them" if not plain else f"answers by {algorithm.classifier}"
        raise DalibError(
            f"a model of {name} {how}, so it is no network that could be trained further; take a model of source_only, "
            "fine_tune or linear_probe (classifier = logistic)"
        )
    inner = identity(backbone.dim) if backbone.frozen else backbone
    network = Network(inner, algorithm.network.outputs, 0, objective=algorithm.network.objective)
    state = {key: getattr(algorithm, f"classifier_{key}").float() for key in ("weight", "bias")}
    network.head.load_state_dict(state)
    return network


def _refuse_altered(network: Network, backbone: Backbone, name: str) -> None:
    """DalibError where an algorithm put modules into the network that a file of another algorithm would not tell of."""
    if find_plugin(backbone.name) not in BACKBONES:
        return
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            built = load_backbone(
                backbone.name, "none", dim=backbone.dim, rows=backbone.rows, **dict(backbone.options)
            ).module
        except NotImplementedError:  # a network that cannot be built without numbers
            return
    if {*built.state_dict()} != {*network.backbone.state_dict()}:
        raise DalibError(
            f"{name} put modules of its own into the network, so no other algorithm can go on from it; take a model of "
            "source_only, fine_tune or linear_probe"
        )
