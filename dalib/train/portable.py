"""A trained model out of dalib: ONNX or torch.export, with its preprocessing, checked against the model itself."""

from __future__ import annotations

import inspect
import json
import math
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dalib.core.errors import DalibError
from dalib.core.files import write_atomic
from dalib.core.places import refuse_remote
from dalib.core.types import Domain, name_unknown
from dalib.data.normalise import normalise_features
from dalib.feed.embed import embed_images
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model, registered_name

To = Literal["onnx", "torch"]
ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}
TOLERANCE = 1e-4
"""Largest difference of an answer from the model's own, as a part of the largest answer where that is above 1."""
TRIAL = 5
"""Rows on which both are compared; another number than the export was traced with."""


class Portable(nn.Module):
    """A model from raw rows to answers: what `dalib predict` does after reading a file.

    Shapes
        x: images (B, 3, R, R) uint8, RGB, warped to the side R = `resize` of its facts; or rows (B, *S)
        -> in classification logits (B, K), probabilities (B, K), label (B,) int64, K = `unknown` where the model
        rejects the row; of other objectives answers (B, outputs). A method whose scores are no log-probabilities gives
        no probabilities
    """

    facts: dict[str, Any]

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        self.algorithm = deepcopy(fitted.algorithm).cpu().eval()
        self.backbone = deepcopy(fitted.backbone.module).cpu().eval() if fitted.backbone.frozen else None
        self.preprocess = fitted.backbone.preprocess
        self.steps = tuple(fitted.extra.get("normalise", ()))
        self.classes = fitted.algorithm.network.objective.name == "classification"
        self.known = len(fitted.classes)
        reject = fitted.extra.get("protocol", {}).get("reject", 1.0)
        self.reject = reject if not fitted.algorithm.rejects else 1.0
        for i, pair in enumerate(fitted.moments):
            for name, value in zip(("mean", "deviation"), pair, strict=True):
                self.register_buffer(f"{name}_{i}", torch.as_tensor(np.asarray(value), dtype=torch.float64))
        limits = fitted.extra.get("thresholds")
        self.chosen = limits is not None
        if self.chosen:
            self.register_buffer("thresholds", torch.as_tensor(limits, dtype=torch.float64))
        if self.preprocess:
            for name in ("mean", "std"):
                self.register_buffer(f"pixel_{name}", torch.tensor(getattr(self.preprocess, name)).view(-1, 1, 1))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What `forward` returns, by name."""
        if not self.classes:
            return ("answers",)
        return ("logits", *(["probabilities"] if self.algorithm.probabilistic else []), "label")

    def prepare(self, x: Tensor) -> Tensor:
        """Raw rows as the network takes them: cut and normalised images, normalised features."""
        if self.preprocess:
            size, crop = self.preprocess.resize, self.preprocess.crop
            start = round((size - crop) / 2.0)
            x = x[:, :, start : start + crop, start : start + crop].float()
            x = x.flip(2, 3) if self.preprocess.rotate180 else x
            return (x / 255.0 - self.get_buffer("pixel_mean")) / self.get_buffer("pixel_std")
        if not self.steps:
            return x
        x, seen = x.double(), 0
        for step in self.steps:
            if step == "zscore":
                x = (x - self.get_buffer(f"mean_{seen}")) / self.get_buffer(f"deviation_{seen}")
                seen += 1
            else:
                total = x.sum(1, keepdim=True) if step == "row_sum" else x.square().sum(1, keepdim=True).sqrt()
                x = x / torch.where(total == 0, torch.ones_like(total), total)
        return x.float()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.prepare(x)
        logits = self.algorithm.predict(x if self.backbone is None else self.backbone(x))[1]
        logits = self.algorithm.network.restore_answers(logits).float()
        if not self.classes:
            return (self.decide(logits),)
        p = logits.softmax(1)
        label = logits.argmax(1)
        if self.reject < 1:
            entropy = -(p.double() * p.double().clamp_min(1e-300).log()).sum(1)
            label = torch.where(entropy > self.reject * math.log(self.known), self.known, label)
        return (logits, p, label) if self.algorithm.probabilistic else (logits, label)

    def decide(self, prediction: Tensor) -> Tensor:
        """What is told of a prediction that is no class: by the thresholds of the training where it chose some."""
        if self.chosen:
            return (prediction > self.get_buffer("thresholds")).long()
        told: Tensor = self.algorithm.network.objective.decide(prediction)
        return told


def export_model(model: Fitted | str | Path, path: str | Path = "", to: To = "onnx") -> Path:
    """Write a trained model for other programs and check that it answers as the model does.

    The file takes raw rows (`Portable`) and knows its classes, how images are read, and what it was trained on, as
    JSON: `dalib` of an ONNX file's metadata, `dalib.json` of a torch.export archive. Its number of rows is free.

    Args
        model: a fitted model, or the file of one
        path: where to; default: beside the model's file
        to: `onnx` (needs the extra onnx), or `torch` (`torch.export.load`)

    Raises
        DalibError: what the model does cannot be written so, or answers then differ by more than 1e-4
    """
    if to not in ENDINGS:
        raise DalibError(f"to = {to!r} is not one of {', '.join(ENDINGS)}")
    if not path and isinstance(model, Fitted):
        raise DalibError("a model that has no file needs a path to be written to; give path")
    refuse_remote(path, "the exported file")
    path = Path(path or Path(str(model)).with_suffix(ENDINGS[to]))
    path = path if path.suffix == ENDINGS[to] else path.with_name(path.name + ENDINGS[to])
    fitted = model if isinstance(model, Fitted) else load_model(model, "cpu")
    portable, sample = open_portable(fitted), _sample(fitted)
    facts = portable.facts
    with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        try:
            batch = torch.export.Dim("rows", min=1)
            program = torch.export.export(portable, (sample[:2],), dynamic_shapes=({0: batch},))
            content, answers = WRITERS[to](program, portable, sample, facts)
        except DalibError:
            raise
        except Exception as error:  # torch's own and ONNX's: operations that have no counterpart there
            reason = " ".join(str(error).split())[:160]
            raise DalibError(
                f"{facts['algorithm']} on {facts['backbone']} cannot be written as {to} "
                f"({type(error).__name__}: {reason}); predict with dalib"
            ) from error
    _compare(fitted, portable, sample, answers[0], to)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return path


def open_portable(model: Fitted | str | Path) -> Portable:
    """A model as a module from raw rows to answers; its `facts` are those of an exported file.

    Raises
        DalibError: no model file, or one that `export_model` refuses
    """
    fitted = model if isinstance(model, Fitted) else load_model(model, "cpu")
    _refuse(fitted)
    portable = Portable(fitted)
    portable.facts = describe(fitted, portable)
    with torch.no_grad():
        shape = portable.eval()(_sample(fitted)[:2])[0].shape
    if len(shape) != 2:
        kind = fitted.algorithm.network.objective.name
        raise DalibError(
            f"a model for {kind} answers {tuple(shape[1:])} per row, which export does not know; predict with dalib"
        )
    return portable


def describe(fitted: Fitted, portable: Portable) -> dict[str, Any]:
    """What a program needs to know beside the network."""
    prepare = portable.preprocess
    return {
        "algorithm": registered_name(fitted.algorithm),
        "backbone": fitted.backbone.name,
        "classes": list(fitted.names),
        "unknown": name_unknown(fitted.classes) if portable.reject < 1 else "",
        "objective": fitted.algorithm.network.objective.name,
        "input": f"RGB images (rows, 3, {prepare.resize}, {prepare.resize}) uint8" if prepare else "rows",
        "resize": prepare.resize if prepare else 0,
        "outputs": list(portable.outputs),
        "trained": {k: fitted.extra[k] for k in ("dataset", "task", "seed", "normalise") if k in fitted.extra},
    }


def _refuse(fitted: Fitted) -> None:
    if fitted.backbone.rows and fitted.backbone.rows.fields:
        raise DalibError(
            "a model of several modalities has several inputs, which export does not know; predict with dalib"
        )
    if "zscore" in fitted.extra.get("normalise", ()) and not fitted.moments:
        raise DalibError("the model's file has no moments of the target, by which rows are z-scored; train it again")


def _sample(fitted: Fitted) -> Tensor:
    """Rows of the kind that the model takes."""
    chance = torch.Generator().manual_seed(0)
    if fitted.backbone.preprocess:
        side = fitted.backbone.preprocess.resize
        return torch.randint(0, 256, (TRIAL, 3, side, side), generator=chance, dtype=torch.uint8)
    rows = fitted.backbone.rows
    if rows and rows.ids:
        return torch.randint(0, rows.ids, (TRIAL, *rows.shape), generator=chance)
    shape = rows.shape if rows else (fitted.backbone.dim,)
    return torch.rand((TRIAL, *shape), generator=chance)


Answers = tuple[np.ndarray, ...]


def _to_torch(program: Any, portable: Portable, sample: Tensor, facts: dict[str, Any]) -> tuple[bytes, Answers]:
    """Bytes and answers of a torch.export archive that was written and read."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.pt2")
        torch.export.save(program, file, extra_files={"dalib.json": json.dumps(facts)})
        read = torch.export.load(file).module()
        return file.read_bytes(), tuple(part.numpy() for part in read(sample))


def _to_onnx(program: Any, portable: Portable, sample: Tensor, facts: dict[str, Any]) -> tuple[bytes, Answers]:
    """Bytes of an ONNX file, and what onnxruntime answers."""
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise DalibError(f"ONNX needs the package {error.name}: pip install 'dalib-toolkit[onnx]'") from None
    if "dynamo" not in inspect.signature(torch.onnx.export).parameters:
        raise DalibError(
            f"ONNX needs torch 2.6 or newer, this is {torch.__version__}; --to torch (to='torch') works with it"
        )
    made = torch.onnx.export(
        program, (), dynamo=True, input_names=["x"], output_names=list(portable.outputs), verbose=False
    )
    assert made is not None
    proto = made.model_proto
    onnx.helper.set_model_props(proto, {"dalib": json.dumps(facts)})
    content = proto.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return content, tuple(session.run(None, {session.get_inputs()[0].name: sample.numpy()}))


WRITERS: dict[str, Callable[..., tuple[bytes, Answers]]] = {"onnx": _to_onnx, "torch": _to_torch}


def _compare(fitted: Fitted, portable: Portable, sample: Tensor, answers: np.ndarray, to: str) -> None:
    """Raises DalibError where answers are not those of `Fitted.outputs`, which reads rows in its own way."""
    x = sample.numpy()
    steps = fitted.extra.get("normalise", ())
    rows = normalise_features(x, steps, fitted.moments) if steps else x
    domain = Domain("export", rows, None, fitted.classes, "none")
    if fitted.backbone.frozen and domain.is_images:
        domain = domain.with_x(embed_images(fitted.backbone, domain, fitted.device), "embedded")
    told = fitted.outputs(domain)
    own = (told.logits if portable.classes else portable.decide(told.prediction)).double().numpy()
    gap = float(np.abs(own - answers.astype(np.float64)).max()) / max(1.0, float(np.abs(own).max()))
    if not gap <= TOLERANCE:
        raise DalibError(f"the model written as {to} answers {gap:.2g} off, more than {TOLERANCE}; it was not kept")
