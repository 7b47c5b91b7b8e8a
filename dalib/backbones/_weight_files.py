"""Files of weights: opened without running code, and called what they are where they are something else."""

from __future__ import annotations

import argparse
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dalib.core.checksum import header_sum_is_right
from dalib.core.errors import DalibError

_OTHERS = {
    b"\x89HDF": "an HDF5 file (Keras)",
    b"\x1f\x8b": "compressed (gzip); unpack it first",
    b"\x08": "an ONNX or protobuf file",
    b"GGUF": "a GGUF file",
}


def refuse_other(path: Path) -> None:
    """DalibError for a file that is no weights at all, with what it is."""
    with path.open("rb") as file:
        start = file.read(300)
    if not start:
        raise DalibError(f"weights file '{path}' is empty; copy or download it again")
    if start.startswith(b"version https://git-lfs"):
        raise DalibError(f"weights file '{path}' is a Git LFS pointer, not the file itself; fetch it: git lfs pull")
    if start.lstrip()[:1] == b"<":
        raise DalibError(f"weights file '{path}' is a web page, not weights; download the file itself")
    if path.suffix == ".safetensors":
        return
    for first, what in (*_OTHERS.items(), (b"", "no file that PyTorch wrote")):
        if start.startswith(first) and start[:2] != b"PK" and start[:1] != b"\x80" and b"ustar" not in start[257:270]:
            raise DalibError(f"weights file '{path}' is {what}; save module.state_dict() with torch.save")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if bad := archive.testzip():
                warnings.warn(
                    f"'{path}': the checksum of {bad} is another; it is damaged, or was written without checksums",
                    UserWarning,
                    stacklevel=5,
                )
            if any(name.endswith("constants.pkl") for name in archive.namelist()):
                raise DalibError(f"weights file '{path}' is a TorchScript program; save module.state_dict() instead")


@contextmanager
def harmless() -> Iterator[None]:
    """Allows what training programs often keep beside weights and what runs no code: numbers of NumPy, arguments.

    NumPy 2 calls a module otherwise than NumPy 1, so each is found by both names.
    """
    multiarray = (getattr(np, "_core", None) or np.core).multiarray
    makers = [
        _called(getattr(multiarray, name), f"numpy.{core}.multiarray", name)
        for name in ("scalar", "_reconstruct")
        for core in ("core", "_core")
    ]
    makers.append(_called(_encode, "_codecs", "encode"))  # which PyTorch 2.4 does not know
    kinds = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)}
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([*makers, np.ndarray, np.dtype, argparse.Namespace, *kinds])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as pickles of protocol 2 hold them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encode {encoding}")
    return text.encode(encoding)


def _called(function: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    """The function, as if it had been defined there."""

    def same(*args: Any) -> Any:
        return function(*args)

    same.__module__, same.__name__, same.__qualname__ = module, name, name
    return same


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """(tensors, maker): of a model file of dalib's those of its network alone."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, framework="pt") as handle:
        told = (handle.metadata() or {}).get("dalib", "")
    content = load_file(path)
    if not told:
        return content, ""
    try:
        facts = json.loads(told)
        maker, frozen = f"{facts['algorithm']} on {facts['backbone']['name']}", facts["backbone"]["frozen"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DalibError(f"weights file '{path}' is a dalib model whose facts are damaged; copy it again") from None
    if facts.get("format") != 1 and not header_sum_is_right(path.read_bytes(), str(facts.get("crc32", ""))):
        raise DalibError(f"weights file '{path}' is damaged: its checksum is another; copy it again")
    start = "backbone." if frozen else "algorithm.network.backbone."
    found = {k.removeprefix(start): v for k, v in content.items() if k.startswith(start)}
    if not found:
        raise DalibError(f"weights file '{path}' is a dalib model ({maker}) without a network of its own to start from")
    return found, maker
