"""Domain adaptation via prompt learning: its terms by transformers and NumPy alone, what it leaves and refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import dalib
from dalib.backbones import load_backbone
from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.types import Source, Target
from dalib.nn.prompts import confident_cross_entropy, make_room
from dalib.train.config import TrainConfig
from dalib.train.model_file import load_model, save_model
from dalib.train.trainer import Trainer
from tests.algorithms.test_zero_shot_clip import task
from tests.support.tiny_clip import DIM, SCALE, save_tiny_clip

transformers = pytest.importorskip("transformers")
CLASSES = ("back_pack", "cup", "bee")
SIZES = {"context": 2, "domain_context": 1}
CONFIG = TrainConfig(steps=8, batch_size=8, bottleneck=0, lr=0.05, evaluations=2, augment="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "clip-tiny")


def features(folder: Path) -> Backbone:
    """What a frozen CLIP leaves of a network: its features come in ready, its text tower is there."""
    return replace(identity(DIM), text_tower=load_backbone("clip", str(folder), head=True).text_tower)


def attached(folder: Path, **hparams: float) -> dalib.DAPL:
    algorithm = dalib.DAPL(**SIZES, **hparams)
    algorithm.attach(Network(features(folder), 3, bottleneck=0))
    algorithm.read_names(CLASSES, "web camera", "video")
    return algorithm


def by_transformers(folder: Path, sentence: str, context: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Text features (3, d) of one domain, one text at a time: a hook puts the learnt vectors among the words'."""
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for k, name in enumerate(("back pack", "cup", "bee")):
        learnt = np.concatenate([context[k], domain]) if len(context) else np.zeros((0, 16))
        ids = tokenizer([sentence.format(name)], return_tensors="pt")["input_ids"]
        ids = torch.cat([ids[:, :1], torch.full((1, len(learnt)), 5), ids[:, 1:]], dim=1)

        def put(_module, _args, out, learnt=learnt):  # type: ignore[no-untyped-def]
            out = out.clone()
            out[0, 1 : 1 + len(learnt)] = torch.as_tensor(learnt, dtype=out.dtype)
            return out

        hook = model.text_model.embeddings.token_embedding.register_forward_hook(put)
        with torch.no_grad():
            found = model.get_text_features(input_ids=ids)
        hook.remove()
        rows.append((found if isinstance(found, torch.Tensor) else found.pooler_output)[0].numpy())
    return np.stack(rows)


def logits_of(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (z, t)]
    return np.asarray(SCALE * unit[0] @ unit[1].T)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


@pytest.mark.parametrize(("threshold", "temperature"), [(0.0, 1.0), (0.5, 0.7), (1.0, 1.0)])
def test_both_terms_are_those_of_the_authors_code(folder: Path, threshold: float, temperature: float) -> None:
    algorithm = attached(folder, threshold=threshold, temperature=temperature, weight=0.6)
    torch.nn.init.normal_(algorithm.own, std=0.5, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(algorithm.shared, std=0.5, generator=torch.Generator().manual_seed(2))
    own, shared = algorithm.own.detach().numpy(), algorithm.shared.detach().numpy()
    rng = np.random.default_rng(0)
    z_s, z_t = rng.standard_normal((5, DIM)), rng.standard_normal((7, DIM))
    y = np.array([0, 1, 2, 0, 1])
    texts = [
        by_transformers(folder, f"{{}} , a {d} image..", own, shared[i]) for i, d in enumerate(("web camera", "video"))
    ]
    expected_s = -log_softmax(logits_of(z_s, texts[0]))[np.arange(5), y].mean()
    q = np.exp(
        log_softmax(logits_of(z_t, by_transformers(folder, "a photo of a {}.", own[:0], shared[0])) / temperature)
    )
    sure, label = q.max(1) >= threshold, q.argmax(1)
    each = -log_softmax(logits_of(z_t, texts[1]))[np.arange(7), label]
    expected_t = 0.6 * each[sure].mean() if sure.any() else 0.0
    assert threshold != 0.5 or 0 < sure.sum() < 7
    none = torch.zeros(1)
    source = Source.of(torch.as_tensor(z_s).float(), none.expand(5, 3), torch.as_tensor(y))
    target = Target.of(torch.as_tensor(z_t).float(), none.expand(7, 3))
    terms = algorithm.loss(source, target, 0.5)
    assert float(terms["classification"].detach()) == pytest.approx(expected_s, rel=1e-4)
    assert float(terms["pseudo_label"].detach()) == pytest.approx(expected_t, rel=1e-4)
    algorithm.keep_texts()
    np.testing.assert_allclose(
        algorithm.answer(target.z, target.logits), logits_of(z_t, texts[1]), rtol=1e-3, atol=1e-4
    )


def test_prompts_alone_learn_and_a_model_file_needs_no_tower(folder: Path, tmp_path: Path) -> None:
    mine = save_tiny_clip(tmp_path / "mine")
    given = load_backbone("clip", str(mine), frozen=False, head=True)
    assert given.text_tower is not None
    before = {k: v.clone() for part in (given.module, given.text_tower) for k, v in part.state_dict().items()}
    fitted = Trainer(CONFIG, device="cpu").fit(dalib.DAPL(**SIZES), task(), given)
    after = {k: v for part in (fitted.backbone.module, given.text_tower) for k, v in part.state_dict().items()}
    assert all(torch.equal(v, after[k]) for k, v in before.items())
    logits = fitted.outputs(task().test).logits
    start = attached(mine)
    assert not torch.equal(fitted.algorithm.texts, start.texts) and logits.isfinite().all()
    file = save_model(fitted, tmp_path / "prompts")
    for path in mine.iterdir():
        path.unlink()
    assert torch.equal(load_model(file, device="cpu").outputs(task().test).logits, logits)


def test_without_a_sure_row_the_term_is_nothing() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    loss = confident_cross_entropy(logits, torch.full((4, 3), 1 / 3), 0.5)
    assert float(loss.detach()) == 0 and not torch.autograd.grad(loss, logits)[0].any()


def test_a_row_as_sure_as_the_threshold_counts_and_one_below_does_not() -> None:
    logits = torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 0.0]])
    p = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    expected = np.mean([np.log1p(np.exp(-1.0)), np.log1p(np.exp(-3.0))])
    assert float(confident_cross_entropy(logits, p, 0.75)) == pytest.approx(expected, rel=1e-6)


def test_what_it_cannot_work_with_is_one_line(folder: Path) -> None:
    given = load_backbone("clip", str(folder), frozen=True, head=True)
    for hparams, config, backbone, words in [
        (SIZES, CONFIG, replace(given, text_tower=None), "dapl learns prompts, and the backbone has no text tower"),
        (
            SIZES,
            CONFIG.model_copy(update={"bottleneck": 8}),
            given,
            "dapl compares the backbone's features with texts; set",
        ),
        ({}, CONFIG, given, "32 learnt ones are more than the 16 that the text tower reads; lower context"),
    ]:
        with pytest.raises(DalibError, match=words) as caught:
            Trainer(config, device="cpu").fit(dalib.DAPL(**hparams), task(), backbone)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_a_loop_of_ones_own_has_to_say_the_names(folder: Path) -> None:
    algorithm = dalib.DAPL(**SIZES)
    algorithm.attach(Network(features(folder), 3, bottleneck=0))
    rows = torch.zeros(2, DIM)
    with pytest.raises(DalibError, match=r"dapl knows no class names yet; call read_names"):
        algorithm.supervise(Source.of(rows, torch.zeros(2, 3), torch.tensor([0, 1])))


def test_a_float64_network_takes_steps_in_a_loop(folder: Path) -> None:
    from dalib.train.loop import Loop

    algorithm = attached(folder, threshold=0.0).double()
    loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.01))
    x = torch.randn(6, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    terms = loop.step(x, torch.arange(6) % 3, x, progress=0.5)
    assert set(terms) == {"classification", "pseudo_label"} and all(bool(t.isfinite()) for t in terms.values())
    algorithm.keep_texts()
    assert algorithm.predict(x)[1].dtype == torch.float64


def test_the_name_of_a_domain_may_hold_what_stands_for_the_class(folder: Path) -> None:
    algorithm = dalib.DAPL(**SIZES)
    algorithm.attach(Network(features(folder), 3, bottleneck=0))
    algorithm.read_names(CLASSES, "{}", "camera")
    tower = algorithm.network.text_tower
    assert tower is not None
    texts = [f"{name} , a {d} image.." for d in ("{}", "camera") for name in ("back pack", "cup", "bee")]
    assert torch.equal(algorithm.ids.flatten(0, 1), make_room(tower.tokenise(texts), 3))
