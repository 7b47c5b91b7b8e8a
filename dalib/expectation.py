"""`dalib.expect`: the accuracy to expect of a model on rows without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dalib.adaptation.target import open_target
from dalib.core.errors import DalibError
from dalib.core.types import Domain, Outputs
from dalib.scoring.expected import ExpectedAccuracy, cannot_expect, expected_accuracy
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model


def expect(
    model: Fitted | str | Path | Outputs,
    data: Domain | np.ndarray | str | Path | Outputs,
    domain: str = "",
    *,
    second: Fitted | str | Path | Outputs | None = None,
    root: str | Path | None = None,
    device: str = "auto",
    skip_unreadable: bool = False,
) -> ExpectedAccuracy:
    """The accuracy to expect on rows without labels, with an interval; what `dalib train` and `dalib predict` print.

    It is calibrated by what the model said of held-out source rows, which its file keeps, and by nothing else. Read
    docs/expected-accuracy.md for what it covers and where it fails; `doubts` say so where it is known.

    Args
        model: what `dalib.fit(…).fitted` or `load_model` gave, or a model file; or `Outputs` of held-out source rows
        data: as for `dalib.adapt`; labels, if any, are not looked at; or `Outputs` of the target's rows
        domain: which of a data set's
        second: the same training with another seed, for `agreement`
        root: where the data of a name lie; None = DALIB_DATA
        device: `auto`, `cpu`, `cuda`, `cuda:N`, for model files
        skip_unreadable: leave out image files that cannot be decoded

    Raises
        DalibError: a model that rejects rows, or without held-out rows (an adapted one, validation = 0) or
            probabilities, too few rows, answers to fewer than half of the classes, or answers of several sorts
    """
    if isinstance(model, Outputs) or isinstance(data, Outputs):
        if not (isinstance(model, Outputs) and isinstance(data, Outputs)) or not isinstance(second, Outputs | None):
            raise DalibError("give Outputs of held-out source rows and of the target, both, or a model and data")
        held_out, target, other = model, data, second
    else:
        fitted = _open(model, device)
        held_out = held_out_of(fitted)
        rows = open_target(fitted, data, domain, root=root, skips=skip_unreadable).rows
        target, other = fitted.outputs(rows), second if isinstance(second, Outputs) else None
        if second is not None and not isinstance(second, Outputs):
            again = _open(second, device)
            if again.classes != fitted.classes:
                raise DalibError(
                    "the second model knows other classes than the first; give the same training with another seed"
                )
            other = again.outputs(rows)
    _check_outputs(held_out, target, other)
    found = expected_accuracy(held_out, target, other)
    if found is None:
        raise DalibError(cannot_expect(held_out, target))
    return found


def _check_outputs(held_out: Outputs, target: Outputs, second: Outputs | None) -> None:
    """DalibError for answers to other classes or rows than each other, and for labels that are no classes of theirs."""
    K = held_out.logits.shape[-1]
    for name, part in (("held-out", held_out), ("target", target), ("second", second)):
        if part is not None and (part.logits.ndim != 2 or part.logits.shape[1] != K):
            raise DalibError(
                f"the {name} logits are {tuple(part.logits.shape)}, the held-out ones {tuple(held_out.logits.shape)}; "
                "give (n, K) of the same K classes"
            )
    y = torch.zeros(len(held_out.logits), dtype=torch.int64) if held_out.y is None else held_out.y
    if y.is_floating_point() or y.shape != held_out.logits.shape[:1] or not bool(((y >= 0) & (y < K)).all()):
        raise DalibError(
            f"the held-out labels are no {len(held_out.logits)} whole numbers from 0 to {K - 1}; mend them"
        )
    if second is not None and len(second.logits) != len(target.logits):
        raise DalibError(
            f"the second model answers {len(second.logits)} rows and the first {len(target.logits)}; give the same rows"
        )


def held_out_of(fitted: Fitted) -> Outputs:
    """What the model said of held-out source rows; DalibError where there is none, or where it means nothing."""
    fitted.algorithm.need_probabilities("an expected accuracy")
    if fitted.algorithm.rejects or fitted.extra.get("protocol", {}).get("reject", 1.0) < 1:
        raise DalibError(
            "the model turns rows down, and of those no accuracy can be expected; ask one that gives every row a class "
            "(protocol.reject = 1, no open-set algorithm)"
        )
    if fitted.held_out is None:
        adapted = "adapted_from" in fitted.extra
        why = (
            "was adapted without the source, of which it answers no row"
            if adapted
            else "keeps no answers to held-out source rows"
        )
        way = (
            "ask the model that it was adapted from"
            if adapted
            else "train it with dalib train and protocol.validation > 0"
        )
        raise DalibError(f"the model {why}, so no accuracy can be expected of it; {way}")
    return fitted.held_out


def _open(model: Fitted | str | Path, device: str) -> Fitted:
    return model if isinstance(model, Fitted) else load_model(model, device)
