"""Rows of other packages' data sets: Hugging Face `datasets`, and WILDS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.decode import picture_row
from dalib.data.narrow import keep_digits
from dalib.data.packing import Arrays
from dalib.data.shared_formats import stack_domains

HUB = "hf:"


def arrays_of_hf(name: str, domain: str = "", label: str = "", image: str = "", resize: int = 0) -> Arrays:
    """A Hugging Face data set, `hf:OWNER/NAME@REVISION`, or a local file or folder of parquet, `hf:FOLDER`.

    All its splits are read, a domain each unless `domain` names a column of domains; say the revision, or another
    upload is another data set. Needs `pip install dalib-toolkit[hf]`.

    Args
        domain, label, image: columns; image empty: the one of images, else all other columns of numbers are features
        resize: side in pixels to which images are warped
    Raises
        DalibError: no such set or column, several columns of images, images of several sizes
    """
    return arrays_of_splits(_load_hub(name.removeprefix(HUB)), name, domain, label, image, resize)


def _load_hub(given: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DalibError(f"{HUB}{given} needs the package datasets; pip install 'dalib-toolkit[hf]'") from error
    path = Path(given).expanduser()
    try:
        if path.exists():
            files = [str(path)] if path.is_file() else [str(p) for p in sorted(path.rglob("*.parquet"))]
            return datasets.load_dataset("parquet", data_files=files)
        name, _, revision = given.partition("@")
        return datasets.load_dataset(name, revision=revision or None)
    except Exception as error:  # the package has many words for what it cannot find
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DalibError(f"cannot load {HUB}{given} ({first})") from error


def arrays_of_splits(splits: Any, where: str, domain: str, label: str, image: str, resize: int) -> Arrays:
    """The same of a loaded `datasets.DatasetDict`, or of one `datasets.Dataset`."""
    splits = splits if hasattr(splits, "items") else {"data": splits}
    rows: dict[str, list[np.ndarray]] = {}
    labels: dict[str, list[Any]] = {}
    for split, table in splits.items():
        names = list(table.column_names)
        for column in filter(None, (domain, label, image)):
            if column not in names:
                raise DalibError(f"{where} has no column '{column}'; it has {', '.join(names)}")
        pictures = [n for n in names if type(table.features[n]).__name__ == "Image"]
        if not image and len(pictures) > 1:
            raise DalibError(f"{where} has several columns of images ({', '.join(pictures)}); say --image (image=…)")
        picture = image or (pictures[0] if pictures else "")
        others = [n for n in names if n not in (domain, label)]
        classes = [n for n in others if getattr(table.features[n], "names", None)]
        if classes and not picture:
            raise DalibError(
                f"{where}: column '{classes[0]}' holds classes, whose numbers would be a feature; say --label "
                f"{classes[0]} (label=…), or drop it before (table.remove_columns)"
            )
        word_of, domain_of = (_namer(table, column) for column in (label, domain))
        for number, row in enumerate(table):
            try:
                x = picture_row(row[picture], resize) if picture else np.concatenate([_numbers(row[n]) for n in others])
            except (ValueError, TypeError, AttributeError) as error:
                what = f"no picture in '{picture}'" if picture else f"no numbers in one of {', '.join(others)}"
                way = "" if picture else "; encode words, or drop that column before (table.remove_columns)"
                raise DalibError(f"{where}, row {number} of {split}: {what} ({error}){way}") from error
            if domain and row[domain] is None:
                raise DalibError(f"{where}, row {number} of {split}: no domain in '{domain}'; every row has one")
            place = str(domain_of(row[domain])) if domain else str(split)
            rows.setdefault(place, []).append(x)
            labels.setdefault(place, []).append(word_of(row[label]) if label else None)
    arrays = stack_domains(rows, labels, where)
    wide = [key for key, x in arrays.items() if x.dtype == np.float64 and key.endswith("_x")]
    return arrays | dict(zip(wide, keep_digits([arrays[key] for key in wide]), strict=True))


def _numbers(cell: Any) -> np.ndarray:
    """A cell as float64 (m,); ValueError for words, even those that are written as a number is."""
    values = np.asarray(cell)
    if values.dtype.kind in "USM":
        raise ValueError(f"could not convert {cell!r}")
    return np.ravel(values.astype(np.float64))


def _namer(table: Any, column: str) -> Callable[[Any], Any]:
    """Numbers of a ClassLabel column -> their names; others as they are."""
    feature = table.features[column] if column else None
    names = getattr(feature, "names", None)
    return (lambda k: None if k is None or k < 0 else names[k]) if names else (lambda value: value)


def arrays_of_wilds(dataset: Any, field: str, resize: int = 0, most: int = 0) -> Arrays:
    """A data set of the package `wilds`, a domain per value of one of its metadata (`hospital`, `region`, `location`).

    Args
        dataset: `wilds.get_dataset("camelyon17", download=True)`
        field: of `dataset.metadata_fields`; a value's name is that of `dataset.metadata_map`, where there is one
        resize: side in pixels to which images are warped
        most: rows of a domain to take, evenly spaced; 0: all, which are held in memory
    Raises
        DalibError: no such field, images of several sizes
    """
    fields = list(dataset.metadata_fields)
    if field not in fields:
        raise DalibError(f"{type(dataset).__name__} has no metadata '{field}'; it has {', '.join(fields)}")
    value = np.asarray(dataset.metadata_array)[:, fields.index(field)]
    names = (getattr(dataset, "metadata_map", None) or {}).get(field)
    rows: dict[str, list[np.ndarray]] = {}
    labels: dict[str, list[Any]] = {}
    for v in np.unique(value):
        here = np.flatnonzero(value == v)
        if most and len(here) > most:
            here = here[np.linspace(0, len(here) - 1, most).round().astype(int)]
        name = str(names[int(v)]) if names is not None else f"{field}_{int(v)}"
        inputs = (dataset.get_input(int(i)) for i in here)
        rows[name] = [picture_row(x, resize) if hasattr(x, "convert") else np.asarray(x) for x in inputs]
        labels[name] = [int(np.asarray(dataset.y_array[int(i)]).ravel()[0]) for i in here]
    return stack_domains(rows, labels, type(dataset).__name__)
