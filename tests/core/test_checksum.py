"""A checksum sees every flipped bit; what was written before checksums is read as it is."""

from __future__ import annotations

import io
import json
import random

import numpy as np
import pytest

from dalib.core.checksum import Damaged, is_sealed, seal, seal_json, unseal, unseal_json


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 9], ids=["nothing", "one", "much"])
def test_what_was_sealed_comes_back_and_no_flip_does(content: bytes) -> None:
    sealed, chance = seal(content), random.Random(0)
    assert unseal(sealed) == content
    for _ in range(200):
        flipped = bytearray(sealed)
        flipped[chance.randrange(len(sealed))] ^= 1 << chance.randrange(8)
        with pytest.raises(Damaged):
            unseal(bytes(flipped))


def test_a_sealed_zip_file_is_a_zip_file() -> None:
    file = io.BytesIO()
    np.savez(file, a=np.arange(5))
    sealed = seal(file.getvalue())
    assert is_sealed(sealed) and not is_sealed(file.getvalue())
    assert np.load(io.BytesIO(sealed))["a"].tolist() == [0, 1, 2, 3, 4]
    assert np.load(io.BytesIO(unseal(sealed)))["a"].tolist() == [0, 1, 2, 3, 4]


def test_a_json_object_carries_its_checksum_as_a_field() -> None:
    text = json.dumps({"a": 1, "b": {"c": "é"}}, indent=1)
    sealed = seal_json(text)
    assert list(json.loads(sealed)) == ["a", "b", "crc32"]
    assert unseal_json(sealed.encode()) == text.encode()
    assert unseal_json(text.encode()) == text.encode(), "an older file"


def test_no_flip_in_a_json_object_is_taken_for_its_content() -> None:
    text, chance = json.dumps({"a": 1, "b": {"c": "é"}}, indent=1), random.Random(0)
    sealed = seal_json(text).encode()
    for _ in range(400):
        flipped = bytearray(sealed)
        flipped[chance.randrange(len(sealed))] ^= 1 << chance.randrange(8)
        try:
            content = json.loads(unseal_json(bytes(flipped)))
        except ValueError:
            continue
        assert set(content) != {"a", "b"} or content == json.loads(text), bytes(flipped)
