"""Rows as others share them: WebDataset tars, AdaTime's and Digit-Five's folders."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.limits import amount_of, refuse_bomb
from dalib.data.decode import open_image, picture_row
from dalib.data.labels import is_whole, stack_labels
from dalib.data.narrow import keep_digits
from dalib.data.packing import Arrays

PICTURES = ("jpg", "jpeg", "png", "webp", "bmp")
DIGIT_FIVE = ("mnist_data.mat", "mnistm_with_label.mat", "svhn_train_32x32.mat", "syn_number.mat", "usps_28x28.mat")


def arrays_of_adatime(folder: str | Path) -> Arrays:
    """AdaTime's `train_N.pt` and `test_N.pt`, {"samples": (n, C, T), "labels": (n,)}: a domain N of both together.

    Samples (n, T) have one channel; of (n, T, C), which has more steps than channels, the axes are turned. Nothing is
    normalised (AdaTime takes every channel's mean and deviation from each file: `normalise`, or `standardise`).

    Raises
        DalibError: a file that is not of this form
    """
    arrays: Arrays = {}
    files = sorted(Path(folder).glob("train_*.pt"), key=lambda p: (len(p.stem), p.stem))
    for path in files:
        domain = path.stem.removeprefix("train_")
        parts = [_read_series(p) for p in (path, path.with_name(f"test_{domain}.pt")) if p.is_file()]
        arrays[f"{domain}_x"] = np.concatenate([x for x, _ in parts])
        arrays[f"{domain}_y"] = np.concatenate([y for _, y in parts])
    if not arrays:
        raise DalibError(f"{folder} holds no train_0.pt, train_1.pt …")
    return arrays


def _read_series(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import torch

    numpy_parts: list[Any] = [np.ndarray, np.dtype, type(np.dtype("f4")), type(np.dtype("f8")), type(np.dtype("i8"))]
    numpy_parts += [np.zeros(0).__reduce__()[0]]
    try:
        allow = getattr(torch.serialization, "safe_globals", None)
        with allow(numpy_parts) if allow else nullcontext():
            stored = torch.load(path, map_location="cpu", weights_only=True)
        x, y = (torch.as_tensor(stored[key]).numpy() for key in ("samples", "labels"))
    except Exception as error:  # torch has many words for a file that is something else
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DalibError(
            f'{path} is not {{"samples": tensor (n, C, T), "labels": tensor (n,)}} ({first}); save it so'
        ) from error
    x = x[:, None] if x.ndim == 2 else x
    x = x.transpose(0, 2, 1) if x.ndim == 3 and x.shape[1] > x.shape[2] else x
    return np.ascontiguousarray(keep_digits([x])[0]), y.astype(np.int64).ravel()


def arrays_of_digit_five(folder: str | Path) -> Arrays:
    """The .mat files of Digit-Five, training and test images of a domain together: (n, H, W) or (n, H, W, 3) uint8.

    In SVHN and SynDigits the label 10 is the digit 0.

    Raises
        DalibError: a file that is not there, or not of this form
    """
    from scipy.io import loadmat

    content: dict[str, Any] = {}
    for name in (*DIGIT_FIVE, "svhn_test_32x32.mat"):
        path = Path(folder) / name
        if not path.is_file():
            raise DalibError(f"{folder} has no {name}; Digit-Five has {', '.join(DIGIT_FIVE)} and svhn_test_32x32.mat")
        try:
            content[name] = loadmat(path)
        except Exception as error:
            raise DalibError(f"cannot read {path} as a .mat file ({error})") from error
    mnist, blended, svhn, syn, usps = (content[name] for name in DIGIT_FIVE)
    more = content["svhn_test_32x32.mat"]
    try:
        parts = usps["dataset"]
        return {
            "mnist_x": np.concatenate([mnist["train_32"], mnist["test_32"]]).reshape(-1, 32, 32).astype(np.uint8),
            "mnist_y": np.concatenate([mnist["label_train"], mnist["label_test"]]).argmax(1),
            "mnist_m_x": np.concatenate([blended["train"], blended["test"]]).astype(np.uint8),
            "mnist_m_y": np.concatenate([blended["label_train"], blended["label_test"]]).argmax(1),
            "svhn_x": np.concatenate([svhn["X"], more["X"]], 3).transpose(3, 0, 1, 2).astype(np.uint8),
            "svhn_y": np.concatenate([svhn["y"], more["y"]])[:, 0].astype(np.int64) % 10,
            "syn_x": np.concatenate([syn["train_data"], syn["test_data"]]).astype(np.uint8),
            "syn_y": np.concatenate([syn["train_label"], syn["test_label"]])[:, 0].astype(np.int64) % 10,
            "usps_x": (np.concatenate([parts[0][0], parts[1][0]])[:, 0] * 255).astype(np.uint8),
            "usps_y": np.concatenate([parts[0][1], parts[1][1]])[:, 0].astype(np.int64),
        }
    except (KeyError, IndexError, ValueError) as error:
        raise DalibError(f"{folder} is not laid out as Digit-Five's .mat files ({error!r})") from error


def arrays_of_webdataset(paths: str | Path | Sequence[str | Path], resize: int = 0, domain: str = "") -> Arrays:
    """WebDataset tars: members `KEY.jpg`, `KEY.cls` … of one key are one sample; pictures, or rows as .npy.

    The label is a `.cls` file (a whole number or a word), or `label` or `cls` of a `.json`; a `domain` of the .json is
    the sample's domain, else it is `domain`, else the tar's name without its number: `photo-000000.tar` and
    `photo-000001.tar` are photo together.

    Args
        resize: side in pixels to which pictures are warped; 0: they are of one size
    Raises
        DalibError: not a tar, a picture that cannot be read, pictures of several sizes, samples without a picture
    """
    rows: dict[str, list[np.ndarray]] = {}
    labels: dict[str, list[Any]] = {}
    tars = [paths] if isinstance(paths, (str, Path)) else list(paths)
    for path in tars:
        name = domain or re.sub(r"[-_.]?\d+$", "", Path(path).stem) or Path(path).stem
        for key, sample in _samples(Path(path)):
            where = f"{path}, {key}"
            x, (y, place) = _row_of(sample, where, resize), _notes_of(sample, where)
            rows.setdefault(place or name, []).append(x)
            labels.setdefault(place or name, []).append(y)
    if all(y is None or is_whole(y) for ys in labels.values() for y in ys):
        labels = {place: [None if y is None else int(y) for y in ys] for place, ys in labels.items()}
    return stack_domains(rows, labels, ", ".join(map(str, tars)))


def _notes_of(sample: dict[str, bytes], where: str) -> tuple[Any, str]:
    """(label or None, domain or an empty text) of a sample."""
    try:
        notes = json.loads(sample["json"]) if "json" in sample else {}
        told = notes.get("label", notes.get("cls"))
        told = int(told) if isinstance(told, float) and told.is_integer() else told
        y = sample["cls"].decode().strip() if "cls" in sample else told
        place = "" if notes.get("domain") is None else str(notes["domain"])
    except (ValueError, AttributeError) as error:
        raise DalibError(
            f"{where}: its .cls is no text or its .json no object ({error}); leave that sample out"
        ) from error
    if y is told and isinstance(told, (list, dict)):
        raise DalibError(f"{where}: its label is {told!r}; give one number or word per sample")
    if (
        y is not told
        and told is not None
        and is_whole(str(y))
        and is_whole(str(told))
        and int(str(y)) != int(str(told))
    ):
        raise DalibError(f"{where} has the label {y} in its .cls and {told} in its .json; keep one of them")
    return (None if y is None else str(y)), place


def _samples(path: Path) -> Iterable[tuple[str, dict[str, bytes]]]:
    most, key, total = amount_of("DALIB_MAX_FILE", "500M"), "", 0
    sample: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                if member.size > most:
                    raise DalibError(f"{path}: {member.name} is larger than DALIB_MAX_FILE; set that if you trust it")
                refuse_bomb(path, total := total + member.size)
                place = PurePosixPath(member.name)
                stem, _, kind = place.name.partition(".")
                if not stem or "__MACOSX" in place.parts:  # what systems add: ._0.jpg, .DS_Store
                    continue
                this, kind = str(place.with_name(stem)), kind.lower()
                if sample and this != key:
                    yield key, sample
                    sample = {}
                if kind in sample:
                    raise DalibError(f"{path}, {this} has two members .{kind}; keep one of them")
                key, content = this, tar.extractfile(member)
                sample[kind] = content.read() if content else b""
    except (tarfile.TarError, OSError) as error:
        raise DalibError(f"cannot read {path} as a tar ({error})") from error
    if sample:
        yield key, sample


def _row_of(sample: dict[str, bytes], where: str, resize: int) -> np.ndarray:
    kinds = [k for k in (*PICTURES, "npy") if k in sample]
    if len(kinds) != 1:
        what = f"both .{kinds[0]} and .{kinds[1]}" if kinds else f"neither a picture ({', '.join(PICTURES)}) nor a .npy"
        way = "; keep the one that is the row" if kinds else f"; it has {', '.join(sample)}"
        raise DalibError(f"{where} has {what}{way}")
    try:
        if kinds == ["npy"]:
            return np.asarray(np.load(io.BytesIO(sample["npy"]), allow_pickle=False))
        return picture_row(open_image(sample[kinds[0]]), resize)
    except (OSError, ValueError, SyntaxError) as error:
        raise DalibError(f"{where}: cannot be read ({error}); leave that sample out") from error


def stack_domains(rows: dict[str, list[np.ndarray]], labels: dict[str, list[Any]], where: str) -> Arrays:
    """domain -> rows and labels, None where there is none, as arrays.

    where: they are from, for messages
    Raises
        DalibError: no row, rows of several shapes, a domain only some of whose rows have a label
    """
    arrays: Arrays = {}
    for domain, xs in rows.items():
        shapes = sorted({x.shape for x in xs})
        if len(shapes) > 1:
            raise DalibError(
                f"{where}: rows of shapes {shapes[0]} and {shapes[1]}; give --resize N (resize=N), a side in pixels"
            )
        arrays[f"{domain}_x"] = np.stack(xs)
        missing = sum(y is None for y in labels[domain])
        if 0 < missing < len(xs):
            raise DalibError(
                f"{where}, domain '{domain}': {missing} of {len(xs)} samples have no label; give those a domain of "
                "their own"
            )
        if not missing and xs:
            arrays[f"{domain}_y"] = stack_labels(labels[domain], f"{where}, domain '{domain}',")
    if not arrays:
        raise DalibError(f"{where} holds no sample")
    return arrays
