"""`dalib predict MODEL PATH`: classes of images or feature rows as CSV."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dalib.cli._common import Device, write_text
from dalib.core.errors import DalibError, suggest

if TYPE_CHECKING:
    from dalib.core.rows import RowShape
    from dalib.train.fitted import Fitted

CHUNK = 256


@dataclass
class Images:
    """Names of images and how to read one."""

    names: Sequence[str]
    read: Callable[[str], bytes]


def predict_classes(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file written by dalib train --out.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="An image, a folder, a zip, or features (.npz).")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the CSV there instead of stdout.")] = None,
    top: Annotated[int, typer.Option(metavar="K", help="The K likeliest classes, a row each, best first.")] = 1,
    domain: Annotated[str, typer.Option(metavar="D", help="Which <domain>_x of a feature file.")] = "",
    device: Device = "auto",
) -> int:
    """Predict classes: CSV with the columns file, class, probability.

    Rows that a model trained with --reject turns down are `unknown`, without a probability.
    Images that cannot be read are named on stderr and left out; the exit status is then 1.
    """
    from dalib.train.model_file import load_model, read_facts

    facts = read_facts(model)
    if not 1 <= top <= len(facts["classes"]):
        raise DalibError(
            f"--top {top} is out of range; the model knows {len(facts['classes'])} classes, give 1 to that"
        )
    if not path.exists():
        raise DalibError(f"nothing at {path}; give an image, a folder, a zip or a feature file (.npz)")
    fitted = load_model(model, device)
    skipped: list[str] = []
    reject = facts["extra"].get("protocol", {}).get("reject", 1.0)
    if facts["preprocess"] is None:
        rows = iter(list(_feature_rows(fitted, path, domain, facts["extra"].get("normalise", ()), top, reject)))
    else:
        rows = _image_rows(fitted, find_images(path), top, reject, skipped)
    text = io.StringIO()
    writer = csv.writer(text if out else sys.stdout, lineterminator="\n")
    writer.writerow(("file", "class", "probability"))
    writer.writerows(rows)
    if out:
        write_text(out, text.getvalue())
    if skipped:
        print(f"dalib: left out {len(skipped)} unreadable images", file=sys.stderr)
    return 1 if skipped else 0


def find_images(path: Path) -> Images:
    """The images at a path: itself, below a folder, or in a zip; sorted by name.

    Raises
        DalibError: nothing there that looks like an image
    """
    from dalib.data.folders import SUFFIXES

    def usable(name: str) -> bool:
        parts = Path(name).parts
        return name.lower().endswith(SUFFIXES) and not any(p.startswith(".") or p == "__MACOSX" for p in parts)

    kinds = ", ".join(SUFFIXES)
    if path.is_dir():
        names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        found = Images([n for n in names if usable(n)], lambda name: (path / name).read_bytes())
    elif path.suffix.lower() == ".zip":
        try:
            archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise DalibError(f"{path} is not a readable zip ({error}); fetch it again") from None
        found = Images(sorted(n for n in archive.namelist() if usable(n)), archive.read)
    elif path.name.lower().endswith(SUFFIXES):
        found = Images([path.name], lambda name: path.read_bytes())
    else:
        raise DalibError(f"{path} is neither an image ({kinds}) nor a folder nor a zip; this model takes images")
    if not found.names:
        raise DalibError(f"{path} holds no images; expected files ending in {kinds}")
    return found


def _image_rows(
    fitted: Fitted, images: Images, top: int, reject: float, skipped: list[str]
) -> Iterator[tuple[str, str, str]]:
    import numpy as np

    from dalib.data.decode import decode_image

    prepare = fitted.backbone.preprocess
    assert prepare is not None
    for start in range(0, len(images.names), CHUNK):
        names, pixels = [], []
        for name in images.names[start : start + CHUNK]:
            try:
                pixels.append(decode_image(images.read(name), prepare.resize))
                names.append(name)
            except Exception as error:
                skipped.append(name)
                reason = str(error).partition("<")[0].strip() or type(error).__name__
                print(f"dalib: cannot read image {name} ({reason})", file=sys.stderr)
        if names:
            yield from _rank(fitted, names, np.stack(pixels), top, reject)


def _feature_rows(
    fitted: Fitted, path: Path, domain: str, normalise: Sequence[str], top: int, reject: float
) -> Iterator[tuple[str, str, str]]:
    from dalib.data.normalise import normalise_features

    rows = fitted.backbone.rows
    names, x = _read_rows(path, domain, rows)
    if rows is None and x.shape[1] != fitted.backbone.dim:
        raise DalibError(f"{path} has features of width {x.shape[1]}; the model was trained on {fitted.backbone.dim}")
    return _rank(fitted, names, normalise_features(x, normalise) if normalise else x, top, reject)


def _read_rows(path: Path, domain: str, rows: RowShape | None) -> tuple[Sequence[str], Any]:
    """(names, rows) of one domain of a feature file: `x`, or `<domain>_x`; labels are not needed.

    rows: what the model takes, for other rows than (n, d); modalities lie in `x_<modality>` or `<domain>_x_<modality>`
    """
    from dalib.core.rows import combine
    from dalib.data.features import check_rows, read_arrays

    parts = {name: f"x_{name}" for name in rows.fields} if rows and rows.fields else {"": "x"}
    ends = list(parts.values())
    wanted = " and ".join(f"{end} or <domain>_{end}" for end in ends)
    if path.suffix != ".npz":
        raise DalibError(f"{path} is no feature file; this model takes an .npz with {wanted}")
    arrays = read_arrays(path)
    keys = [key for key in arrays if key == ends[0] or key.endswith(f"_{ends[0]}")]
    if domain:
        if f"{domain}_{ends[0]}" not in arrays:
            near = suggest(domain, [k.removesuffix(f"_{ends[0]}") for k in keys]) or f"; keys: {', '.join(arrays)}"
            raise DalibError(f"{path} has no {domain}_{ends[0]}{near}")
        start = f"{domain}_"
    elif ends[0] in keys or len(keys) == 1:
        start = "" if ends[0] in keys else keys[0].removesuffix(ends[0])
    else:
        raise DalibError(
            f"{path} has {', '.join(keys) or f'no key {ends[0]}'}; name one with --domain, or store rows as {wanted}"
        )
    lacking = [start + end for end in ends if start + end not in arrays]
    if lacking:
        raise DalibError(f"{path} has no {', '.join(lacking)}; this model takes {wanted}")
    found = {name: check_rows(path, start + end, arrays, flat=rows is None) for name, end in parts.items()}
    x = found[""] if "" in found else combine(found)
    names = arrays.get(f"{start}names")
    return (list(map(str, names)) if names is not None and len(names) == len(x) else list(map(str, range(len(x))))), x


def _rank(fitted: Fitted, names: Sequence[str], x: Any, top: int, reject: float) -> Iterator[tuple[str, str, str]]:
    from dalib.core.types import Domain
    from dalib.evaluate.metrics import decide
    from dalib.feed.embed import embed_images

    rows = Domain("predict", x, None, fitted.classes, "none")
    if fitted.backbone.frozen and rows.is_images:
        rows = rows.with_x(embed_images(fitted.backbone, rows, fitted.device), "embedded")
    outputs = fitted.outputs(rows)
    best, known = outputs.p.topk(top, dim=1), len(fitted.classes)
    rejected = (decide(outputs.logits.numpy(), known, reject) == known) & (len(fitted.names) == known)
    for name, values, labels, left in zip(
        names, best.values.tolist(), best.indices.tolist(), rejected.tolist(), strict=True
    ):
        if left:
            yield name, "unknown", ""
        for p, k in zip(values[: top - left], labels, strict=False):
            yield name, fitted.names[k], f"{p:.6f}"
