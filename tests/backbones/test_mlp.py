"""`mlp`: columns that are constant in the source and not in the target must not drown the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

import dalib
from dalib.backbones import backbone_version, load_backbone
from dalib.core.rows import row_shape
from dalib.nn.columns import ColumnReach

pytestmark = pytest.mark.filterwarnings("ignore:column .* in all rows of X")


def words(seed: int, rows: int = 600, width: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A drawn bag of words, log(1 + count): two sentiments; each domain lacks a quarter of the words."""
    rng = np.random.default_rng(seed)
    common = rng.permutation(1 / np.arange(1, width + 1))
    place = rng.random(width)
    feeling = np.where((place > 0.3) & (place < 0.7), rng.normal(0, 1.2, width), 0)
    parts = []
    for frequency in (np.where(place < 0.25, 1e-4, 1) * common, np.where(place > 0.75, 1e-4, 1) * common):
        y = rng.integers(0, 2, rows)
        p = frequency * np.exp((2 * y[:, None] - 1) * feeling / 2)
        counts = np.stack([rng.multinomial(40, row) for row in p / p.sum(1, keepdims=True)])
        parts += [np.log1p(counts).astype(np.float32), y]
    return parts[0], parts[1], parts[2], parts[3]


def test_source_only_is_near_logistic_regression_where_words_are_only_in_the_target() -> None:
    plain, network, normed = [], [], []
    for seed in range(2):
        x_s, y_s, x_t, y_t = words(seed)
        assert ((x_s.std(0) == 0) & (x_t.std(0) > 0)).sum() > 20
        plain.append(LogisticRegression(max_iter=2000).fit(x_s, y_s).score(x_t, y_t))
        for scores, change in ((network, False), (normed, True)):
            backbone = load_backbone("mlp", "none", rows=row_shape(x_s), seed=0)
            if change:
                backbone.module[0][0] = nn.BatchNorm1d(x_s.shape[1])  # type: ignore[index]
            model = dalib.AdaptationClassifier("source_only", backbone=backbone, train={"steps": 500}, device="cpu")
            scores.append(model.fit(x_s, y_s, x_t).score(x_t, y_t))
    assert np.mean(network) > np.mean(plain) - 0.02
    assert np.mean(normed) < np.mean(plain) - 0.1, "what a batch norm on the columns does to the same rows"


def test_its_columns_are_scaled_by_their_reach_in_the_module_and_with_its_state() -> None:
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    backbone = load_backbone("mlp", "none", rows=row_shape(x), seed=0)
    first = backbone.module[0][0]  # type: ignore[index]
    assert isinstance(first, ColumnReach) and backbone_version("mlp") == 2
    backbone.module.train()(torch.from_numpy(x))
    again = load_backbone("mlp", "none", rows=row_shape(x), seed=1)
    again.module.load_state_dict(backbone.module.state_dict())
    given = torch.from_numpy(x)
    torch.testing.assert_close(again.module.eval()(given), backbone.module.eval()(given))


@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_the_unit_of_a_column_changes_no_answer(unit: float) -> None:
    x_s, y_s, x_t, _ = words(0, 200, 40)
    scale = np.where(np.arange(40) % 2, 1, unit).astype(np.float32)
    answers = [
        dalib.AdaptationClassifier("source_only", backbone="mlp", train={"steps": 60}, device="cpu")
        .fit(x_s * s, y_s, x_t * s)
        .predict(x_t * s)
        for s in (np.ones(40, np.float32), scale)
    ]
    assert (answers[0] == answers[1]).mean() > 0.98
