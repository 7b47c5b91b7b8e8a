"""One run in words: every setting checked, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dalib.backbones import own_weights
from dalib.backbones._pretraining import check_pretraining
from dalib.bench.suite import validate
from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.protocol import ProtocolSpec
from dalib.core.registry import ALGORITHMS, BACKBONES, PROTOCOLS
from dalib.core.seeds import check_seed
from dalib.data.backbone import default_backbone, default_frozen
from dalib.data.peek import peek_objective
from dalib.data.recognise import find_declaration
from dalib.records.sections import sort_options
from dalib.records.spec import RunSpec
from dalib.train.model_file import registered_name
from dalib.train.recipes import fill_recipe


def describe_run(
    dataset: str,
    source: str,
    target: str,
    algorithm: str | Algorithm,
    *,
    hparams: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    backbone: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    seed: int = 0,
    root: str | Path | None = None,
) -> RunSpec:
    """The description of a run, every setting checked and defaults filled in; arguments as for `fit`.

    Raises
        DalibError: a setting that is not one, or a value out of range
    """
    if isinstance(algorithm, Algorithm):
        if hparams:
            raise DalibError("hparams belong to an algorithm given by name; set them in the algorithm itself")
        hparams, algorithm = algorithm.hparams, registered_name(algorithm)
    check_seed(seed)
    sections = {"hparams": hparams, "train": train, "protocol": protocol, "backbone": backbone, "data": data}
    for section, given in sections.items():
        if given is not None and not isinstance(given, Mapping):
            key = "steps" if section == "train" else "name" if section in ("protocol", "backbone") else "KEY"
            raise DalibError(f"{section} = {given!r} is no mapping of settings; give {section}={{{key!r}: …}}")
    info, network = find_declaration(dataset), dict(backbone or {})
    if not network.get("name"):
        network["name"] = default_backbone(info)
        network.setdefault("frozen", default_frozen(info))
    BACKBONES.get(network["name"].partition(":")[0])
    network = sort_options(network)
    network["weights"] = network.get("weights") or own_weights(network["name"])
    name = ALGORITHMS.canonical(algorithm)
    cls = ALGORITHMS.get(name)
    reject = (protocol or {}).get("reject", 1.0)
    if cls.rejects and reject != 1:
        raise DalibError(
            f"protocol.reject = {reject} has no effect on {name}, which has an output for unknown; leave it out"
        )
    if reject != 1:
        cls.create(name, dict(hparams or {})).need_probabilities(f"protocol.reject = {reject}")
    kind = peek_objective(info, dataset, root)
    frozen = bool(network.get("frozen"))
    content = {
        "data": {**(data or {}), "dataset": dataset},
        "source": source,
        "target": target,
        "protocol": dict(protocol or {}),
        "algorithm": name,
        "algorithm_version": cls.version,
        "hparams": cls.create(name, dict(hparams or {})).hparams,
        "backbone": network,
        "train": fill_recipe(train or {}, cls, network["name"], network["weights"], frozen, kind),
        "seed": seed,
    }
    spec = validate(RunSpec, content, f"run {name} {source}->{target}")
    check_pretraining(spec.backbone.pretraining)
    _refuse_ignored(spec.protocol, set(protocol or {}))
    return spec


def _refuse_ignored(protocol: ProtocolSpec, given: set[str]) -> None:
    """Raise DalibError for a setting that was given and that the protocol does not read."""
    for name in PROTOCOLS.get(protocol.name).ignored(protocol):
        if name not in given:
            continue
        ways = [protocol.model_copy(update={"split": split}) for split in ("fraction", "shots")]
        split = [f"split = '{way.split}'" for way in ways if name not in PROTOCOLS.get(way.name).ignored(way)]
        other = [f"name = '{n}'" for n in PROTOCOLS.names() if name not in PROTOCOLS.get(n).ignored(protocol)]
        raise DalibError(
            f"protocol.{name} = {getattr(protocol, name)} changes nothing under {protocol.name} with split = "
            f"'{protocol.split}'; leave it out, or give protocol.{' or protocol.'.join(split + other)}, which reads it"
        )
