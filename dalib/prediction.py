"""`dalib.predict`: classes of images or rows by a trained model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.rows import RowView
from dalib.core.types import Domain, Outputs, name_unknown
from dalib.data.box_pictures import DRAWN_ENDING, RESULTS, FoundBox, list_boxes, write_coco, write_drawn
from dalib.data.decode import decode_image, measure_picture
from dalib.data.given_rows import check_given
from dalib.data.mask_files import write_mask
from dalib.data.normalise import normalise_features
from dalib.data.unlabelled import Images, find_images, read_rows
from dalib.data.written import check_written
from dalib.feed.embed import embed_images
from dalib.scoring.metrics import decide
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 256
"""Images that are in memory at once."""


class Prediction(NamedTuple):
    """One of the likeliest classes of one row; `unknown` without a probability (nan) where the model rejects the row,
    `(unknown)` where a class is called `unknown`.

    A method whose scores are no log-probabilities (distances, regressions) gives none: nan, in the same order.

    file: name of the image, or of the row where its file names rows, else its number
    """

    file: str
    label: str
    probability: float


class Answer(NamedTuple):
    """What a model whose labels are no classes says about one row: a value for each of its outputs.

    file: as in `Prediction`
    values: numbers, 0 and 1 where the question is yes or no, or the part of the picture that each class of pixels has
    """

    file: str
    values: tuple[float, ...]


def columns(fitted: Fitted) -> tuple[str, ...]:
    """What `dalib predict` writes of every row: `file`, `class`, `probability`, or `file` and the outputs' names.

    Of a model for boxes, of every box: `file`, `class`, `score`, `left`, `top`, `right`, `bottom`.
    """
    if _finds_boxes(fitted):
        return ("file", "class", "score", "left", "top", "right", "bottom")
    return ("file", *(fitted.classes if _tells_answers(fitted) else ("class", "probability")))


def _tells_answers(fitted: Fitted) -> bool:
    return fitted.algorithm.network.objective.name != "classification"


def _finds_boxes(fitted: Fitted) -> bool:
    return fitted.algorithm.network.objective.name == "detection"


Row: TypeAlias = Prediction | Answer | FoundBox


@dataclass(frozen=True)
class Predictions:
    """What `predict` returns.

    rows: one per row and class, best first; of a model whose labels are no classes one `Answer` per row, of
        one for boxes a `FoundBox` per box
    unreadable: images that were left out -> why
    columns: what `frame` calls them
    """

    rows: tuple[Row, ...]
    unreadable: dict[str, str]
    columns: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """A table with the columns `file`, `class`, `probability`, or `file` and one per output."""
        import pandas as pd

        return pd.DataFrame(
            [(r.file, *r.values) if isinstance(r, Answer) else r for r in self.rows], columns=self.columns
        )


def predict(
    model: Fitted | str | Path,
    data: str | Path | np.ndarray,
    top: int = 1,
    *,
    domain: str = "",
    device: str = "auto",
    masks: str | Path | None = None,
    boxes: str | Path | None = None,
) -> Predictions:
    """Classes of images or rows. See `stream_predictions` for the arguments and for data that do not fit in memory."""
    unreadable: dict[str, str] = {}
    model = model if isinstance(model, Fitted) else load_model(model, device)
    how: dict[str, Any] = {"domain": domain, "device": device, "masks": masks, "boxes": boxes}
    rows = stream_predictions(model, data, top, report=unreadable.__setitem__, **how)
    return Predictions(tuple(rows), unreadable, columns(model))


def stream_predictions(
    model: Fitted | str | Path,
    data: str | Path | np.ndarray,
    top: int = 1,
    *,
    domain: str = "",
    device: str = "auto",
    report: Callable[[str, str], None] = lambda name, reason: None,
    follow: Callable[[Outputs], None] = lambda outputs: None,
    masks: str | Path | None = None,
    boxes: str | Path | None = None,
) -> Iterator[Row]:
    """Predictions one by one; images are read in chunks.

    Args
        model: what `Trainer.fit` or `load_model` returned, or a model file; normalisation and rejection are those that
            it was trained with (`Fitted.extra`)
        data: an image, a folder or a zip of images, a feature file (.npz), or rows as an array (n, *S)
        top: how many of the likeliest classes of each row
        domain: which `<domain>_x` of a feature file
        device: `auto`, `cpu`, `cuda`, `cuda:N`, for a model file
        report: told (name, reason) of images that cannot be read and are left out
        follow: told the outputs of every chunk of rows
        masks: folder for the masks of a model that answers for every pixel: `<name>.png`, value = class, at the
            picture's own size, and `<name>.overlay.jpg`, the picture with the mask on it
        boxes: folder for what a model for boxes finds: `boxes.json`, COCO's results (`image_id` counts pictures by
            name from 1, `category_id` classes from 1), and `<name>.boxes.jpg`, the picture with the boxes of a score
            of a half and more; written as the rows are taken, `boxes.json` after the last

    Raises
        DalibError: nothing there, rows of another sort than the model takes, or numbers that are none (NaN)
    """
    fitted = model if isinstance(model, Fitted) else load_model(model, device)
    kind = fitted.algorithm.network.objective.name
    if top != 1 and _tells_answers(fitted):
        raise DalibError(f"top = {top} asks for classes, but the model was trained for {kind}; leave it out")
    if isinstance(top, bool) or not isinstance(top, Integral) or not 1 <= top <= len(fitted.classes):
        raise DalibError(f"top = {top} is out of range; the model knows {len(fitted.classes)} classes, give 1 to that")
    top = int(top)
    if masks is not None and not (kind == "segmentation" and fitted.backbone.preprocess):
        raise DalibError(f"masks = {masks}, but the model was not trained to answer for every pixel; leave it out")
    if boxes is not None and kind != "detection":
        raise DalibError(f"boxes = {boxes}, but the model was not trained to find boxes; leave it out")
    if not isinstance(data, str | Path | np.ndarray):
        raise DalibError(f"data is a {type(data).__name__}; give a path or an array (np.asarray(data))")
    if isinstance(data, np.ndarray) and not data.size:
        raise DalibError(f"data holds no rows, its shape is {data.shape}; give some")
    for what, folder in (("masks", masks), ("boxes", boxes)):
        if folder is not None and isinstance(data, np.ndarray):
            raise DalibError(f"{what} = {folder} are named after files; give an image, a folder or a zip")
    if isinstance(data, np.ndarray):
        data = check_given(data, "data", scaled=bool(fitted.extra.get("normalise")))
        return _rank(fitted, list(map(str, range(len(data)))), normalise_as_trained(fitted, data), top, follow)
    path = Path(data)
    if not path.exists():
        raise DalibError(f"nothing at {path}; give an image, a folder, a zip or a feature file (.npz)")
    if fitted.backbone.preprocess is None:
        return _predict_rows(fitted, path, domain, top, follow)
    images = find_images(path)
    for folder, ending in ((masks, ".png"), (boxes, DRAWN_ENDING)):
        if folder is not None:
            check_written(images.names, ending, Path(folder), path)
    mask_folder, box_folder = (None if folder is None else Path(folder) for folder in (masks, boxes))
    return _predict_images(fitted, images, top, report, follow, mask_folder, box_folder)


def _predict_images(
    fitted: Fitted,
    images: Images,
    top: int,
    report: Callable[[str, str], None],
    follow: Callable[[Outputs], None],
    masks: Path | None,
    boxes: Path | None,
) -> Iterator[Row]:
    found: list[FoundBox] = []
    prepare = fitted.backbone.preprocess
    assert prepare is not None
    for name, why in images.left_out.items():
        report(name, why)
    for start in range(0, len(images.names), CHUNK):
        names, pixels, sizes = [], [], []
        for name in images.names[start : start + CHUNK]:
            try:
                content = images.read(name)
                seen = decode_image(content, prepare.resize)
                size = measure_picture(content)[:2] if _finds_boxes(fitted) else (0, 0)
            except MemoryError:
                raise
            except Exception as error:
                report(name, str(error).partition("<")[0].strip() or type(error).__name__)
                continue
            names.append(name)
            pixels.append(seen)
            sizes.append(size)
        if names:
            told: list[Outputs] = []
            rows = _rank(fitted, names, np.stack(pixels), top, told.append, sizes)
            follow(told[0])
            if masks is not None:
                for name, values in zip(names, told[0].prediction.numpy(), strict=True):
                    write_mask(masks, name, images.read(name), values, fitted.classes)
            if boxes is not None:
                here = [row for row in rows if isinstance(row, FoundBox)]
                for name in names:
                    own = [box for box in here if box.file == name]
                    write_drawn(boxes, name, images.read(name), own, fitted.classes)
                found += here
                rows = iter(here)
            yield from rows
    if boxes is not None:
        write_coco(boxes / RESULTS, found, {name: i + 1 for i, name in enumerate(images.names)}, fitted.classes)


def _predict_rows(
    fitted: Fitted, path: Path, domain: str, top: int, follow: Callable[[Outputs], None]
) -> Iterator[Row]:
    rows = fitted.backbone.rows
    names, x = read_rows(path, domain, rows)
    if rows is None and x.shape[1] != fitted.backbone.dim:
        raise DalibError(f"{path} has features of width {x.shape[1]}; the model was trained on {fitted.backbone.dim}")
    return _rank(fitted, names, normalise_as_trained(fitted, x), top, follow)


def normalise_as_trained(fitted: Fitted, x: Any) -> Any:
    """Rows as the network takes them; DalibError for another width, which NumPy would stretch one column to."""
    steps, backbone = fitted.extra.get("normalise", ()), fitted.backbone
    wanted = backbone.rows.shape if backbone.rows else (backbone.dim,)
    if steps and x.shape[1:] != wanted:
        told = " x ".join(map(str, x.shape[1:])) or "none"
        raise DalibError(f"the rows have the width {told}; the model was trained on {' x '.join(map(str, wanted))}")
    if "zscore" in steps and not fitted.moments:
        if len(x) < 2:
            raise DalibError(
                "the model's file has no moments of the target, so one row cannot be z-scored; train the model again, "
                "or give it many rows of the target's at once"
            )
        warnings.warn(
            "the model's file has no moments of the target: rows are z-scored by those given together, and the same "
            "row may get another class beside others; train the model again",
            RuntimeWarning,
            stacklevel=4,
        )
    return normalise_features(x, steps, fitted.moments) if steps else x


def _rank(
    fitted: Fitted,
    names: Sequence[str],
    x: np.ndarray | RowView,
    top: int,
    follow: Callable[[Outputs], None],
    sizes: Sequence[tuple[int, int]] = (),
) -> Iterator[Row]:
    """sizes: width and height of the pictures that x was made of; none: those of x"""
    rows = Domain("predict", x, None, fitted.classes, "none")
    if fitted.backbone.frozen and rows.is_images:
        rows = rows.with_x(embed_images(fitted.backbone, rows, fitted.device), "embedded")
    outputs = fitted.outputs(rows)
    follow(outputs)
    if _finds_boxes(fitted):
        side = x.shape[-1]
        return _list_boxes(fitted.classes, names, outputs.prediction.numpy(), sizes or [(side, side)] * len(x), side)
    if _tells_answers(fitted):
        objective = fitted.algorithm.network.objective
        told = objective.tell(objective.decide(outputs.prediction), len(fitted.classes)).tolist()
        if limits := fitted.extra.get("thresholds"):
            told = (outputs.prediction.numpy() > np.asarray(limits)).astype(int).tolist()
        return (Answer(name, tuple(values)) for name, values in zip(names, told, strict=True))
    best, known = outputs.p.topk(top, dim=1), len(fitted.classes)
    reject = fitted.extra.get("protocol", {}).get("reject", 1.0)
    rejected = (decide(outputs.logits.numpy(), known, reject) == known) & (len(fitted.names) == known)
    values = best.values if fitted.algorithm.probabilistic else best.values * float("nan")
    return _list(fitted.names, names, values.tolist(), best.indices.tolist(), rejected.tolist(), top)


def _list_boxes(
    classes: Sequence[str], names: Sequence[str], answers: np.ndarray, sizes: Sequence[tuple[int, int]], side: int
) -> Iterator[FoundBox]:
    """answers: (n, D, 6) in pixels of side x side"""
    for name, answer, (width, height) in zip(names, answers, sizes, strict=True):
        yield from list_boxes(classes, name, answer, width, height, side)


def _list(
    classes: Sequence[str],
    names: Sequence[str],
    values: list[list[float]],
    labels: list[list[int]],
    rejected: list[bool],
    top: int,
) -> Iterator[Prediction]:
    for name, p, k, left in zip(names, values, labels, rejected, strict=True):
        if left:
            yield Prediction(name, name_unknown(classes), float("nan"))
        for value, label in zip(p[: top - left], k, strict=False):
            yield Prediction(name, classes[label], value)
