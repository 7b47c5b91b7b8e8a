"""Rows that are no images: every encoder learns, batches are what they should be, runs resume exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import dalib
from dalib import AdaptationClassifier, Loop, Network, TrainConfig, Trainer, load_backbone, row_shape
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.rows import combine, count, join, pick
from dalib.core.splits import concatenate
from dalib.core.types import Domain, Task
from dalib.feed.batches import DomainStore
from dalib.feed.stores import open_store

ENCODERS = {"series": {"name": "cnn1d", "channels": [6], "kernels": [3]}, "text": "bag_of_words", "table": "mlp"}
CPU = torch.device("cpu")


def _fields(n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "series": rng.standard_normal((n, 2, 12)).astype(np.float32),
        "text": np.r_[rng.integers(0, 9, (n - 1, 5)), np.full((1, 5), 8)],
        "table": rng.standard_normal((n, 4)).astype(np.float32),
        "image": rng.integers(0, 256, (n, 3, 32, 32)).astype(np.uint8),
    }


def _domain(n: int = 40, seed: int = 0) -> Domain:
    return Domain(f"d{seed}", combine(_fields(n, seed)), np.arange(n) % 3, ("a", "b", "c"), str(seed))


def _backbone(**options: Any) -> Backbone:
    return load_backbone("modalities", "none", seed=1, rows=row_shape(_domain().x), encoders=ENCODERS, **options)


def _task() -> Task:
    source, target = _domain(seed=0), _domain(seed=1)
    return Task("d0->d1", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


def _train(
    algorithm: Algorithm, backbone: Backbone | None = None, trainer: dict[str, Any] | None = None, **recipe: Any
):
    config = TrainConfig(**{"steps": 4, "batch_size": 8, "bottleneck": 8, "backbone_rate": 1.0, **recipe})
    return Trainer(config, device="cpu", **(trainer or {})).fit(algorithm, _task(), backbone or _backbone())


@pytest.mark.parametrize("width", [0, 5])
def test_gradients_flow_into_every_encoder(width: int) -> None:
    backbone = _backbone(width=width)
    store = open_store(backbone, _domain(), CPU)
    backbone.module(store.batch(torch.arange(8))).square().sum().backward()
    for name, encoder in zip(backbone.module.names, backbone.module.encoders, strict=True):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters()), name


def test_features_lie_side_by_side_in_the_order_of_the_modalities() -> None:
    backbone, domain = _backbone(), _domain()
    module = backbone.module.eval()
    x = open_store(backbone, domain, CPU).batch(torch.arange(6))
    parts = [encoder(x[name]) for name, encoder in zip(module.names, module.encoders, strict=True)]
    torch.testing.assert_close(module(x), torch.cat(parts, 1))
    assert sum(p.shape[1] for p in parts) == backbone.dim == module(x).shape[1]


def test_a_batch_holds_each_modality_as_its_encoder_takes_it() -> None:
    domain, backbone = _domain(), _backbone()
    index = torch.tensor([5, 0, 39])
    batch = open_store(backbone, domain, CPU).batch(index)
    assert batch["text"].dtype == torch.int64 and batch["table"].dtype == torch.float32
    np.testing.assert_array_equal(batch["text"], domain.x["text"][index])
    np.testing.assert_array_equal(batch["series"], domain.x["series"][index])
    pixels = (torch.as_tensor(domain.x["image"][index.numpy()]) / 255 - 0.5) / 0.5
    torch.testing.assert_close(batch["image"], pixels)


def test_joining_and_picking_work_on_tensors_and_dictionaries() -> None:
    one = {"a": torch.arange(6.0).view(3, 2), "b": torch.arange(3)}
    both = join([one, pick(one, slice(0, 2))])
    assert count(both) == 5 and count(one["a"]) == 3
    assert both["b"].tolist() == [0, 1, 2, 0, 1]
    assert join([one["a"], one["a"][:1]]).tolist() == [[0, 1], [2, 3], [4, 5], [0, 1]]


def test_joint_and_separate_passes_agree_without_batch_norm() -> None:
    """A module without batch norm gives the same weights either way."""

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.embedding = nn.Linear(4, 5), nn.Embedding(9, 5)

        def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
            return torch.tanh(self.linear(x["table"])) + self.embedding(x["text"]).mean(1)

    rows = combine({k: v for k, v in _fields(40, 0).items() if k in ("table", "text")})
    other = combine({k: v for k, v in _fields(40, 1).items() if k in ("table", "text")})
    source = Domain("s", rows, np.arange(40) % 2, ("a", "b"), "s")
    target = Domain("t", other, None, ("a", "b"), "t")
    found = []
    for forward in ("joint", "separate"):
        torch.manual_seed(0)
        backbone = Backbone.of(Plain(), rows)
        config = TrainConfig(steps=3, batch_size=8, bottleneck=0, forward=forward)
        task = Task("s->t", source, target, source.take(np.arange(0), "none"), target)
        found.append(Trainer(config, device="cpu").fit(dalib.DANN(), task, backbone).algorithm.state_dict())
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("name", ["FixMatch", "MeanTeacher", "ADDA", "MCD", "SHOT", "CORAL", "AdaBN"])
def test_algorithms_that_feed_rows_again_train_on_dictionaries(name: str) -> None:
    fitted = _train(getattr(dalib, name)(), forward="separate" if name == "MCD" else "joint")
    assert fitted.outputs(_task().test).logits.isfinite().all()


def test_vada_says_that_it_cannot_perturb_them() -> None:
    with pytest.raises(DalibError, match="vada perturbs its input"):
        _train(dalib.VADA())


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def stop(step: int, steps: int) -> None:
        raise Interrupted

    how = {"checkpoint": tmp_path / "c.pt", "checkpoint_seconds": -1.0}
    whole = _train(dalib.DANN(), steps=12).algorithm.state_dict()
    with pytest.raises(Interrupted):
        _train(dalib.DANN(), trainer={**how, "report": stop}, steps=12)
    assert how["checkpoint"].is_file()
    resumed = _train(dalib.DANN(), trainer={**how, "checkpoint_seconds": 1e9}, steps=12).algorithm.state_dict()
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


def test_a_loop_of_ones_own_takes_dictionaries() -> None:
    backbone = _backbone()
    x_s, x_t = (open_store(backbone, _domain(seed=s), CPU).batch(torch.arange(8)) for s in (0, 1))
    algorithm = dalib.MCD()
    algorithm.attach(Network(backbone, outputs=3, bottleneck=8))
    loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.01))
    terms = loop.step(x_s, torch.arange(8) % 3, x_t, progress=0.5)
    assert terms and all(v.isfinite() for v in terms.values())


def test_a_strong_view_drops_tokens_and_leaves_the_others_what_they_are() -> None:
    ids = Domain("ids", np.full((50, 20), 7), None, ("a",), "f")
    backbone = load_backbone("bag_of_words", "none", rows=row_shape(ids.x))
    view = open_store(backbone, ids, CPU).batch(torch.arange(50), augment="strong")
    assert set(view.unique().tolist()) == {0, 7} and 0.4 < (view == 0).float().mean() < 0.6


def test_padding_changes_no_features() -> None:
    x = np.array([[3, 4, 0, 0], [3, 4, 0, 0]])
    short, long = torch.tensor([[3, 4]]), torch.tensor([[3, 4, 0, 0]])
    bag = load_backbone("bag_of_words", "none", seed=0, rows=row_shape(x)).module
    torch.testing.assert_close(bag(short), bag(long))
    torch.testing.assert_close(bag(long)[0], bag.embedding.weight[[3, 4]].mean(0))
    encoder = load_backbone("text_transformer", "none", seed=0, rows=row_shape(x)).module.eval()
    before = encoder(long)
    with torch.no_grad():
        encoder.embedding.positions[3:] += 1
    torch.testing.assert_close(encoder(long), before)
    assert encoder(torch.zeros(1, 4, dtype=torch.int64)).isfinite().all()


def test_rows_that_do_not_fit_are_refused_in_one_line() -> None:
    backbone = load_backbone("bag_of_words", "none", rows=row_shape(np.array([[1, 5]])))
    with pytest.raises(DalibError, match="was built for rows"):
        open_store(backbone, Domain("more", np.array([[1, 6]]), None, ("a",), "f"), CPU)
    with pytest.raises(DalibError, match="token ids are >= 0"):
        row_shape(np.array([[-1]]))
    with pytest.raises(DalibError, match=r"differ in rows \(a 2, b 3\)"):
        combine({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))})
    with pytest.raises(DalibError, match="give rows = row_shape"):
        load_backbone("mlp")
    with pytest.raises(DalibError, match=r"gives \(2, 3, 12\) for 2 rows"):
        Backbone.of(nn.Conv1d(2, 3, 1), np.zeros((4, 2, 12), np.float32))
    with pytest.raises(DalibError, match="no modality named 'imgae'; did you mean 'image'"):
        load_backbone("modalities", "none", rows=row_shape(_domain().x), encoders={"imgae": "tiny"})


def test_domains_of_modalities_are_split_and_joined_like_any_other() -> None:
    one, two = _domain(6, 0), _domain(4, 1)
    both = concatenate([one, two]).take(np.array([7, 0]), "two")
    np.testing.assert_array_equal(both.x["text"], [two.x["text"][1], one.x["text"][0]])


def test_feature_rows_are_stored_as_before() -> None:
    domain = Domain("f", np.arange(6).reshape(3, 2), None, ("a",), "f")
    assert DomainStore(domain, None, CPU).x.dtype == torch.float32


def test_the_classifier_takes_dictionaries_and_copies_its_backbone() -> None:
    rows, y = _fields(40, 0), np.arange(40) % 2
    backbone = _backbone()
    before = {k: v.clone() for k, v in backbone.module.state_dict().items()}
    model = AdaptationClassifier(dalib.DANN(), backbone=backbone, train={"steps": 2}, device="cpu")
    assert model.fit(rows, y, _fields(40, 1)).predict(_fields(7, 2)).shape == (7,)
    assert all(torch.equal(v, before[k]) for k, v in backbone.module.state_dict().items())


def test_a_hugging_face_encoder_from_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="optional dependency (pip install dalib-toolkit[text])")
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=8,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path)
    ids = np.array([[2, 5, 6, 0], [2, 7, 0, 0]])
    frozen = load_backbone("hf", str(tmp_path), frozen=True, rows=row_shape(ids))
    mask = torch.as_tensor(ids != 0)
    with torch.no_grad():
        h = model(torch.as_tensor(ids), attention_mask=mask.long()).last_hidden_state
        got = frozen.module.eval()(torch.as_tensor(ids))
    torch.testing.assert_close(got[1], h[1, :2].mean(0))
    y = np.arange(40) % 2
    text = np.random.default_rng(0).integers(1, 20, (40, 4))
    classifier = AdaptationClassifier(backbone=frozen, train={"steps": 2, "bottleneck": 8}, device="cpu")
    other = np.roll(text, 1, axis=0)
    fitted = classifier.fit(text, y, other).fitted_
    found = [fitted.represent(classifier._domain("target", rows, None)).x for rows in (text, other)]
    assert found[0].shape == (40, 16) and np.array_equal(found[1], np.roll(found[0], 1, axis=0))
    with pytest.raises(DalibError, match="knows 20 ids and 8 positions"):
        load_backbone("hf", str(tmp_path), rows=row_shape(np.array([[1, 30]])))
    with pytest.raises(DalibError, match="no encoder in"):
        load_backbone("hf", str(tmp_path / "none"), rows=row_shape(ids))
