"""What a model says of a row does not depend on what is predicted with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dalib
from dalib.checks.world import make_task
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("rows")
    y = np.arange(90) % 3
    x = 3 * rng.normal(size=(3, 8))[y]
    np.savez(
        folder / "f.npz", src_x=x + 0.3 * rng.normal(size=x.shape), src_y=y,
        tgt_x=x + 0.3 * rng.normal(size=x.shape) + 5, tgt_y=y,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("steps", [["zscore"], ["l2", "zscore"]])
def test_a_z_scored_row_gets_one_answer_in_every_file(world: Path, steps: list[str]) -> None:
    run = dalib.fit(
        f"features:{world / 'f.npz'}", "src", "tgt", "linear_probe",
        data={"normalise": steps}, out=world / "m", device="cpu",
    )  # fmt: skip
    x = np.load(world / "f.npz")["tgt_x"]
    together = dalib.predict(run.fitted, x).rows
    model = world / "m.safetensors"
    assert sum(int(r.label) == i % 3 for i, r in enumerate(together)) >= 85
    for rows in ([1], [7], [89], list(range(1, 90, 3))):
        alone = dalib.predict(model, x[rows], device="cpu").rows
        assert [r.label for r in alone] == [together[i].label for i in rows]
        assert np.allclose([r.probability for r in alone], [together[i].probability for i in rows], atol=1e-6)


def test_a_model_without_moments_refuses_one_row_and_warns_of_more(world: Path) -> None:
    run = dalib.fit(
        f"features:{world / 'f.npz'}", "src", "tgt", "linear_probe", data={"normalise": ["zscore"]}, device="cpu"
    )
    run.fitted.moments = ()
    x = np.load(world / "f.npz")["tgt_x"]
    with pytest.raises(DalibError, match="one row cannot be z-scored; train the model again"):
        dalib.predict(run.fitted, x[:1])
    with pytest.warns(RuntimeWarning, match="no moments of the target"):
        dalib.predict(run.fitted, x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(ALGORITHMS.files()))
def test_every_algorithm_predicts_a_row_alike_alone_and_among_others(name: str) -> None:
    task = make_task(n=60)
    algorithm = ALGORITHMS.get(name)()
    if algorithm.needs_head or algorithm.setting == "multi-source":
        pytest.skip("needs a pretrained classifier or several sources")
    config = TrainConfig(steps=4, bottleneck=8, batch_size=16)
    try:
        fitted = Trainer(config, device="cpu").fit(algorithm, task, identity(task.target.x.shape[1]))
    except DalibError as error:
        pytest.skip(str(error))
    together = fitted.outputs(task.target).logits
    for rows in ([0], [5], [3, 41]):
        alone = fitted.outputs(task.target.take(np.array(rows), "some")).logits
        assert (alone - together[rows]).abs().max() <= 1e-4 * (1 + together[rows].abs().max())


@pytest.mark.parametrize("top", [0, 4, 1.5, True, "1", None])
def test_how_many_classes_are_told_is_a_whole_number(world: Path, top: object) -> None:
    model = dalib.fit(f"features:{world / 'f.npz'}", "src", "tgt", "linear_probe", device="cpu").fitted
    with pytest.raises(DalibError, match=r"top = .* is out of range; the model knows 3 classes"):
        dalib.predict(model, np.zeros((2, 8), np.float32), top=top)  # type: ignore[arg-type]
    assert len(dalib.predict(model, np.zeros((2, 8), np.float32), top=np.int64(2)).rows) == 4  # type: ignore[arg-type]


def test_what_is_neither_a_path_nor_rows_is_refused(world: Path) -> None:
    model = dalib.fit(f"features:{world / 'f.npz'}", "src", "tgt", "linear_probe", device="cpu").fitted
    for data in ([[0.0] * 8], None, 3):
        with pytest.raises(DalibError, match=r"data is a .*; give a path or an array"):
            dalib.predict(model, data)  # type: ignore[arg-type]
    with pytest.raises(DalibError, match=r"data holds no rows, its shape is \(0, 8\)"):
        dalib.predict(model, np.zeros((0, 8), np.float32))


def test_rows_that_are_no_numbers_or_of_another_width_get_no_answer(world: Path) -> None:
    """One column would be stretched to all where rows are z-scored, and NaN is answered with the first class."""
    x = np.load(world / "f.npz")["tgt_x"]
    for steps in ([], ["zscore"]):
        model = dalib.fit(
            f"features:{world / 'f.npz'}", "src", "tgt", "linear_probe", data={"normalise": steps}, device="cpu"
        ).fitted
        for rows, message in (
            (x[:, :1], "width 1;"),
            (x[:, :5], "width 5;"),
            (x[:, :, None].repeat(2, 2), "width (8 x 2|.8, 2.);"),
            (x[0], r"data: the rows have the shape \(8,\)"),
            (np.where(x == x[3, 2], np.nan, x), "data: the rows have NaN or infinity, first in row 3"),
            (x.astype(str), "data: the rows are of type <U32; give real numbers"),
        ):
            with pytest.raises(DalibError, match=message):
                dalib.predict(model, rows)
