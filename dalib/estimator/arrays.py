"""What the estimators are given: rows, labels and a backbone, as arrays and as what the trainer takes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from dalib.assemble import check_crop
from dalib.backbones import load_backbone, own_weights, takes_rows
from dalib.core.backbone import Backbone, identity
from dalib.core.rows import row_shape
from dalib.estimator.mapping import copy_algorithm
from dalib.train.arguments import check_images


@dataclass(frozen=True)
class FitRows:
    """The rows of a fit: source x_s with labels y_s as given, weight_s and origin_s; target x_t with y_t or None.

    `bare`: there is no target of its own, x_t is x_s
    """

    x_s: np.ndarray
    y_s: Any
    weight_s: np.ndarray | None
    origin_s: np.ndarray
    x_t: np.ndarray
    y_t: np.ndarray | None
    weight_t: np.ndarray | None
    bare: bool


def off_graph(x: Any) -> Any:
    """A tensor without its history, on the CPU, as arrays are made of; anything else as it is."""
    return x.detach().cpu() if isinstance(x, torch.Tensor) else x


def as_pandas(x: Any) -> Any:
    """A table of polars, or of whatever has `columns` and `to_numpy`, as one of pandas; anything else as it is."""
    if not hasattr(x, "columns") or hasattr(x, "iloc") or not hasattr(x, "to_numpy"):
        return x
    import pandas as pd

    return pd.DataFrame({name: x[name].to_numpy() for name in x.columns})


def keep_columns(estimator: Any, x: Any, reset: bool) -> None:
    """Remember or compare names of a table's columns that are no words, of which scikit-learn takes no notice.

    Raises
        ValueError: they are others than those of fit, or in another order
    """
    names = [] if not hasattr(x, "columns") else list(x.columns)
    words = all(isinstance(name, str) for name in names)
    if reset:
        estimator._columns = None if words else names
    elif not words and (known := getattr(estimator, "_columns", None)) is not None and names != known:
        at = next((i for i, (a, b) in enumerate(zip(names, known, strict=False)) if a != b), len(names))
        raise ValueError(
            f"the columns of X are called otherwise than in fit, or are in another order, from column {at} on: "
            f"{names[at : at + 3]}, not {known[at : at + 3]}; give the columns of fit"
        )


def plain_labels(y: ArrayLike) -> np.ndarray:
    """Labels as an array; a masked one is None."""
    if isinstance(y, np.ma.MaskedArray) and np.ma.getmaskarray(y).any():
        return np.array([None if lost else label for label, lost in zip(y.data, np.ma.getmaskarray(y), strict=True)])
    return np.asarray(y)


def build_backbone(given: str | Backbone | nn.Module | None, x_s: np.ndarray, x_t: np.ndarray, seed: int) -> Backbone:
    """The network in front, as the argument `backbone` of an estimator says it; what is given is copied.

    Raises
        ValueError: None or identity, and rows that are no features
    """
    if given is None or given == "identity":
        if x_s.ndim != 2:
            raise ValueError(f"identity passes features (n, d) as they are; rows are {x_s.shape[1:]}")
        return identity(x_s.shape[1])
    if isinstance(given, nn.Module):
        return Backbone.of(copy.deepcopy(given), x_s)
    if isinstance(given, Backbone):
        made = copy.deepcopy(given)
    else:
        if not takes_rows(given):
            check_images(x_s, x_t)
        how: dict[str, Any] = {"rows": row_shape(x_s, x_t)} if takes_rows(given) else {}
        made = load_backbone(given, own_weights(given), seed=seed, **how)
    if made.preprocess:
        check_images(x_s, x_t)
        prepare = made.preprocess.of_side(x_s.shape[-1])
        if prepare != made.preprocess:
            check_crop(made, prepare.crop, "side of the images")
        made = replace(made, preprocess=prepare)
    return made


class NamesSettings:
    """Estimators whose `algorithm` may be a name: `set_params(algorithm__reg=…)` is of the algorithm called so."""

    def set_params(self, **params: Any) -> Any:
        given = params.get("algorithm", getattr(self, "algorithm", None))
        if any(name.startswith("algorithm__") for name in params) and (given is None or isinstance(given, str)):
            params["algorithm"] = copy_algorithm(given)
        return super().set_params(**params)  # type: ignore[misc]
