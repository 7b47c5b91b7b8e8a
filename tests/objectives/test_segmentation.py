"""A class for every pixel: the loss by hand, a fit from files to masks on disk, resume, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import log_softmax

import dalib
from dalib import TrainConfig, Trainer
from dalib.checks.dense_world import CONFIG, backbone, make_task
from dalib.checks.training import Interrupted
from dalib.checks.world import equal_states
from dalib.cli import main
from dalib.core.errors import DalibError
from dalib.core.objective import find_objective
from dalib.core.registry import ALGORITHMS
from dalib.prediction import Answer, predict
from dalib.train.model_file import load_model
from tests.support.scene_folders import CLASSES, write_scenes

RECIPE = {"steps": 3, "batch_size": 4, "crop": 32, "bottleneck": 8, "evaluations": 1, "augment": "flip"}
TINY = {"name": "tiny", "weights": "pretrained"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"), n=6)


def fit(root: Path, algorithm: str = "source_only", train: dict | None = None, **how):
    settings = {"backbone": TINY, "device": "cpu", "root": root, **how}
    return dalib.fit("mask_folder", "day", "dusk", algorithm, train={**RECIPE, **(train or {})}, **settings)


def test_the_loss_is_the_mean_over_pixels_with_a_label():
    rng = np.random.default_rng(0)
    prediction, y = rng.normal(size=(2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5))
    y[0, :3] = 255
    log_p, told = log_softmax(prediction, axis=1), []
    for b, i, j in np.ndindex(y.shape):
        if y[b, i, j] != 255:
            told.append(-log_p[b, y[b, i, j], i, j])
    objective, given = find_objective("segmentation"), (torch.tensor(prediction), torch.tensor(y))
    assert float(objective.loss(*given)) == pytest.approx(np.mean(told), rel=1e-10)
    rows = objective.row_losses(*given)
    assert float(rows[0]) == pytest.approx(np.mean(told[:5]), rel=1e-10)
    assert float(rows[1]) == pytest.approx(np.mean(told[5:]), rel=1e-10)


def test_pictures_without_any_label_have_a_finite_loss_of_zero():
    prediction = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = find_objective("segmentation").loss(prediction, torch.full((2, 4, 4), 255))
    loss.backward()
    assert float(loss.detach()) == 0 and prediction.grad is not None and not prediction.grad.any()


def test_answers_are_kept_as_a_byte_per_pixel_and_told_as_parts_of_the_picture():
    objective = find_objective("segmentation")
    prediction = torch.randn(2, 3, 4, 4)
    kept = objective.keep(prediction)
    assert kept.dtype == torch.uint8 and torch.equal(objective.decide(kept), prediction.argmax(1).to(torch.uint8))
    told = objective.tell(kept, 3)
    torch.testing.assert_close(told, torch.stack([(kept == c).float().mean((1, 2)) for c in range(3)], 1))


def test_a_model_is_trained_measured_saved_and_writes_masks(root, tmp_path, capsys):
    run = fit(root, "daformer", out=tmp_path / "model")
    assert run.metric == "mean_iou" and set(run.values) == {"source, training rows", "source, held-out rows", "target"}
    pictures = tmp_path / "new"
    (pictures / "deep").mkdir(parents=True)
    for name, size in (("a.jpg", (50, 40)), ("deep/b.png", (32, 64))):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8)).save(pictures / name)
    told = predict(load_model(run.path, "cpu"), pictures, masks=tmp_path / "masks")
    assert told.columns == ("file", *CLASSES) and [r.file for r in told.rows] == ["a.jpg", "deep/b.png"]
    for row, size in zip(told.rows, ((50, 40), (32, 64)), strict=True):
        assert isinstance(row, Answer) and sum(row.values) == pytest.approx(1)
        mask = Image.open(tmp_path / "masks" / Path(row.file).with_suffix(".png"))
        assert mask.size == size and mask.mode == "P" and np.asarray(mask).max() < 3
        laid = Image.open(tmp_path / "masks" / Path(row.file).with_suffix(".overlay.jpg"))
        assert laid.size == size
    found = dalib.evaluate(run.path, root, "dusk", device="cpu")
    assert found.metrics["mean_iou"] == pytest.approx(run.values["target"]) and set(found.per_class) == set(CLASSES)
    assert list(found.frame().columns) == ["class", "n", "precision", "recall", "f1", "iou"]
    assert main(["evaluate", str(run.path), str(root), "--domain", "dusk", "--classes", "--device", "cpu"]) == 0
    assert "class n precision recall f1 iou" in " ".join(capsys.readouterr().out.split())
    again = predict(run.fitted, pictures)
    np.testing.assert_allclose([r.values for r in again.rows], [r.values for r in told.rows])


def test_two_pictures_that_would_share_a_mask_are_refused(root, tmp_path):
    fitted = fit(root).fitted
    (pictures := tmp_path / "pictures").mkdir()
    for ending in ("jpg", "png"):
        Image.new("RGB", (32, 32)).save(pictures / f"a.{ending}")
    with pytest.raises(DalibError, match=r"a.jpg and a.png would both be written to a.png"):
        predict(fitted, pictures, masks=tmp_path / "masks")
    with pytest.raises(DalibError, match="would be taken for pictures the next time"):
        predict(fitted, pictures, masks=pictures / "masks")


@pytest.mark.parametrize("augment", ["none", "flip", "standard"])
def test_a_killed_fit_goes_on_bit_for_bit(tmp_path, augment):
    def kill(fitted, step):
        raise Interrupted

    config = CONFIG.model_copy(update={"augment": augment, "sampler": "rare_classes", "fourier": 0.05})

    def trained(**how):
        return Trainer(config, device="cpu", **how).fit(ALGORITHMS.get("mmd")(), make_task(), backbone()).algorithm

    with pytest.raises(Interrupted):
        trained(checkpoint=tmp_path / "c.pt", checkpoint_seconds=-1.0, evaluate=kill)
    assert (tmp_path / "c.pt").is_file()
    resumed = trained(checkpoint=tmp_path / "c.pt", checkpoint_seconds=1e9)
    assert (tmp_path / "c.pt").is_file() is False, "a finished fit needs no state"
    assert not equal_states(trained(), resumed)


def test_it_learns_squares():
    config = TrainConfig(steps=60, batch_size=8, bottleneck=16, crop=32, augment="flip", lr=0.1, backbone_rate=1.0)
    task = make_task()
    fitted = Trainer(config, device="cpu").fit(ALGORITHMS.get("source_only")(), task, backbone())
    from dalib.scoring.metrics import task_metrics

    found = task_metrics(fitted.outputs(task.labelled), "train", task)
    assert found["train_mean_iou"] > 0.8 and found["train_pixel_accuracy"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS.able("segmentation"))
def test_what_says_that_it_works_on_pixels_does(root, name):
    if name in ("lwf", "sdat"):
        pytest.skip("lwf needs a pretrained classifier; sdat's default base is for classes")
    assert np.isfinite(list(fit(root, name).values.values())).all()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"algorithm": "mcc"}, "mcc needs classification, but the labels are for segmentation; take one of"),
        ({"algorithm": "adda"}, "adda needs an answer per row, but the labels are for segmentation"),
        (
            {"backbone": {**TINY, "frozen": True}},
            "backbone.frozen = true: tiny's features of a whole picture say nothing",
        ),
        ({"train": {"resize": 40}}, "resize = 40, but every pixel gets an answer"),
        ({"train": {"sampler": "class_balanced"}}, "class_balanced needs one class per picture; of masks use rare"),
        ({"protocol": {"source_classes": ["red"]}}, "source_classes and target_classes choose pictures by their class"),
        ({"data": {"skip_unreadable": True}}, "holds pictures that need their masks; skip_unreadable"),
        ({"backbone": {"name": "lenet", "weights": "none"}}, "backbone 'lenet' gives no feature maps"),
    ],
)
def test_what_makes_no_sense_for_pixels_is_refused(root, how, said):
    with pytest.raises(DalibError, match=said.replace("(", r"\(")):
        fit(root, **how)


def test_a_decoder_and_rare_classes_are_for_pixels_only():
    from dalib.checks.world import make_task as rows
    from dalib.core.backbone import identity

    for train, said in (
        ({"decoder": "fcn"}, "train.decoder = fcn is for an answer per pixel"),
        ({"sampler": "rare_classes"}, "is for masks, not for classification"),
    ):
        with pytest.raises(DalibError, match=said):
            Trainer(TrainConfig(steps=2, **train), device="cpu").fit(
                ALGORITHMS.get("source_only")(), rows(), identity(16)
            )


def test_masks_of_a_model_for_classes_are_refused():
    from dalib.checks.world import fit as fit_rows

    with pytest.raises(DalibError, match="was not trained to answer for every pixel"):
        predict(fit_rows(ALGORITHMS.get("source_only")), np.zeros((2, 16), np.float32), masks="x")


def test_a_suite_records_every_class_and_a_second_run_finds_it(root, tmp_path):
    from dalib.bench.runner import run_suite
    from dalib.records.store import Store
    from dalib.report.per_class import render_classes
    from dalib.scoring.rescore import rescore

    (tmp_path / "s.toml").write_text(
        'title = "t"\ndataset = "mask_folder"\nseeds = [0]\ntasks = ["day->dusk"]\n[backbone]\nname = "tiny"\n'
        'weights = "pretrained"\n[train]\nsteps = 2\nbatch_size = 4\ncrop = 32\nbottleneck = 8\nevaluations = 1\n'
        "[algorithms]\nsource_only = {}\ndann = {}\n"
    )
    store = Store(tmp_path / "runs")
    for there in (0, 2):
        assert len(list(store.records())) == there
        run_suite(tmp_path / "s.toml", store=tmp_path / "runs", root=root, device="cpu")
    made = {r.key: r.provenance["time"] for r in store.records()}
    run_suite(tmp_path / "s.toml", store=tmp_path / "runs", root=root, device="cpu")
    assert made == {r.key: r.provenance["time"] for r in store.records()}
    record = next(r for r in store.records() if r.spec.algorithm == "dann")
    assert record.objective == "segmentation" and set(record.per_class) == set(CLASSES)
    assert 0 <= record.candidates[-1].metrics["target_mean_iou"] <= 1
    assert "domain_accuracy" in record.candidates[-1].metrics
    assert "IoU" in render_classes(record)
    mean = np.mean([v["target_iou"] for v in record.per_class.values()])
    assert record.candidates[-1].metrics["target_mean_iou"] == pytest.approx(mean, abs=1e-5)
    del record.candidates[-1].metrics["target_mean_iou"]
    store.update(record)
    assert rescore(store, store.manifest("s")).records == 1
    again = next(r for r in store.records() if r.spec.algorithm == "dann")
    assert again.candidates[-1].metrics["target_mean_iou"] == pytest.approx(mean, abs=1e-5)
