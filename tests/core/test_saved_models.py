"""Models that transformers saved: what is not all there is refused in one line, where transformers would draw it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dalib.backbones import load_backbone
from dalib.core.errors import DalibError
from dalib.core.rows import row_shape
from dalib.core.saved_models import find_folder, load_saved, read_settings
from dalib.core.texts import encode_names
from tests.support.text_encoder import save_encoder

transformers = pytest.importorskip("transformers", reason="optional dependency (pip install dalib-toolkit[text])")
Weights = dict[str, torch.Tensor]
IDS = row_shape(np.array([[1, 2]]))


def change(folder: Path, edit: Callable[[Weights], object]) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def lose(part: str) -> Callable[[Weights], object]:
    return lambda state: [state.pop(name) for name in list(state) if part in name]


def spoil(state: Weights) -> None:
    state["encoder.layer.0.output.dense.weight"][0, 0] = torch.nan


def grow(state: Weights) -> None:
    state.update({n.replace("layer.0", "layer.1"): v.clone() for n, v in state.items() if "layer.0" in n})


def widen(state: Weights) -> None:
    state["embeddings.LayerNorm.weight"] = torch.ones(17)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lose("layer.0.output"), r"lacks 4 of its weights \(encoder.layer.0.output.LayerNorm.bias\).*would be random"),
        (lose("embeddings"), "lacks 5 of its weights"),
        (spoil, r"holds nan or infinity in encoder.layer.0.output.dense.weight"),
        (grow, r"layers that its config.json has not \(encoder.layer.1"),
        (widen, "config.json and model.safetensors differ in the shape of embeddings.LayerNorm.weight"),
    ],
)
def test_weights_that_are_not_those_of_the_config_are_refused(
    edit: Callable[[Weights], object], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_encoder(tmp_path / "bert", ["pen"])
    change(tmp_path / "bert", edit)
    capfd.readouterr()
    for use in (
        lambda: load_backbone("hf", str(tmp_path / "bert"), rows=IDS),
        lambda: encode_names(["pen"], str(tmp_path / "bert")),
    ):
        with pytest.raises(DalibError, match=words) as caught:
            use()
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", ""), "transformers prints no report beside the line"


def test_what_nobody_asks_for_may_be_missing_or_there(tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    _, model = save_encoder(folder, ["pen"])
    change(folder, lambda state: state.update({"cls.predictions.decoder.weight": torch.zeros(6, 16)}))
    saved = load_saved(transformers.AutoModel, folder, "it", unused=("pooler.",))
    torch.testing.assert_close(saved.encoder.state_dict(), model.encoder.state_dict())
    with pytest.raises(DalibError, match=r"it lacks 2 of its weights \(pooler.dense.bias\)"):
        load_saved(transformers.AutoModel, folder, "it")


def test_weights_of_half_precision_are_trained_in_single(tmp_path: Path) -> None:
    _, model = save_encoder(tmp_path / "bert", ["pen"])
    model.half().save_pretrained(tmp_path / "bert")
    backbone = load_backbone("hf", str(tmp_path / "bert"), rows=IDS)
    assert {p.dtype for p in backbone.module.parameters()} == {torch.float32}


def test_a_config_that_describes_nothing_is_one_line() -> None:
    for config in ({"model_type": "nothing"}, {"model_type": "bert", "hidden_size": "wide"}, {"hidden_size": 8}):
        with pytest.raises(DalibError, match=r"hf.config describes no encoder") as caught:
            load_backbone("hf", "none", rows=IDS, config=config)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", "null", "", '{"a": ' * 100_000])
def test_settings_that_are_none_are_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(DalibError, match=r"config.json (is no JSON|holds no object)"):
        read_settings(tmp_path / "config.json")
    (tmp_path / "config.json").write_text(json.dumps({"a": 1}))
    assert read_settings(tmp_path / "config.json") == {"a": 1}


def test_a_folder_is_looked_for_here_and_below_the_bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_folder("m", tmp_path / "data") is None
    for place in ("data/m", "m"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").write_text("{}")
        found = find_folder("m", tmp_path / "data")
        assert found is not None and found.resolve() == tmp_path / place
    assert find_folder("~nobody-of-that-name/m") is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "bert", "hiden_size": 8}, "no setting of hf.config named 'hiden_size'; did you mean 'hidden_"),
        ({"model_type": "gpt2", "n_hed": 2}, "no setting of hf.config named 'n_hed'; did you mean 'n_head'"),
    ],
)
def test_a_key_of_a_config_that_nobody_reads_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(DalibError, match=words):
        load_backbone("hf", "none", rows=IDS, config=config)


def test_a_key_that_the_architecture_knows_by_another_name_is_taken() -> None:
    """GPT-2 calls its width n_embd; `num_labels` is made of `id2label`."""
    config = {"model_type": "gpt2", "vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 1, "num_labels": 3}
    assert load_backbone("hf", "none", rows=IDS, config=config | {"num_attention_heads": 2}).dim == 8
