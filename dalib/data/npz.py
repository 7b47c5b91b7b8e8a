"""Arrays of an .npz: read with nothing executed and nothing taken on trust, and checked as rows."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.limits import refuse_bomb

LAYOUT = "an .npz with <domain>_x (n, d) and, unless it is a target without labels, <domain>_y (n,) for each domain"


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an .npz.

    Raises
        DalibError: no such file, not an .npz, one that holds Python objects, or less than it says
    """
    if not path.is_file():
        raise DalibError(f"no feature file {path}; expected {LAYOUT}")
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with file:
            _check_sizes(path, file.zip or zipfile.ZipFile(path))
            return {key: file[key] for key in file.files}
    except (DalibError, MemoryError):
        raise
    except Exception as error:  # zipfile, zlib, NumPy and the tokens of its headers have many words for damage
        pickled = "allow_pickle" in str(error) and zipfile.is_zipfile(path)
        reason = (
            "it holds Python objects; save plain arrays (words: y.astype(str))" if pickled else f"expected {LAYOUT}"
        )
        raise DalibError(f"cannot read feature file {path}: {reason}") from error


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """What the file says of itself is borne out, before anything is allocated.

    Raises
        DalibError: it inflates hugely, or an array's header tells of more numbers than follow it
    """
    refuse_bomb(path, sum(info.file_size for info in archive.infolist()))
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        with archive.open(info) as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
            shape, _, dtype = read(file)
        told = math.prod(shape) * dtype.itemsize
        if told > info.file_size and not dtype.hasobject:
            raise DalibError(
                f"cannot read feature file {path}: {info.filename.removesuffix('.npy')} of shape {shape} needs {told} "
                f"bytes, and {info.file_size} are there; write it again"
            )


def check_rows(path: Path, key: str, arrays: dict[str, np.ndarray], *, flat: bool = True) -> np.ndarray:
    """Rows stored under `key` (`<domain>_x` or `x`), times `<domain>_scale` (`scale`) where there is one.

    A modality `<domain>_x_image` has its own `<domain>_x_image_scale`.

    Args
        flat: only (n, d) will do; else more axes too
    Raises
        DalibError: not a matrix, not real numbers, NaN or infinity
    """
    x, scale_key = arrays[key], f"{key[:-1]}scale" if key == "x" or key.endswith("_x") else f"{key}_scale"
    if x.ndim < 2 or (flat and x.ndim > 2) or 0 in x.shape:
        expected = "(n, d)" if flat else "(n, d), (n, channels, time)"
        raise DalibError(f"{path}: {key} has shape {x.shape}; expected {expected}, one row per sample")
    if x.dtype.kind not in "iufb":
        raise DalibError(f"{path}: {key} has dtype {x.dtype}; expected real numbers")
    if not x.dtype.isnative:  # which PyTorch does not read
        x = x.astype(x.dtype.newbyteorder("="))
    if scale_key in arrays:
        scale = arrays[scale_key]
        if scale.size != 1 or scale.dtype.kind not in "iuf" or not np.isfinite(scale).all():
            raise DalibError(f"{path}: {scale_key} has shape {scale.shape}; expected one finite number")
        if float(scale.reshape(())) <= 0:
            raise DalibError(f"{path}: {scale_key} = {float(scale.reshape(())):g}; rows are multiplied by it, give > 0")
        x = x.astype(np.float64) * float(scale.reshape(()))
    if not np.isfinite(x).all():
        row = int(np.argmin(np.isfinite(x).reshape(len(x), -1).all(1)))
        raise DalibError(f"{path}: {key} has NaN or infinity, first in row {row}; remove or fill such rows")
    return x
