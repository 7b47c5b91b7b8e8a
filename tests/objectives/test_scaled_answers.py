"""Numbers scaled to be learnt and taken back: on arrays, in model files, by the recipe; and pictures that move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import dalib
from dalib.bench.describe import describe_run
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.evaluation import label_as_trained
from dalib.scoring.metrics import output_metrics, task_metrics
from dalib.train.answers import check_answers
from dalib.train.model_file import load_model, save_model
from tests.support.image_world import make_backbone, make_image_task, recipe
from tests.support.numbers import D, error, fit, make_task


def test_the_scale_is_that_of_the_labelled_rows_and_comes_back() -> None:
    y = torch.tensor([[1.0, 10.0], [3.0, 10.0], [8.0, 10.0]])
    for answers, shift, scale, unit in (
        ("standardised", [4.0, 10.0], [np.std([1, 3, 8]), 1.0], [np.std([1, 3, 8]), 1.0]),
        ("bounded", [1.0, 10.0], [7.0, 0.0], [7.0, 1.0]),
    ):
        network = Network(identity(4), 2, 0, objective=find_objective("regression"), answers=answers)
        scaled = network.scale_answers(y)
        np.testing.assert_allclose(network.answer_shift.numpy(), shift, rtol=1e-6)
        np.testing.assert_allclose(network.answer_scale.numpy(), scale, rtol=1e-6)
        np.testing.assert_allclose(scaled.numpy(), (y.numpy() - shift) / unit, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(network.restore_answers(scaled).numpy(), y.numpy(), rtol=1e-6)


def test_the_unit_of_the_answers_changes_nothing_when_they_are_standardised() -> None:
    small, large = (fit(dalib.DeepCORAL(), make_task(unit=u), answers="standardised") for u in (1.0, 4096.0))
    a, b = (f.outputs(make_task().test).prediction.numpy() for f in (small, large))
    np.testing.assert_allclose(b, 4096 * a, rtol=1e-3, atol=0.5)


def test_answers_of_a_large_unit_are_learnt_with_it() -> None:
    task = make_task(unit=1000.0)
    recipe_of_numbers = {"steps": 300, "lr": 0.05, "bottleneck": 0, "answers": "standardised"}
    reached = error(fit(dalib.SourceOnly(), task, **recipe_of_numbers), task.labelled)
    assert reached < 0.2 * float(task.test.labels.std())


def test_an_answer_that_is_always_the_same_is_bounded_by_itself() -> None:
    network = Network(identity(4), 2, 0, objective=find_objective("regression"), answers="bounded")
    network.scale_answers(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    told = network.restore_answers(torch.tensor([[0.5, 0.48], [1.0, 0.9]]))
    assert told.tolist() == [[2.0, 5.0], [3.0, 5.0]]


def test_bounded_answers_stay_within_the_range_of_the_source() -> None:
    task = make_task(moved=3.0)
    told = fit(dalib.SourceOnly(), task, steps=100, answers="bounded").outputs(task.test).prediction.numpy()
    low, high = task.labelled.labels.min(0), task.labelled.labels.max(0)
    assert (told >= low - 1e-5).all() and (told <= high + 1e-5).all()
    assert (task.test.labels > high).any()


@pytest.mark.parametrize("answers", ["standardised", "bounded"])
def test_a_model_file_keeps_the_scale(answers, tmp_path) -> None:
    task = make_task(unit=50.0)
    fitted = fit(dalib.MMD(), task, answers=answers)
    expected = fitted.outputs(task.test).prediction
    loaded = load_model(save_model(fitted, tmp_path / "model"), device="cpu")
    assert torch.equal(loaded.outputs(task.test).prediction, expected)
    assert expected.std() > 5


def test_as_given_leaves_no_trace_in_the_weights() -> None:
    fitted = fit(dalib.SourceOnly(), make_task(), steps=1)
    assert not any("answer" in name for name in fitted.algorithm.state_dict())


def test_what_solves_needs_no_scale() -> None:
    plain, scaled = (
        fit(dalib.CORAL(), make_task(), answers=a).outputs(make_task().test) for a in ("as_given", "bounded")
    )
    assert torch.equal(plain.prediction, scaled.prediction)


def test_a_fleet_learns_scaled_answers_as_single_runs_do() -> None:
    from dalib import TrainConfig, Trainer
    from dalib.train.fleet import Member, fit_fleet

    config = TrainConfig(steps=5, batch_size=16, bottleneck=8, evaluations=1, answers="standardised")
    tasks = [make_task(unit=u, seed=i) for i, u in enumerate((1.0, 300.0))]
    members = [
        Member(Trainer(config, seed=i, device="cpu"), dalib.RSD(), task, identity(D)) for i, task in enumerate(tasks)
    ]
    for i, (fitted, task) in enumerate(zip(fit_fleet(members), tasks, strict=True)):
        alone = Trainer(config, seed=i, device="cpu").fit(dalib.RSD(), task, identity(D))
        a, b = (f.outputs(task.test).prediction.numpy() for f in (fitted, alone))
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())


def test_runs_on_numbers_scale_them_unless_told_otherwise_and_runs_on_classes_do_not(tmp_path) -> None:
    task = make_task(n=20)
    arrays = {f"{d.name}_{k}": v for d in (task.labelled, task.test) for k, v in (("x", d.x), ("y", d.labels))}
    np.savez(tmp_path / "numbers.npz", objective="regression", **arrays)
    classes = {"a_x": np.ones((4, 2)), "a_y": np.array([0, 1, 0, 1]), "b_x": np.ones((4, 2))}
    np.savez(tmp_path / "classes.npz", **classes)
    numbers, plain = f"features:{tmp_path / 'numbers.npz'}", f"features:{tmp_path / 'classes.npz'}"
    spec = describe_run(numbers, "source", "target", "mmd")
    assert spec.train.answers == "standardised"
    given = describe_run(numbers, "source", "target", "mmd", train={"answers": "as_given"})
    assert given.train.answers == "as_given" and given.key != spec.key
    assert describe_run(plain, "a", "b", "mmd").train.answers == "as_given"
    assert (
        describe_run(numbers, "source", "target", "coral").key
        == describe_run(numbers, "source", "target", "coral", train={"answers": "bounded"}).key
    )


def test_classes_have_no_scale() -> None:
    task = make_task()
    classes = [
        replace(d, y=None if d.y is None else (d.labels[:, 0] > 0).astype(np.int64), objective="classification")
        for d in (task.labelled, task.target, task.validation, task.test)
    ]
    with pytest.raises(DalibError, match=r"train\.answers = 'bounded' scales numbers, but the labels are for class"):
        fit(dalib.SourceOnly(), dalib.Task(task.name, *classes), answers="bounded")


def test_metrics_of_every_output_are_those_of_its_column() -> None:
    task = make_task(unit=3.0)
    outputs = fit(dalib.SourceOnly(), task).outputs(task.test)
    told = output_metrics(outputs, task.classes, "regression")
    y, p = task.test.labels.astype(float), outputs.prediction.numpy()
    assert list(told) == ["a", "b"]
    for k, name in enumerate(told):
        assert told[name]["target_mae"] == pytest.approx(np.abs(y[:, k] - p[:, k]).mean(), rel=1e-5)
        assert told[name]["target_nmae"] == pytest.approx(np.abs(y[:, k] - p[:, k]).mean() / y[:, k].std(), rel=1e-5)
        assert told[name]["n"] == 160
    whole = task_metrics(outputs, "target", task)
    assert whole["target_nmae"] == pytest.approx(np.mean([v["target_nmae"] for v in told.values()]), rel=1e-5)
    expected = np.mean(np.sqrt(((y - p) ** 2).mean(0)) / y.std(0))
    assert whole["target_nrmse"] == pytest.approx(expected, rel=1e-5)
    assert 1 - expected**2 == pytest.approx(whole["target_r2"], abs=0.05)


def numbers_of(task: dalib.Task) -> dalib.Task:
    """Pictures whose answer is the mean of their red channel."""
    parts = []
    for domain in (task.labelled, task.target, task.validation, task.test):
        y = np.asarray(domain.x)[:, :1].mean((2, 3)).astype(np.float32)
        parts.append(replace(domain, y=None if domain.y is None else y, classes=("red",), objective="regression"))
    return dalib.Task(task.name, *parts)


def test_pictures_whose_answers_are_numbers_are_neither_cropped_nor_flipped_unless_that_changes_nothing() -> None:
    task = numbers_of(make_image_task())
    for augment in ("flip", "standard"):
        with pytest.raises(
            DalibError, match=rf"augment = '{augment}' crops and flips pictures, but their answers \(red\)"
        ):
            dalib.Trainer(recipe(augment=augment), device="cpu").fit(dalib.MMD(), task, make_backbone())
    for config in (recipe(augment="none"), recipe(augment="flip", invariant=True)):
        fitted = dalib.Trainer(config.model_copy(update={"answers": "standardised"}), device="cpu").fit(
            dalib.MMD(), task, make_backbone()
        )
        assert fitted.outputs(task.test).prediction.isfinite().all()
    frozen = dalib.Trainer(recipe(augment="standard", answers="standardised"), device="cpu").fit(
        dalib.SourceOnly(), task, make_backbone(frozen=True)
    )
    assert frozen.outputs(task.test).prediction.shape == (31, 1)


def test_the_recipe_of_numbers_on_pictures_leaves_them_as_they_are() -> None:
    from dalib.train.recipes import fill_recipe

    filled = fill_recipe({}, dalib.MMD, "tiny", "own", False, "regression")
    assert filled["augment"] == "none" and filled["answers"] == "standardised"
    assert "augment" not in fill_recipe({"invariant": True}, dalib.MMD, "tiny", "own", False, "regression")
    assert "augment" not in fill_recipe({}, dalib.MMD, "tiny", "own", True, "regression")
    assert "augment" not in fill_recipe({}, dalib.MMD, "tiny", "own", False, "multilabel")


NUMBERS, ANSWERS = np.arange(12.0, dtype=np.float32).reshape(6, 2), np.array([[0, 1]] * 6)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize(
    ("objective", "y", "names", "said"),
    [
        ("regression", NUMBERS[:, 0], ("u",), r"have shape \(6,\) and type float32; regression needs numbers \(n, 1\)"),
        ("regression", NUMBERS, ("u",), r"have shape \(6, 2\) and type float32; regression needs numbers \(n, 1\)"),
        ("regression", np.where(NUMBERS == 3, np.nan, NUMBERS), ("u", "v"), "NaN, infinity or a number beyond"),
        ("regression", 1e30 * NUMBERS, ("u", "v"), "NaN, infinity or a number beyond 1e"),
        ("regression", np.full((6, 2), "1.0"), ("u", "v"), "regression needs numbers"),
        ("multilabel", 3 * ANSWERS, ("u", "v"), "3; answers are 0, 1, or -1 where nobody said"),
        ("multilabel", ANSWERS[:, 0], ("u",), r"have shape \(6,\) and type int64; multilabel needs numbers"),
        ("segmentation", np.zeros((6, 4), np.uint8), ("u",), r"segmentation needs numbers \(n, H, W\)"),
        ("detection", np.zeros((6, 2, 4), np.float32), ("u",), r"detection needs numbers \(n, M, 5\)"),
    ],
)
def test_labels_of_domains_made_by_hand_are_looked_at_before_training(side, objective, y, names, said):
    """A column too few is no error of PyTorch's: (n, 1) - (n,) is (n, n), and what was learnt was the mean."""
    sound = {"regression": NUMBERS, "multilabel": ANSWERS}.get(objective, np.zeros((6, 4, 5), np.float32))
    sound = sound.astype(np.uint8) if objective == "segmentation" else sound[:, : len(names)]
    a = dalib.Domain("a", np.zeros((6, D), np.float32), sound, names, "a", objective=objective)
    b = replace(a, name="b")
    check_answers(dalib.Task("a->b", a, b.unlabelled(), a, b), dalib.TrainConfig(), moves=False)
    a, b = (replace(d, y=y) if d.name == side else d for d in (a, b))
    with pytest.raises(DalibError, match=f"the labels of '{side}' .*{said}"):
        check_answers(
            dalib.Task("a->b", a, b.unlabelled(), a.take(np.arange(0), ""), b), dalib.TrainConfig(), moves=False
        )


def test_outputs_of_both_domains_are_the_same_in_one_order_and_of_one_kind():
    task = make_task()
    first, second = task.classes[:2]
    for names in ((second, first, *task.classes[2:]), task.classes[:1]):
        swapped = replace(task, test=replace(task.test, classes=names))
        with pytest.raises(DalibError, match=f"the outputs of '.*' are {first}, {second}.*, those of '.*' {names[0]}"):
            fit(dalib.SourceOnly(), swapped)
    other = replace(task, test=replace(task.test, objective="multilabel"))
    with pytest.raises(DalibError, match=r"the labels of '.*' are for multilabel, those of '.*' for regression"):
        fit(dalib.SourceOnly(), other)
    model = fit(dalib.SourceOnly(), task)
    with pytest.raises(DalibError, match=r"have shape \(\d+,\) and type float32; regression needs numbers"):
        label_as_trained(model, replace(task.test, y=task.test.labels[:, 0]))
