"""Embeddings: the numbers of the module itself, computed once."""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dalib.core.backbone import Backbone, Preprocess
from dalib.core.registry import DATASETS
from dalib.core.types import Domain
from dalib.data.loaded import LoadedData
from dalib.feed.embed import embed_data, embed_domain, embed_images
from tests.support.waiting import HANG

CPU = torch.device("cpu")


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return Backbone("small", module, 6, [module], Preprocess(10, 8))


@pytest.fixture
def domain(request: pytest.FixtureRequest) -> Domain:
    rng = np.random.default_rng(list(request.node.name.encode()))
    x = rng.integers(0, 256, (7, 3, 10, 10), dtype=np.uint8)
    return Domain("webcam", x, np.arange(7) % 2, ("a", "b"), f"content of {request.node.name}")


def count_forwards(module: nn.Module) -> list[int]:
    calls: list[int] = []
    module.register_forward_hook(lambda _m, args, _out: calls.append(len(args[0])))
    return calls


def test_features_are_the_modules_own_in_evaluation_mode(backbone: Backbone, domain: Domain) -> None:
    z = embed_images(backbone, domain, CPU, batch_size=3)
    p = backbone.preprocess
    assert p is not None
    x = torch.from_numpy(domain.x[:, :, 1:9, 1:9]).double() / 255
    x = (x - torch.tensor(p.mean).view(3, 1, 1)) / torch.tensor(p.std).view(3, 1, 1)
    with torch.no_grad():
        expected = backbone.module.double().eval()(x)
    assert z.dtype == np.float32 and z.shape == (7, 6)
    np.testing.assert_allclose(z, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_training_flags_and_statistics_stay_as_they_were(backbone: Backbone, domain: Domain) -> None:
    backbone.module.train()
    backbone.module[1].eval()  # type: ignore[index]
    before = {k: v.clone() for k, v in backbone.module.state_dict().items()}
    embed_images(backbone, domain, CPU)
    assert [m.training for m in backbone.module] == [True, False, True, True, True, True]  # type: ignore[union-attr]
    assert all(torch.equal(v, before[k]) for k, v in backbone.module.state_dict().items())


def test_a_domain_is_embedded_once(backbone: Backbone, domain: Domain) -> None:
    calls = count_forwards(backbone.module)
    first, second = embed_domain(backbone, domain, CPU), embed_domain(backbone, domain, CPU)
    assert calls == [7]
    assert not first.is_images and np.array_equal(first.x, second.x)
    assert first.fingerprint == second.fingerprint != domain.fingerprint
    assert first.y is domain.y and first.classes == domain.classes


def test_other_weights_images_or_crops_are_embedded_anew(backbone: Backbone, domain: Domain) -> None:
    calls = count_forwards(backbone.module)
    first = embed_domain(backbone, domain, CPU)
    with torch.no_grad():
        backbone.module[0].weight.mul_(2)  # type: ignore[index]
    heavier = embed_domain(backbone, domain, CPU)
    backbone.preprocess = Preprocess(10, 6)
    smaller = embed_domain(backbone, domain, CPU)
    part = embed_domain(backbone, domain.take(np.array([0, 1]), "take"), CPU)
    assert calls == [7, 7, 7, 2]
    assert len({first.fingerprint, heavier.fingerprint, smaller.fingerprint, part.fingerprint}) == 4
    assert not np.array_equal(first.x, heavier.x)


def _embed_for(seed: int, backbone: Backbone, domain: Domain, log: Path, results: Any) -> None:
    """What a run of a suite does: every algorithm and seed asks for the features of both sides."""

    def note(_module: nn.Module, args: tuple[torch.Tensor, ...], _out: torch.Tensor) -> None:
        with log.open("a") as file:
            file.write(f"{len(args[0])}\n")

    backbone.module.register_forward_hook(note)
    data = LoadedData(
        "toy", DATASETS.get("image_folder"), log, domain.classes, ("webcam",), {"webcam": len(domain)}, "images",
        domain.fingerprint, False, "", lambda _name, _resize: domain,
    )  # fmt: skip
    for _ in range(2):
        x = embed_data(backbone, data, CPU).domain("webcam").x
    results.put((seed, float(np.asarray(x).sum())))


def test_two_processes_share_one_forward_pass_over_a_domain(backbone: Backbone, domain: Domain, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [
        context.Process(target=_embed_for, args=(seed, backbone, domain, tmp_path / "log", results))
        for seed in range(2)
    ]
    for worker in workers:
        worker.start()
    sums = dict(results.get(timeout=HANG) for _ in workers)
    for worker in workers:
        worker.join()
    assert set(sums) == {0, 1} and sums[0] == sums[1] != 0
    assert [int(n) for n in (tmp_path / "log").read_text().split()] == [7]


def test_content_decides_what_is_read_from_the_cache_not_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path))
    backbone = Backbone("mean", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 3, preprocess=Preprocess(4, 4))
    x = np.random.default_rng(0).integers(0, 255, (5, 3, 4, 4), dtype=np.uint8)
    before = embed_domain(backbone, Domain("own", x, None, ("a",), "constant"), CPU).x.copy()
    after = embed_domain(backbone, Domain("own", 255 - x, None, ("a",), "constant"), CPU).x
    assert np.abs(before - after).max() > 0.1


class _Power(nn.Module):
    def __init__(self, exponent: float) -> None:
        super().__init__()
        self.exponent = exponent

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs().mean((2, 3)) ** self.exponent


def test_modules_without_weights_are_told_apart_by_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path))
    domain = Domain("own", np.full((2, 3, 4, 4), 200, np.uint8), None, ("a",), "constant")
    one, two = (Backbone("power", _Power(e), 3, preprocess=Preprocess(4, 4)) for e in (1.0, 2.0))
    once, twice = embed_domain(one, domain, CPU).x, embed_domain(two, domain, CPU).x
    np.testing.assert_allclose(twice, np.asarray(once) ** 2, rtol=1e-5)


class _Pick(nn.Module):
    def __init__(self, of: Any, act: Any = None, table: Any = ()) -> None:
        super().__init__()
        self.of, self.act = of, act
        self.register_buffer("table", torch.as_tensor(table), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = x.mean((2, 3))[:, list(self.of) if isinstance(self.of, (list, np.ndarray)) else [0, 1]]
        z = z if self.act is None else self.act(z)
        return z + self.table if len(self.table) else z


def test_every_value_of_a_users_module_tells_it_from_others(domain: Domain) -> None:
    """Without weights, lists, arrays, functions, objects and buffers that are no part of the state are all there is."""
    made = [
        _Pick([0, 1]), _Pick([1, 2]), _Pick(np.array([0, 2])), _Pick(np.array([2, 0])),
        _Pick([0, 1], torch.exp), _Pick([0, 1], torch.relu), _Pick([0, 1], partial(torch.clamp, max=0.1)),
        _Pick([0, 1], partial(torch.clamp, max=0.2)), _Pick([0, 1], torch.sigmoid), _Pick({"a": 1}),
        _Pick({"a": 2}), _Pick(SimpleNamespace(a=1)), _Pick(SimpleNamespace(a=2)), _Pick(torch.tensor([1, 2])),
        _Pick(torch.tensor([1, 3])), _Pick([0, 1], None, [1.0, 2.0]), _Pick([0, 1], None, [1.0, 3.0]),
    ]  # fmt: skip
    keys = [embed_domain(Backbone("own", m, 2, [], Preprocess(10, 8)), domain, CPU).fingerprint for m in made]
    assert len(set(keys)) == len(made)
    again = embed_domain(Backbone("own", _Pick({"a": 2}), 2, [], Preprocess(10, 8)), domain, CPU)
    assert again.fingerprint == keys[10], "what is the same is read from the cache"
