"""What a model file says of itself is checked before it is believed; damage and what is no number are told."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dalib.checks.world import DIM, make_task
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS
from dalib.train import model_file
from dalib.train.model_facts import read_facts
from dalib.train.model_file import load_model, save_model
from dalib.train.trainer import Trainer
from tests.support.image_world import recipe

FACTS = {
    "classes a number": {"classes": 5},
    "classes numbers": {"classes": [1, 2]},
    "no class": {"classes": []},
    "hparams a list": {"hparams": [1]},
    "an hparam that is none": {"hparams": {"nothing": 1}},
    "an absurd width": {"hparams": {"hidden": 10**12}},
    "config a list": {"config": []},
    "an absurd bottleneck": {"config": {"bottleneck": 2**40}},
    "a config of words": {"config": {"steps": "many"}},
    "no backbone": {"backbone": None},
    "a backbone of words": {"backbone": {"name": "identity", "dim": "wide", "frozen": False, "weights": "none"}},
    "an absurd dim": {"backbone": {"name": "identity", "dim": 2**50, "frozen": False, "weights": "none"}},
    "dim below one": {"backbone": {"name": "identity", "dim": -1, "frozen": False, "weights": "none"}},
    "algorithm a list": {"algorithm": ["dann"]},
    "preprocess a word": {"preprocess": "none"},
    "origins a fraction": {"origins": 0.5},
    "extra a list": {"extra": []},
    "objective a number": {"objective": 5},
}


def _save_dann(folder: Path) -> Path:
    algorithm = ALGORITHMS.get("dann")(hidden=8)
    return save_model(Trainer(recipe(steps=1), device="cpu").fit(algorithm, make_task(), identity(DIM)), folder / "m")


def _write_first_format(model: Path, changes: dict[str, object], tensors: dict[str, Tensor] | None = None) -> Path:
    """The same file as it was before checksums, with other facts or tensors."""
    facts, state = read_facts(model) | {"format": 1} | changes, load_file(model) | (tensors or {})
    path = model.with_name("first.safetensors")
    save_file(state, path, metadata={"dalib": json.dumps(facts)})
    return path


@pytest.mark.parametrize("changes", FACTS.values(), ids=FACTS)
def test_facts_that_are_none_are_refused_in_one_line(changes: dict[str, object], tmp_path: Path) -> None:
    path = _write_first_format(_save_dann(tmp_path), changes)
    with pytest.raises(DalibError, match=r"first\.safetensors|no algorithm|no hyper-parameter") as caught:
        load_model(path, "cpu")
    assert "\n" not in str(caught.value)


def test_a_file_of_the_first_format_is_read(tmp_path: Path) -> None:
    model = _save_dann(tmp_path)
    old, domain = _write_first_format(model, {}), make_task().test
    assert torch.equal(load_model(old, "cpu").outputs(domain).logits, load_model(model, "cpu").outputs(domain).logits)


def test_a_flipped_bit_is_told(tmp_path: Path) -> None:
    model, chance = _save_dann(tmp_path), random.Random(0)
    whole = model.read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        model.write_bytes(damaged)
        with pytest.raises(DalibError):
            load_model(model, "cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_predict_nothing(value: float, tmp_path: Path) -> None:
    model = _save_dann(tmp_path)
    name = "algorithm.network.head.weight"
    path = _write_first_format(model, {}, {name: torch.full_like(load_file(model)[name], value)})
    with pytest.raises(DalibError, match=f"nan or infinity in {name}"):
        load_model(path, "cpu")


def test_what_a_file_says_is_read_without_building_the_model(tmp_path: Path) -> None:
    facts = read_facts(_save_dann(tmp_path))
    assert facts["algorithm"] == "dann"
    assert facts["hparams"]["hidden"] == 8
    assert facts["backbone"]["dim"] == DIM
    assert model_file.read_facts is read_facts  # where it was before it had a file of its own
