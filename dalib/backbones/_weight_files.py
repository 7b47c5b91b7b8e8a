"""Files of weights: opened without running code, and called what they are where they are something else."""

from __future__ import annotations

import argparse
import json
import warnings
import zipfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

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


def harmless() -> AbstractContextManager[object]:
    """Allows what training programs often keep beside weights and what runs no code: numbers of NumPy, arguments."""
    scalar = getattr(np, "_core", None) or np.core
    kinds = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)}
    allowed = [scalar.multiarray.scalar, np.dtype, argparse.Namespace, *kinds]
    safe = getattr(torch.serialization, "safe_globals", None)
    return nullcontext() if safe is None else safe(allowed)


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
