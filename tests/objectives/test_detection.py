"""Boxes: torchvision's Faster R-CNN to the last number, a fit from files to boxes in a table, resume, refusals."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dalib
from dalib import TrainConfig, Trainer
from dalib.bench.progress import LineProgress
from dalib.checks.dense_world import CONFIG, backbone, make_scenes, make_task
from dalib.checks.training import Interrupted
from dalib.checks.world import equal_states, seeded
from dalib.core.errors import DalibError
from dalib.core.objective import find_objective
from dalib.core.registry import ALGORITHMS
from dalib.core.splits import concatenate
from dalib.nn.boxes import as_targets, pack_answers
from dalib.nn.detector import SIZES, Detector, DetectorSize
from dalib.prediction import FoundBox, predict
from dalib.train.model_file import load_model
from tests.support.box_folders import write_box_folder

RECIPE = {"steps": 3, "batch_size": 4, "crop": 32, "bottleneck": 8, "evaluations": 1, "augment": "flip"}
TINY = {"name": "tiny", "weights": "pretrained"}
KIND = "detection"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_box_folder(tmp_path_factory.mktemp("boxes"))


@pytest.fixture
def coco() -> None:
    pytest.importorskip("pycocotools", reason="boxes are measured by pycocotools, which is not installed")


def fit(root: Path, algorithm: str = "source_only", train: dict | None = None, **how):
    settings = {"backbone": TINY, "device": "cpu", "root": root, "data": {"partial": True}, **how}
    return dalib.fit("mini_boxes", "catalogue", "webcam", algorithm, train={**RECIPE, **(train or {})}, **settings)


def test_labels_and_answers_keep_their_shape_with_padding():
    y = torch.tensor([[[1.0, 2, 3, 8, 9], [-1, 0, 0, 0, 0]], [[-1, 0, 0, 0, 0], [-1, 0, 0, 0, 0]]])
    first, second = as_targets(y)
    assert first["boxes"].tolist() == [[2, 3, 8, 9]] and first["labels"].tolist() == [2]
    assert second["boxes"].shape == (0, 4) and second["labels"].shape == (0,)
    found = {"boxes": torch.tensor([[0.0, 0, 4, 4], [1, 1, 9, 9]]), "labels": torch.tensor([1, 3])}
    answers = pack_answers([{**found, "scores": torch.tensor([0.2, 0.7])}], 3, y)
    assert answers[0].tolist() == [
        pytest.approx(v) for v in ([2, 0.7, 1, 1, 9, 9], [0, 0.2, 0, 0, 4, 4], [-1, *[0] * 5])
    ]


def torchvisions(backbone_module, channels: int):
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    body = BackboneWithFPN(
        backbone_module, {f"layer{i}": str(i - 1) for i in (1, 2, 3, 4)}, [64, 128, 256, 512], channels
    )
    plain = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3}
    return FasterRCNN(body, 3, min_size=192, max_size=192, rpn_post_nms_top_n_test=50, **plain)


def in_evaluation(module: torch.nn.Module) -> torch.nn.Module:
    """In training mode, but for its batch norms."""
    module.train()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eval()
    return module


def same_as_torchvisions(theirs, network, x: torch.Tensor) -> None:
    """The same losses by the same draws, and the same boxes."""
    predictor = {k: v for k, v in theirs.state_dict().items() if "box_predictor" in k}
    network.head.load_state_dict({**network.head.state_dict(), **predictor})
    y = torch.tensor([[[0.0, 10, 20, 90, 80], [1, 60, 60, 150, 170]], [[1.0, 30, 30, 120, 100], [-1, 0, 0, 0, 0]]])
    theirs.transform.torch_choice = lambda sizes: sizes[0]  # it draws one of its one size, which would move our draws
    in_evaluation(network), in_evaluation(theirs)
    with seeded(1):
        ours = network(x)[1].losses(y)
    with seeded(1):
        expected = theirs(list(x), as_targets(y))
    assert {f"loss_{k}" for k in ours} == set(expected)
    for name, value in ours.items():
        torch.testing.assert_close(value, expected[f"loss_{name}"], rtol=1e-5, atol=1e-6)
    network.eval(), theirs.eval()
    answers = find_objective(KIND).decide(network(x)[1])
    for answer, told in zip(answers, theirs(list(x)), strict=True):
        n = len(told["scores"])
        assert n > 0 and (answer[n:, 0] == -1).all()
        torch.testing.assert_close(answer[:n, 1], told["scores"])
        torch.testing.assert_close(answer[:n, 2:], told["boxes"], rtol=1e-4, atol=1e-3)


def test_with_a_resnet_the_network_is_torchvisions_faster_rcnn_to_the_last_number(tmp_path):
    """Its weights, as a file, in ours."""
    from torchvision.models import resnet18

    from dalib.backbones import load_backbone

    with seeded(0):
        theirs = torchvisions(resnet18(weights=None), 16)
        torch.save(theirs.state_dict(), tmp_path / "detector.pth")
        x = torch.rand(2, 3, 192, 192)
    with pytest.warns(UserWarning, match="holds a detector"):
        made = load_backbone("resnet18", str(tmp_path / "detector.pth"))
    network = find_objective(KIND).network(made, 2, 16, decoder="faster_rcnn")
    network.head.rpn._post_nms_top_n = theirs.rpn._post_nms_top_n
    same_as_torchvisions(theirs, network, x)


@pytest.mark.parametrize(("decoder", "name"), [("", "large_fpn"), ("faster_rcnn_320", "large_320_fpn")])
def test_with_a_mobilenet_it_is_torchvisions_detector_on_that(tmp_path, decoder, name):
    """From a file of its weights, whose frozen batch norms count no batches and add 1e-5 to a variance."""
    from torchvision.models.detection import faster_rcnn

    from dalib.backbones import load_backbone
    from dalib.backbones.mobilenet_v3_large import STARTS

    build = getattr(faster_rcnn, f"fasterrcnn_mobilenet_v3_{name}")
    plain = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "min_size": 192, "max_size": 192}
    with seeded(0):
        theirs = build(weights=None, weights_backbone=None, num_classes=3, rpn_score_thresh=0.05, **plain)
        for part in theirs.modules():
            if isinstance(part, torch.nn.BatchNorm2d):  # small variances tell one eps from another
                part.running_var.uniform_(0.001, 0.003)
                part.running_mean.normal_(0, 0.01)
                part.weight.data.uniform_(0.02, 0.06)
        x = torch.rand(2, 3, 192, 192)
    state = {k: v for k, v in theirs.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "detector.pth")
    with pytest.warns(UserWarning, match="holds a detector"):
        made = load_backbone("mobilenet_v3_large", str(tmp_path / "detector.pth"))
    network = find_objective(KIND).network(made, 2, 256, decoder=decoder)
    same_as_torchvisions(theirs, network, x)
    written = {k: v for k, v in network.detector_state().items() if not k.endswith("num_batches_tracked")}
    assert written.keys() == state.keys()
    assert all(torch.equal(written[k], v) for k, v in state.items())
    assert network.head.rpn._pre_nms_top_n == theirs.rpn._pre_nms_top_n
    assert network.head.rpn._post_nms_top_n == theirs.rpn._post_nms_top_n
    assert network.head.rpn.score_thresh == theirs.rpn.score_thresh == 0.05
    strided = [i for i, block in enumerate(network.backbone.features) if getattr(block, "_is_cn", False)]
    assert [0, *strided, len(network.backbone.features) - 1] == list(STARTS)


def test_rows_of_what_is_seen_are_picked_split_and_joined_like_a_tensors():
    scenes = make_scenes("s", 5, 0, 1.0, KIND)
    network = find_objective(KIND).network(backbone(), 2, 8).eval()
    x = torch.as_tensor(np.asarray(scenes.x)).float() / 127.5 - 1
    z, seen = network(x)
    assert z.shape == (5, network.dim) and network.dim == 3 * 8 and len(seen) == 5
    torch.testing.assert_close(z, torch.cat([m.mean((2, 3)) for m in seen.maps], 1))
    a, b = seen.split_with_sizes([2, 3])
    again = a.joined([b])
    assert len(a) == 2
    for kind in ("maps", "levels"):
        whole = getattr(seen, kind)
        assert all(torch.equal(m, n) for m, n in zip(getattr(again, kind), whole, strict=True))
        for part, rows in ((a, slice(0, 2)), (b, slice(2, 5)), (seen[torch.tensor([4, 1])], [4, 1])):
            assert all(torch.equal(m, n[rows]) for m, n in zip(getattr(part, kind), whole, strict=True))
        assert any(m.requires_grad for m in whole) and not any(m.requires_grad for m in getattr(seen.detach(), kind))
        halves = replace(seen, **{kind: tuple(m.half() for m in whole)}).float()
        assert all(m.dtype == torch.float32 for m in getattr(halves, kind))
    torch.testing.assert_close(seen.boxes()[2:], b.boxes(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_losses_and_boxes_do_not_depend_on_the_networks_mode_and_leave_it(training):
    scenes = make_scenes("s", 3, 0, 1.0, KIND)
    network = find_objective(KIND).network(backbone(), 2, 8).eval()
    x, y = torch.as_tensor(np.asarray(scenes.x)).float() / 127.5 - 1, torch.as_tensor(scenes.labels)
    seen, detector = network(x)[1], network.head
    with seeded(5):
        expected = seen.losses(y)
    answers = seen.boxes()
    detector.train(training)
    with seeded(5):
        found = seen.losses(y)
    assert found.keys() == expected.keys() and len(found) == 4
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert torch.equal(seen.boxes(), answers)
    assert all(part.training == training for part in (detector, detector.rpn, detector.roi_heads))


def detector_of(size: DetectorSize = SIZES["faster_rcnn_small"]) -> Detector:
    with seeded(0):
        return Detector(6, (4, 8, 16), 2, size).eval()


def test_pictures_that_are_wider_than_high_have_proposals_to_their_right_edge_and_none_below():
    maps = [torch.randn(1, 6, 32 // s, 96 // s, generator=torch.Generator().manual_seed(s)) for s in (4, 8, 16)]
    (found,) = detector_of().propose(maps, (32, 96))
    assert found[:, 3].max() <= 32 and 64 < found[:, 2].max() <= 96


def test_a_region_of_an_anchors_size_is_read_off_the_map_of_that_anchor():
    detector, side = detector_of(), 64
    chance = torch.Generator().manual_seed(0)
    maps = [torch.randn(1, 6, side // s, side // s, generator=chance) for s in (4, 8, 16)]
    for own, stride in enumerate((4, 8, 16)):
        half = detector.size.anchors * stride / 2
        region = [torch.tensor([[32 - half, 32 - half, 32 + half, 32 + half]])]
        plain = detector.describe(maps, (side, side), region)
        for i in range(3):
            others = [m + 1 if i == k else m for k, m in enumerate(maps)]
            assert torch.equal(detector.describe(others, (side, side), region), plain) == (i != own)


def test_pictures_without_a_box_have_a_finite_loss_that_learns_there_is_none():
    network = find_objective(KIND).network(backbone(), 2, 8).train()
    y = torch.tensor([-1.0, 0, 0, 0, 0]).expand(3, 1, 5)
    loss = find_objective(KIND).loss(network(torch.rand(3, 3, 32, 32))[1], y)
    gradients = torch.autograd.grad(loss, list(network.head.parameters()), allow_unused=True)
    assert loss.isfinite() and any(g is not None and g.any() for g in gradients)


def test_it_learns_squares(coco):
    from dalib.scoring.metrics import task_metrics

    how = {"steps": 80, "batch_size": 6, "bottleneck": 16, "crop": 32, "augment": "flip", "lr": 0.05, "clip": 10.0}
    task = make_task(KIND)
    trainer = Trainer(TrainConfig(backbone_rate=1.0, **how), device="cpu")
    fitted = trainer.fit(ALGORITHMS.get("source_only")(), task, backbone())
    found = task_metrics(fitted.outputs(task.labelled), "train", task)
    assert found["train_ap50"] > 0.7 and found["train_coco_ap"] > 0.3


@pytest.mark.parametrize("augment", ["none", "standard"])
def test_a_killed_fit_goes_on_bit_for_bit(tmp_path, augment):
    def kill(fitted, step):
        raise Interrupted

    config = CONFIG.model_copy(update={"augment": augment, "fourier": 0.05})

    def trained(**how):
        return Trainer(config, device="cpu", **how).fit(ALGORITHMS.get("mmd")(), make_task(KIND), backbone()).algorithm

    with pytest.raises(Interrupted):
        trained(checkpoint=tmp_path / "c.pt", checkpoint_seconds=-1.0, evaluate=kill)
    resumed = trained(checkpoint=tmp_path / "c.pt", checkpoint_seconds=1e9)
    assert not equal_states(trained(), resumed)


def test_domains_with_more_and_fewer_boxes_are_joined():
    a = make_scenes("a", 3, 0, 1.0, KIND)
    b = make_scenes("b", 2, 1, 0.5, KIND)
    wide = np.concatenate([b.labels, np.tile(np.float32([-1, 0, 0, 0, 0]), (2, 1, 1))], axis=1)
    both = concatenate([a, replace(b, y=wide)])
    assert both.labels.shape == (5, 3, 5) and (both.labels[:, 2] == [-1, 0, 0, 0, 0]).all()
    np.testing.assert_array_equal(both.labels[:3, :2], a.labels)


def test_a_model_is_trained_measured_saved_and_tells_boxes_in_pixels_of_the_picture(coco, root, tmp_path):
    run = fit(root, "dann", out=tmp_path / "model")
    assert run.metric == "coco_ap" and set(run.values) == {"source, training rows", "source, held-out rows", "target"}
    pictures = tmp_path / "new"
    pictures.mkdir()
    for name, size in (("a.jpg", (64, 96)), ("b.png", (32, 32))):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8)).save(pictures / name)
    fitted = load_model(run.path, "cpu")
    told = predict(fitted, pictures)
    assert told.columns == ("file", "class", "score", "left", "top", "right", "bottom")
    assert told.rows and all(isinstance(row, FoundBox) for row in told.rows)
    from dalib.data.decode import decode_image

    x = np.stack([decode_image((pictures / name).read_bytes(), 32) for name in ("a.jpg", "b.png")])
    plain = predict(fitted, x).rows
    for mine, raw in zip(told.rows, plain, strict=True):
        scale = np.array([2, 3, 2, 3]) if mine.file == "a.jpg" else 1
        np.testing.assert_allclose(np.array(mine[3:]), np.array(raw[3:]) * scale, rtol=1e-5)
        assert mine[1:3] == raw[1:3]
    np.testing.assert_allclose(
        [r[2:] for r in predict(run.fitted, pictures).rows], [r[2:] for r in told.rows], rtol=1e-4
    )
    found = dalib.evaluate(run.path, "mini_boxes", "webcam", root=root, device="cpu")
    assert found.metrics["coco_ap"] == pytest.approx(run.values["target"], abs=1e-6)
    assert set(found.per_class) == {"monitor", "back_pack"} and list(found.frame().columns) == [
        "class",
        "n",
        "ap",
        "ap50",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS.able(KIND))
def test_what_says_that_it_works_on_boxes_does(coco, root, name):
    if name in ("lwf", "sdat"):
        pytest.skip("lwf needs a pretrained classifier; sdat's default base is for classes")
    assert np.isfinite(list(fit(root, name).values.values())).all()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"algorithm": "mcc"}, "mcc needs classification, but the labels are for detection; take one of"),
        (
            {"algorithm": "coral"},
            "coral needs classification or multilabel or regression, but the labels are for detection; take",
        ),
        (
            {"algorithm": "tradaboost_r2"},
            "tradaboost_r2 needs regression, but the labels are for detection; take one of",
        ),
        ({"algorithm": "advent"}, "advent needs segmentation, but the labels are for detection; take one of"),
        ({"algorithm": "adda"}, "adda needs an answer per row, but the labels are for detection"),
        ({"backbone": {**TINY, "frozen": True}}, "backbone.frozen = true: tiny's features of a whole picture say"),
        ({"train": {"resize": 40}}, "resize = 40, but boxes are anywhere"),
        ({"train": {"bottleneck": 0}}, "bottleneck = 0, but a detector's pyramid needs a width"),
        ({"train": {"decoder": "unet"}}, "no train.decoder of boxes named 'unet'"),
        ({"train": {"sampler": "class_balanced"}}, "class_balanced needs one class per picture; of boxes use shuffle"),
        ({"train": {"sampler": "rare_classes"}}, "rare_classes is for masks, not for detection"),
        ({"protocol": {"source_classes": ["mug"]}}, "choose pictures by their class; of boxes leave them out"),
        ({"data": {"skip_unreadable": True, "partial": True}}, "holds pictures that need their boxes; skip_unreadable"),
        ({"backbone": {"name": "lenet", "weights": "none"}}, "backbone 'lenet' gives no feature maps"),
    ],
)
def test_what_makes_no_sense_for_boxes_is_refused(coco, root, how, said):
    with pytest.raises(DalibError, match=said.replace("(", r"\(")):
        fit(root, **how)


def test_tiny_takes_a_detectors_file_too(tmp_path):
    from dalib.backbones import load_backbone

    made = find_objective(KIND).network(backbone(), 2, 8)
    torch.save(state := made.detector_state(), tmp_path / "detector.pth")
    with pytest.warns(UserWarning, match="'detector.pth' holds a detector"):
        again = find_objective(KIND).network(load_backbone("tiny", str(tmp_path / "detector.pth")), 2, 8)
    left = {k for k, v in again.detector_state().items() if not torch.equal(v, state[k])}
    assert left and all(name.startswith("roi_heads.box_predictor.") for name in left)


@pytest.mark.slow
def test_a_detectors_last_block_is_fine_tuned_from_its_file(coco, root, tmp_path):
    """Its body, pyramid and regions come from the file; blocks that are frozen stay what they were."""
    from dalib.core.detection import DetectionNetwork

    made = find_objective(KIND).network(load_bare("resnet18"), 4, 8)  # of other classes
    assert isinstance(made, DetectionNetwork)
    torch.save(made.detector_state(), tmp_path / "detector.pth")
    how = {"backbone": {"name": "resnet18", "weights": str(tmp_path / "detector.pth")}}
    with pytest.warns(UserWarning, match="holds a detector"):
        run = fit(root, "fine_tune", {"steps": 1, "batch_norm": "eval"}, hparams={"blocks": 1}, **how)
    network = run.fitted.algorithm.network
    now, then = network.detector_state(), made.detector_state()
    moved = {k.split(".")[2] for k in then if k.startswith("backbone.body.") and not torch.equal(now[k], then[k])}
    assert moved == {"layer4"}
    name = "rpn.head.cls_logits.weight"
    assert not torch.equal(now[name], then[name]) and (now[name] - then[name]).abs().max() < 0.05
    with (
        pytest.warns(UserWarning, match="holds a detector"),
        pytest.raises(DalibError, match="are of another detector"),
    ):
        fit(root, "fine_tune", {"steps": 1, "bottleneck": 16}, **how)


def load_bare(name: str):
    from dalib.backbones import load_backbone

    backbone = load_backbone(name, "none", seed=1)
    assert backbone.preprocess is not None
    backbone.preprocess = backbone.preprocess.at(32, 32)
    return backbone


def test_a_suite_records_every_class_and_a_second_run_finds_it(coco, root, tmp_path):
    from dalib.bench.runner import run_suite
    from dalib.records.store import Store
    from dalib.report.per_class import render_classes
    from dalib.scoring.rescore import rescore

    (tmp_path / "s.toml").write_text(
        'title = "t"\ndataset = "mini_boxes"\nseeds = [0]\ntasks = ["catalogue->webcam"]\npartial = true\n'
        '[backbone]\nname = "tiny"\nweights = "pretrained"\n[train]\nsteps = 2\nbatch_size = 4\ncrop = 32\n'
        "bottleneck = 8\nevaluations = 1\n[algorithms]\nsource_only = {}\n"
    )
    store = Store(tmp_path / "runs")
    for there in (0, 1):
        assert len(list(store.records())) == there
        progress = LineProgress(said := io.StringIO())
        run_suite(tmp_path / "s.toml", store=tmp_path / "runs", root=root, device="cpu", progress=progress)
        assert ("target_coco_ap 0" in said.getvalue()) == (there == 0)  # what the table shows, not any metric
        assert "read as domain/images with boxes" in said.getvalue()
    (record,) = store.records()
    assert record.status == "ok" and record.objective == KIND and set(record.per_class) == {"monitor", "back_pack"}
    assert record.candidates[-1].metrics.keys() == {
        "target_coco_ap", "target_ap50", "source_coco_ap", "source_ap50", "train_coco_ap"
    }  # fmt: skip
    assert "AP50" in render_classes(record) and "lowest AP first" in render_classes(record)
    kept = record.candidates[-1].metrics.pop("target_ap50")
    store.update(record)
    assert rescore(store, store.manifest("s")).records == 1
    assert next(iter(store.records())).candidates[-1].metrics["target_ap50"] == pytest.approx(kept)


def test_a_class_of_the_target_that_the_source_lacks_is_told_and_kept(coco, tmp_path):
    from dalib.bench.runner import run_suite
    from dalib.records.store import Store

    root = write_box_folder(tmp_path / "boxes")
    file = root / "catalogue" / "boxes.json"
    told = json.loads(file.read_text())
    told["annotations"] = [a for a in told["annotations"] if a["category_id"] == 10]
    file.write_text(json.dumps(told))
    said = "unlearnt classes: no labelled box of 'back_pack', of which the target has 6; its coco_ap"
    assert any(remark.startswith(said) for remark in fit(root, train={"steps": 1}).remarks)
    (tmp_path / "s.toml").write_text(
        'title = "t"\ndataset = "mini_boxes"\nseeds = [0]\ntasks = ["catalogue->webcam"]\npartial = true\n'
        '[backbone]\nname = "tiny"\n[train]\nsteps = 1\nbatch_size = 4\ncrop = 32\nbottleneck = 8\n'
        "evaluations = 1\n[algorithms]\nsource_only = {}\n"
    )
    progress = LineProgress(io.StringIO())
    run_suite(tmp_path / "s.toml", store=tmp_path / "runs", root=root, device="cpu", progress=progress)
    (record,) = Store(tmp_path / "runs").records()
    assert any(sentence.startswith(said) for sentence in record.warnings)


def test_boxes_are_no_onnx_file():
    from dalib.train.portable import open_portable

    fitted = Trainer(CONFIG.model_copy(update={"steps": 1}), device="cpu").fit(
        ALGORITHMS.get("source_only")(), make_task(KIND), backbone()
    )
    with pytest.raises(DalibError, match=r"a model for detection answers \(20, 6\) per row, which export"):
        open_portable(fitted)


def test_without_pycocotools_a_run_is_refused_before_it_starts(root, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(
        DalibError, match=r"pycocotools, which is not installed: pip install dalib-toolkit\[detection\]"
    ):
        find_objective(KIND).check()


def test_labelled_pictures_without_any_box_are_refused():
    scenes = make_scenes("a", 4, 0, 1.0, KIND)
    scenes.labels[:] = [-1, 0, 0, 0, 0]
    from dalib.data.tasks import _refuse_unsaid

    with pytest.raises(DalibError, match="no labelled picture has a box"):
        _refuse_unsaid("a->b", scenes)
