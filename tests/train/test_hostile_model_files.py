"""Model files that ask for more memory than they bring, and model files of plug-ins that are not loaded."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dalib.checks.world import DIM, make_task
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, load_plugin
from dalib.train import model_file
from dalib.train.config import TrainConfig
from dalib.train.model_file import load_model, read_facts, save_model
from dalib.train.trainer import Trainer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    algorithm = ALGORITHMS.get("dann")(hidden=8)
    fitted = Trainer(TrainConfig(steps=1), device="cpu").fit(algorithm, make_task(), identity(DIM))
    return save_model(fitted, tmp_path / "model")


def retell(model: Path, changes: dict[str, Any]) -> Path:
    """The file with other facts, in the format without a checksum."""
    facts = read_facts(model) | {"format": 1}
    for name, value in changes.items():
        facts[name] = {**facts[name], **value} if isinstance(value, dict) and facts[name] else value
    path = model.with_name("retold.safetensors")
    save_file(load_file(model), path, metadata={"dalib": json.dumps(facts)})
    return path


@pytest.mark.parametrize(
    ("logits", "y"),
    [
        ((4, 7), torch.zeros(4, dtype=torch.int64)),
        ((4, 3), torch.full((4,), 9)),
        ((4, 3), torch.zeros(2, dtype=torch.int64)),
    ],
    ids=["other classes", "a label beyond them", "other rows"],
)
def test_held_out_answers_that_are_none_are_refused(model: Path, logits: tuple[int, int], y: torch.Tensor) -> None:
    tensors = load_file(model) | {"held_out.logits": torch.zeros(logits), "held_out.y": y}
    facts = read_facts(model) | {"format": 1}
    save_file(tensors, model, metadata={"dalib": json.dumps(facts)})
    with pytest.raises(DalibError, match=r"held_out.logits .* are no answers to 3 classes"):
        load_model(model)


def rows(*shape: int, ids: int = 0) -> dict[str, Any]:
    return {"shape": list(shape), "ids": ids, "fields": {}}


BOMBS: dict[str, dict[str, Any]] = {
    "a hidden layer of 60 000": {"hparams": {"hidden": 60_000}},
    "a bottleneck of half a million": {"config": {"bottleneck": 500_000}},
    "300 000 classes": {"classes": [str(k) for k in range(300_000)]},
    "layers of 100 000": {"backbone": {"name": "mlp", "options": {"hidden": [100_000] * 2}, "rows": rows(DIM)}},
    "a billion words": {"backbone": {"name": "text_transformer", "rows": rows(50, ids=10**9)}},
    "channels of 100 000": {"backbone": {"name": "cnn1d", "options": {"channels": [100_000] * 3}, "rows": rows(3, 50)}},
}


@pytest.mark.parametrize("changes", BOMBS.values(), ids=BOMBS)
def test_weights_that_the_file_does_not_hold_take_no_memory(
    changes: dict[str, Any], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = model_file._build

    def only_described(facts: dict[str, Any]) -> Any:
        assert torch.empty(0).device.type == "meta", "built with numbers"
        return build(facts)

    monkeypatch.setattr(model_file, "_build", only_described)
    with pytest.raises(DalibError, match="but what it says of itself needs"):
        load_model(retell(model, changes), "cpu")


def test_a_side_that_no_image_has_is_refused(model: Path) -> None:
    with pytest.raises(DalibError, match=r"preprocess\.resize is 1000000"):
        load_model(retell(model, {"preprocess": {"crop": 64, "resize": 10**6}}), "cpu")


@pytest.mark.parametrize("length", [1 << 40, (1 << 64) - 1, 1 << 27])
def test_a_header_longer_than_the_file_is_one_line(length: int, model: Path) -> None:
    model.write_bytes(struct.pack("<Q", length) + model.read_bytes()[8:])
    with pytest.raises(DalibError, match="is not a safetensors file, or damaged"):
        load_model(model, "cpu")


def test_facts_nested_without_end_are_one_line(model: Path) -> None:
    save_file(load_file(model), model, metadata={"dalib": "[" * 100_000})
    with pytest.raises(DalibError, match="is not a safetensors file, or damaged"):
        load_model(model, "cpu")


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "my_idea.py"
    path.write_text(
        "from dalib import Algorithm\n"
        "class MyIdea(Algorithm):\n"
        "    def adapt(self, source, target, progress):\n"
        "        return {'mean': (source.z.mean(0) - target.z.mean(0)).square().sum()}\n"
    )
    load_plugin(path)
    yield path
    if "my_idea" in ALGORITHMS:
        ALGORITHMS.remove("my_idea")


@pytest.mark.parametrize("name", ["my_idea", "mcc+my_idea"])
def test_a_model_of_a_plugin_names_its_file(name: str, plugin: Path, tmp_path: Path) -> None:
    algorithm = ALGORITHMS.get(name)()
    fitted = Trainer(TrainConfig(steps=1), device="cpu").fit(algorithm, make_task(), identity(DIM))
    path = save_model(fitted, tmp_path / "idea", name)
    assert read_facts(path)["plugins"] == ["my_idea.py"]
    ALGORITHMS.remove("my_idea")
    with pytest.raises(DalibError, match=r"needs algorithm '.*my_idea.*give .*--plugin my_idea\.py \(dalib\.load_plug"):
        load_model(path, "cpu")
    load_plugin(plugin)
    assert type(load_model(path, "cpu").algorithm).__name__.lower().endswith("myidea")


def test_a_model_of_dalibs_own_names_no_plugin(model: Path) -> None:
    assert "plugins" not in read_facts(model)
