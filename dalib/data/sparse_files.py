"""Files of sparse rows, for scikit-learn: read as they are, never made dense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.packing import MAT_LABELS, MAT_ROWS, read_mat

SVMLIGHT = (".svm", ".libsvm", ".svmlight")


class SparseRows(NamedTuple):
    """Rows of several domains.

    X: scipy.sparse CSR matrix (n, d), float64; y: (n,) labels, -1 where a file has none; domain: (n,) a name per row
    """

    X: Any
    y: np.ndarray
    domain: np.ndarray


def read_sparse(files: Sequence[str | Path], labels: Mapping[Any, int] | None = None) -> SparseRows:
    """A file of sparse rows per domain, called by the file's name: `.mat`, svmlight, or scipy.sparse's `.npz`.

    `.mat` files have rows and labels under the names that `dalib.data.packing.arrays_of_mat` knows; `.svm`, `.libsvm`
    and `.svmlight` are texts, the widest of which tells how many columns there are; `scipy.sparse.save_npz` has no
    labels.

    Args
        labels: label in the files -> label in y, `{-1: 0, 1: 1}`; None: as they are, of which -1 is none then

    Example
        X, y, domain = read_sparse(["books.mat", "kitchen.mat"])
        model.fit(X, y, sample_domain=dalib.sign_domains(domain, target="kitchen"))

    Raises
        DalibError: a file of another kind or with dense rows, other widths, labels that do not fit
    """
    from scipy.sparse import csr_matrix, vstack

    parts = _read_all([Path(file) for file in files])
    if not parts:
        raise DalibError("no file of sparse rows; give one per domain")
    names = [Path(file).stem for file in files]
    if len(set(names)) < len(names):
        raise DalibError(f"files of one name ({', '.join(names)}); domains are called by it: rename one")
    width = max(X.shape[1] for X, _ in parts)
    rows, y = [], []
    for file, (X, own) in zip(files, parts, strict=True):
        if X.shape[1] < width and Path(file).suffix.lower() not in SVMLIGHT:
            raise DalibError(
                f"{file} has {X.shape[1]} columns, another file {width}; give all domains the same columns"
            )
        if not np.isfinite(X.data).all():
            raise DalibError(f"{file} has NaN or infinity among its numbers; fill them, or leave such rows out")
        rows.append(csr_matrix((X.data, X.indices, X.indptr), (X.shape[0], width)))
        y.append(np.full(X.shape[0], -1) if own is None else _labels(str(file), own, labels))
    return SparseRows(vstack(rows, format="csr"), np.concatenate(y), np.repeat(names, [X.shape[0] for X in rows]))


def _read_all(paths: list[Path]) -> list[tuple[Any, np.ndarray | None]]:
    """Texts are read together: whether their columns count from 0 or 1 shows in all of them only."""
    from sklearn.datasets import load_svmlight_files

    texts = [path for path in paths if path.suffix.lower() in SVMLIGHT]
    others = {path: _read(path) for path in paths if path not in texts}
    _need(texts)
    try:
        found = load_svmlight_files(list(map(str, texts))) if texts else []
    except Exception as error:  # it has many words for a file that is something else
        raise DalibError(f"cannot read {', '.join(map(str, texts))} as sparse rows ({error})") from error
    told = dict(zip(texts, zip(found[::2], found[1::2], strict=True), strict=True))
    return [others[path] if path in others else told[path] for path in paths]


def _need(paths: Iterable[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise DalibError(f"no file {path}")


def _read(path: Path) -> tuple[Any, np.ndarray | None]:
    """(CSR matrix (n, d) of float64, labels (n,) or None)."""
    from scipy.sparse import issparse, load_npz

    kind = path.suffix.lower()
    if kind not in (".mat", ".npz"):
        raise DalibError(f"{path} is no file of sparse rows; give .mat, .npz of scipy.sparse, or {', '.join(SVMLIGHT)}")
    _need([path])
    if kind == ".npz":
        try:
            rows = load_npz(path)
        except Exception as error:  # SciPy and zipfile have many words for damage
            raise DalibError(f"cannot read {path} as sparse rows ({error})") from error
        return _real(path, rows), None
    content = read_mat(path)
    X = next((content[k] for k in MAT_ROWS if k in content), None)
    found = next((content[k] for k in MAT_LABELS if k in content), None)
    if X is None or not issparse(X):
        what = "has no rows" if X is None else "holds dense rows"
        raise DalibError(f"{path} {what} (under {', '.join(MAT_ROWS)}); dalib data pack reads dense ones")
    rows = _real(path, X)
    y = None if found is None else np.asarray(found.toarray() if issparse(found) else found).ravel()
    rows = rows.T.tocsr() if y is not None and len(y) == rows.shape[1] != rows.shape[0] else rows
    if y is not None and len(y) != rows.shape[0]:
        raise DalibError(f"{path} has {len(y)} labels for {rows.shape[0]} rows; give one per row")
    return rows, y


def _real(path: Path, X: Any) -> Any:
    """CSR matrix of float64; DalibError for complex numbers."""
    from scipy.sparse import csr_matrix

    if np.iscomplexobj(X):
        raise DalibError(f"{path} holds complex numbers; give real ones, say their sizes")
    return csr_matrix(X, dtype=np.float64)


def _labels(file: str, y: np.ndarray, known: Mapping[Any, int] | None) -> np.ndarray:
    values = np.unique(y)
    if known is not None:
        strange = [v for v in values.tolist() if v not in known]
        if strange:
            raise DalibError(f"{file} has the label {strange[0]!r}, which labels = {dict(known)} does not name")
        return np.array([known[v] for v in y.tolist()], np.int64)
    if y.dtype.kind not in "iufb" or not (np.isfinite(y) & (y == np.round(y))).all():
        raise DalibError(f"{file} has labels that are no whole numbers ({values.tolist()[0]!r} …); say labels={{…: 0}}")
    if values.min() < -1 or (values.min() < 0 and len(values) > 1):
        raise DalibError(
            f"{file} has the labels {', '.join(f'{v:g}' for v in values[:4])}: -1 would count as no label; say what "
            "each is, labels={-1: 0, 1: 1}"
        )
    return y.astype(np.int64)
