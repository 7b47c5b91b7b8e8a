"""Tables, .mat files and torch data sets as a feature file, which everything else of dalib reads."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.files import write_atomic
from dalib.data.encode import encode_columns
from dalib.data.features import FeatureSet, load_features
from dalib.data.items import items, pair, row_labels, row_of
from dalib.data.labels import settle_labels, stack_labels
from dalib.data.narrow import keep_digits, refuse_long

Arrays = dict[str, np.ndarray]
TABLES = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
MAT_ROWS, MAT_LABELS = ("fts", "feas", "features", "X", "x"), ("labels", "label", "gnd", "Y", "y")
PAIR = {"source": ("X_src", "Y_src"), "target": ("X_tar", "Y_tar")}
"""Two domains in one .mat, as the release of JDA has them."""


def pack(arrays: Arrays, out: str | Path) -> FeatureSet:
    """Write arrays as a feature file, and read it back: what is written can be used.

    Args
        arrays: `<domain>_x`, `<domain>_y` …, as `dalib.data.features.load_features` says; the functions here make them
        out: `FILE.npz`
    Raises
        DalibError: what `load_features` refuses; nothing is written then
    """
    made: FeatureSet = write_checked(arrays, out, load_features)
    return made


def write_checked(arrays: Arrays, out: str | Path, read_back: Callable[[Path], Any]) -> Any:
    """Write an .npz if `read_back` can read it; what that returns."""
    path = Path(out)
    if path.suffix != ".npz":
        raise DalibError(f"{path} is no name of a feature file; call it {path.with_suffix('.npz').name}")
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    trial = path.with_name(f".trial-{path.name}")
    write_atomic(trial, content.getvalue())
    try:
        read = read_back(trial)
        trial.replace(path)
    except DalibError as error:
        raise DalibError(str(error).replace(str(trial), str(path))) from None
    finally:
        trial.unlink(missing_ok=True)
    return read


def arrays_of_frame(frame: Any, domain: str, label: str = "", one_hot: bool = False) -> Arrays:
    """A DataFrame with a column of domains: all other columns but the label's are features, in their order.

    A domain none of whose rows has a label is one without labels.

    Args
        domain, label: names of columns; label empty or not there: no row has one
        one_hot: columns of words become one of 0 and 1 per word; otherwise they are refused
    Raises
        DalibError: no such column, features that `encode_columns` refuses, a domain only some of whose rows have a
            label
    """
    for name in filter(None, (domain, label)):
        if name not in frame.columns:
            raise DalibError(f"the table has no column '{name}'; it has {', '.join(map(str, frame.columns))}")
    twice = [str(c) for c in frame.columns[frame.columns.duplicated()]]
    if twice:
        raise DalibError(f"the table has several columns '{twice[0]}'; rename all but one")
    if frame[domain].isna().any():
        raise DalibError(
            f"column '{domain}' is empty in {int(frame[domain].isna().sum())} rows; every row has a domain"
        )
    features = encode_columns(frame.drop(columns=[name for name in (domain, label) if name]), one_hot)
    arrays: Arrays = {"columns": np.array([str(c) for c in features.columns])}
    places = frame[domain].unique()
    called = list(map(str, places))
    if twice := [name for name in called if called.count(name) > 1]:
        raise DalibError(f"column '{domain}' has several domains that are written '{twice[0]}'; give them one type")
    refuse_long(features)
    x = features.to_numpy(np.float64, na_value=np.nan)
    members = [(frame[domain] == name).to_numpy() for name in places]
    for name, rows, own in zip(places, members, keep_digits([x[rows] for rows in members]), strict=True):
        arrays[f"{name}_x"] = own
        if label and frame[label][rows].notna().any():
            arrays[f"{name}_y"] = _labels(frame[label][rows], str(name), label)
    return arrays


def _labels(column: Any, domain: str, label: str) -> np.ndarray:
    if column.isna().any():
        raise DalibError(
            f"domain '{domain}': {int(column.isna().sum())} of {len(column)} rows have no '{label}'; give those "
            "without one a domain of their own"
        )
    return stack_labels(column.tolist(), f"column '{label}', domain '{domain}',")


def arrays_of_tables(paths: Sequence[str | Path], domain: str = "", label: str = "", one_hot: bool = False) -> Arrays:
    """CSV, TSV or parquet tables: one with a column of domains, or one file per domain, called by the file's name."""
    import pandas as pd

    frames = [read_table(Path(path), (domain, label)) for path in paths]
    written = [i for i, path in enumerate(paths) if Path(path).suffix in TABLES and label in frames[i].columns]
    for i, column in zip(written, settle_labels([frames[i][label] for i in written]), strict=True):
        frames[i][label] = column
    if domain:
        return arrays_of_frame(pd.concat(frames, ignore_index=True), domain, label, one_hot)
    if len(paths) == 1:
        raise DalibError(f"{paths[0]} is one table; say which column tells its domains: --domain COLUMN (domain=…)")
    names = [Path(path).stem for path in paths]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DalibError(f"several tables are called '{twice}', as their domains would be; rename all but one")
    column = "dalib domain"
    for path, frame in zip(paths, frames, strict=True):
        missing = [str(c) for c in frames[0].columns if c not in frame.columns and c != label]
        if missing or len(frame.columns.difference([*frames[0].columns, label])):
            odd = missing or [str(c) for c in frame.columns.difference(frames[0].columns)]
            raise DalibError(
                f"{path} and {paths[0]} differ in the column '{odd[0]}'; give all domains the same columns"
            )
    named = [frame.assign(**{column: Path(path).stem}) for path, frame in zip(paths, frames, strict=True)]
    return arrays_of_frame(pd.concat(named, ignore_index=True), column, label, one_hot)


def read_table(path: Path, words: Sequence[str] = ()) -> Any:
    """A DataFrame of a .csv, .tsv, .txt (tabs) or .parquet file.

    Args
        words: columns that are kept as they are written, for pandas takes `01` and `1` for one number
    Raises
        DalibError: not there, another kind, or not readable
    """
    import pandas as pd

    if not path.is_file():
        raise DalibError(f"no table {path}")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix not in TABLES:
            raise DalibError(f"{path} is no table that is read here; give .csv, .tsv, .parquet or .mat")
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            kinds = dict.fromkeys(filter(None, words), str)
            frame = pd.read_csv(path, sep=TABLES[path.suffix], dtype=kinds, index_col=False)
    except ImportError as error:
        raise DalibError(f"{path} needs a reader of parquet files; pip install pyarrow, or write a .csv") from error
    except pd.errors.ParserWarning as error:
        raise DalibError(
            f"rows of {path} have more cells than its heading, so that no cell has a name for sure: a decimal comma, "
            "or an index without a heading (R: write.table(col.names=NA))? Give every column one, and numbers a point"
        ) from error
    except (ValueError, OSError) as error:
        raise DalibError(f"cannot read {path} ({str(error).splitlines()[0]}); is it a table with a heading?") from error
    _refuse_index(path, frame)
    return frame


def _refuse_index(path: Path, frame: Any) -> None:
    """DalibError for a first column that has no heading and counts the rows, as pandas and R write an index."""
    first = frame.iloc[:, 0] if len(frame) and str(frame.columns[0]).startswith("Unnamed: 0") else None
    if first is not None and first.dtype.kind in "iu" and (first.diff()[1:] > 0).all():
        raise DalibError(
            f"the first column of {path} has no heading and counts the rows from {first.iloc[0]} on, so it would be "
            "a feature that tells them apart; write the table without it (to_csv(index=False)), or give it a heading"
        )


def arrays_of_mat(paths: Sequence[str | Path]) -> Arrays:
    """MATLAB feature files as the field shares them: `fts` and `labels`, `feas` and `label` …, one domain per file.

    A domain is called by the file's name. One file with `X_src`, `Y_src`, `X_tar` and `Y_tar` holds source and target.
    Rows that lie in columns are turned where the labels tell.

    Raises
        DalibError: not a .mat file, or none of these names
    """
    arrays: Arrays = {}
    for path in map(Path, paths):
        content = read_mat(path)
        if all(name in content for pair in PAIR.values() for name in pair):
            pairs = {domain: (content[x], content[y]) for domain, (x, y) in PAIR.items()}
        else:
            x, y = _pick(path, content, MAT_ROWS), _pick(path, content, MAT_LABELS)
            if x is None:
                keys = ", ".join(sorted(content)) or "none"
                raise DalibError(f"{path} has no rows under {', '.join(MAT_ROWS)} (its names: {keys}); rename them")
            pairs = {path.stem: (x, y)}
        for domain, (x, y) in pairs.items():
            if f"{domain}_x" in arrays:
                raise DalibError(f"{path}: another file has rows of '{domain}' too; call one file's domain otherwise")
            if np.iscomplexobj(x):
                raise DalibError(f"{path}: the rows of '{domain}' are complex numbers; give real ones, say their sizes")
            if x.dtype.kind not in "biuf":
                raise DalibError(f"{path} has rows of {x.dtype}; expected real numbers")
            rows = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
            if y is not None:
                labels = _mat_labels(y)
                if len(labels) != len(rows) and rows.ndim == 2 and len(labels) == rows.shape[1]:
                    rows = rows.T
                arrays[f"{domain}_y"] = stack_labels(labels.tolist(), f"{path}") if labels.dtype.kind == "f" else labels
            arrays[f"{domain}_x"] = rows
    made = [key for key in arrays if key.endswith("_x")]
    return arrays | dict(zip(made, keep_digits([arrays[key] for key in made]), strict=True))


def _pick(path: Path, content: Mapping[str, Any], names: Sequence[str]) -> Any:
    """What lies under one of the names; None where nothing does, DalibError where several things do."""
    there = [name for name in names if name in content]
    if len(there) > 1:
        raise DalibError(f"{path} has {' and '.join(there)}, each of which may be meant; keep one of them")
    return content[there[0]] if there else None


def _mat_labels(y: Any) -> np.ndarray:
    """(n,) labels of MATLAB: sparse ones, cells of words, and words that it has padded to one length, as they are."""
    labels = np.asarray(y.toarray() if hasattr(y, "toarray") else y).ravel()
    if labels.dtype.kind == "O":
        cells = [np.asarray(cell) for cell in labels]
        if all(cell.size == 1 and cell.dtype.kind in "Ubiuf" for cell in cells):
            labels = np.array([cell.item() for cell in cells], None if len({c.dtype.kind for c in cells}) == 1 else "O")
    return np.char.rstrip(labels) if labels.dtype.kind == "U" else labels


def read_mat(path: Path) -> dict[str, Any]:
    """Variable -> array or sparse matrix of a .mat file.

    Raises
        DalibError: not there, of MATLAB 7.3, or none
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise DalibError(f"no file {path}")
    try:
        return {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    except NotImplementedError as error:
        raise DalibError(f"{path} is of MATLAB 7.3; save it with save(…, '-v7'), or as an .npz") from error
    except Exception as error:  # SciPy has many words for damage
        raise DalibError(f"cannot read {path} as a .mat file ({error})") from error


def arrays_of_datasets(domains: Mapping[str, Iterable[Any]]) -> Arrays:
    """torch Datasets and DataLoaders (torchvision's among them), one per domain: items (x, y), or x without labels.

    Rows are tensors, arrays or PIL images of one shape; a label is one number or word. PIL images become RGB, 0 to 255,
    channels first, as those of a folder do (`dalib.data.decode.open_image`).

    Example
        pack(arrays_of_datasets({"mnist": MNIST(root), "usps": USPS(root)}), "digits.npz")

    Raises
        DalibError: rows of several shapes, or pictures of uint8 beside floats, no rows, other items, a label for some
            of the rows, a loader that drops rows
    """
    arrays: Arrays = {}
    for domain, data in domains.items():
        rows: list[np.ndarray] = []
        labels: list[Any] = []
        sampler = getattr(data, "batch_sampler", None)
        batched = hasattr(data, "dataset") and (sampler is not None or getattr(data, "batch_size", None) is not None)
        if batched and (getattr(data, "drop_last", False) or getattr(sampler, "drop_last", False)):
            raise DalibError(f"domain '{domain}': its loader drops the last batch; make it with drop_last=False")
        for number, item in enumerate(data if batched else items(data)):
            x, y = pair(item, f"domain '{domain}', {'batch' if batched else 'item'} {number}")
            row = row_of(x)
            rows.extend(row if batched else [row])
            labels.extend(row_labels(y, len(row) if batched else 1, f"domain '{domain}'"))
        shapes = sorted({row.shape for row in rows})
        if len(shapes) != 1:
            what = f"rows of shapes {shapes[0]} and {shapes[1]}; resize them to one" if shapes else "no rows"
            raise DalibError(f"domain '{domain}' has {what}")
        kinds = {row.dtype.kind for row in rows if row.dtype == np.uint8 or row.dtype.kind == "f"}
        if len(kinds) > 1:
            raise DalibError(
                f"domain '{domain}' has rows of uint8 (0 to 255) and of numbers with a decimal point (0 to 1?); give "
                "all by one transform"
            )
        bare = sum(y is None for y in labels)
        if 0 < bare < len(rows):
            raise DalibError(
                f"domain '{domain}': {bare} of {len(rows)} rows have no label; give those a domain of their own"
            )
        arrays[f"{domain}_x"] = np.stack(rows)
        if not bare:
            arrays[f"{domain}_y"] = stack_labels(labels, f"domain '{domain}'")
    return arrays
