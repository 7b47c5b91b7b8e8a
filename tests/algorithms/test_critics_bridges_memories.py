"""HoMM, WDGRL, GVB, MSTN and ATDOC: the loss is the paper's formula, and the shift each is built for is reduced."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from test_shifts import Data, translated
from torch import Tensor, nn

import dalib
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.types import Domain, Source, Target

DIM, K = 6, 3


def attached(name: str, **hparams: Any) -> Any:
    torch.manual_seed(0)
    algorithm: Algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(DIM, K, bottleneck=0))
    return algorithm


def batch(n: int = 9, m: int = 7, seed: int = 0) -> tuple[Source, Target]:
    """Leaves that require gradients; class 2 is missing from the source."""
    g = torch.Generator().manual_seed(seed)
    z_s, z_t = torch.randn(n, DIM, generator=g), torch.randn(m, DIM, generator=g) + 1
    g_s, g_t = 2 * torch.randn(n, K, generator=g), 2 * torch.randn(m, K, generator=g)
    for leaf in (z_s, z_t, g_s, g_t):
        leaf.requires_grad_()
    return Source.of(z_s, g_s, torch.arange(n) % 2), Target.of(z_t, g_t)


def array(x: Tensor) -> np.ndarray:
    return x.detach().double().numpy()


def softmax(g: np.ndarray) -> np.ndarray:
    e = np.exp(g - g.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def train(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy after 200 steps of the trainer."""
    x_s, y_s, x_t, y_t = (v.numpy() for v in data)
    recipe = {"steps": 200, "bottleneck": 32, "lr": 0.05}
    model = dalib.AdaptationClassifier(getattr(dalib, name)(**hparams), train=recipe, device="cpu")
    return float((model.fit(x_s, y_s, x_t).predict(x_t) == y_t).mean())


@cache
def source_only() -> float:
    return train("SourceOnly", translated())


METHODS: list[tuple[str, dict[str, Any]]] = [
    ("HoMM", {}),
    ("WDGRL", {"hidden": 32}),
    ("GVB", {"hidden": 64}),
    ("MSTN", {"hidden": 64, "weight": 0.0, "semantic": 10.0}),
    ("ATDOC", {}),
    ("ATDOC", {"mode": "centroids"}),
]


@pytest.mark.parametrize(("name", "hparams"), METHODS)
def test_a_method_beats_source_only_on_its_shift(name: str, hparams: dict[str, Any]) -> None:
    before, after = source_only(), train(name, translated(), **hparams)
    assert after > before + 0.05, f"{name}: {after:.3f}, source only: {before:.3f}"


def test_homm_compares_all_products_of_three_features() -> None:
    source, target = batch()
    moment = []
    for z in (array(source.z), array(target.z)):
        c = np.tanh(z) - np.tanh(z).mean(0)
        moment.append(np.einsum("ni,nj,nk->ijk", c, c, c) / len(c))
    expected = 2 * ((moment[0] - moment[1]) ** 2).mean()
    term = attached("HoMM", weight=2.0).loss(source, target, 0.5)["discrepancy"]
    assert term.item() == pytest.approx(expected, abs=1e-6)


class Game:
    """Records what a step asks for, and descends."""

    def __init__(self, algorithm: Any, lr: float = 0.01) -> None:
        self.algorithm, self.lr = algorithm, lr
        self.asked: list[tuple[dict[str, float], list[nn.Module]]] = []

    def __call__(self, terms: Terms, only: list[nn.Module] | None = None) -> None:
        self.asked.append(({k: v.item() for k, v in terms.items()}, list(only or [])))
        kept = [p for module in only or [self.algorithm] for p in module.parameters()]
        gradients = torch.autograd.grad(sum(terms.values()), kept, retain_graph=True, allow_unused=True)  # type: ignore[arg-type]
        with torch.no_grad():
            for p, g in zip(kept, gradients, strict=True):
                if g is not None:
                    p.sub_(self.lr * g)


def test_wdgrl_trains_the_critic_alone_and_then_the_network_against_it() -> None:
    algorithm = attached("WDGRL", weight=0.5, critic_steps=3, hidden=8)
    source, target = batch()
    network = {k: v.clone() for k, v in algorithm.network.state_dict().items()}
    game = Game(algorithm)
    algorithm.step(source, target, 0.5, game)
    assert [set(terms) for terms, _ in game.asked] == [{"critic"}] * 3 + [{"classification", "distance"}]
    assert all(only == [algorithm.critic] for _, only in game.asked[:3])
    assert game.asked[3][1] == [algorithm.network]
    assert game.asked[2][0]["critic"] < game.asked[0][0]["critic"]
    f_s, f_t = (array(algorithm.critic(z)) for z in (source.z, target.z))
    assert game.asked[3][0]["distance"] == pytest.approx(0.5 * (f_s.mean() - f_t.mean()), abs=1e-5)
    assert all(torch.equal(v, network[k]) for k, v in algorithm.network.state_dict().items())


def test_the_wasserstein_critic_finds_the_distance_of_two_shifted_samples() -> None:
    """Moved by a vector of length 3: slope a gives 3 a - 10 (a - 1)², largest at a = 1 + 3 / 20, where W = 3.45."""
    algorithm = attached("WDGRL", hidden=32, critic_steps=1)
    g = torch.Generator().manual_seed(0)
    z, shift = torch.randn(64, DIM, generator=g), torch.zeros(DIM)
    shift[0] = 3.0
    source = Source.of(z, torch.zeros(64, K), torch.zeros(64, dtype=torch.int64))
    target = Target.of(z - shift, torch.zeros(64, K))
    optimiser = torch.optim.Adam(algorithm.critic.parameters(), lr=0.01)
    for _ in range(150):
        optimiser.zero_grad()
        algorithm.loss(source, target, 1.0)["critic"].backward()
        optimiser.step()
    found = (algorithm.critic(source.z).mean() - algorithm.critic(target.z).mean()).item()
    assert found == pytest.approx(3.45, rel=0.02)


def test_the_reversed_loss_pushes_features_against_the_critic() -> None:
    source, target = batch()
    algorithm = attached("WDGRL", weight=0.5, penalty=0.0, hidden=8)
    (reversed_,) = torch.autograd.grad(algorithm.loss(source, target, 1.0)["critic"], source.z)
    (ascent,) = torch.autograd.grad(algorithm.critic(source.z).mean(), source.z)
    torch.testing.assert_close(reversed_, 0.5 * ascent)


def test_wdgrls_critic_has_its_own_rate() -> None:
    algorithm = attached("WDGRL", critic_rate=0.2)
    assert algorithm.rates(0.1)[-1] == (algorithm.critic, 0.2)


def test_gvb_terms_are_the_papers() -> None:
    source, target = batch()
    algorithm = attached("GVB", weight=0.5, generator_bridge=2.0, discriminator_bridge=3.0, hidden=8)
    bridge = [array(algorithm.bridge(rows.z)) for rows in (source, target)]
    p = [softmax(array(g) - b) for g, b in zip((source.logits, target.logits), bridge, strict=True)]
    bce, faint = 0.0, []
    for rows, label in zip(p, (1, 0), strict=True):
        d, s = array(algorithm.discriminator(torch.as_tensor(rows).float())).T
        weight = [math.exp(sum(x * math.log(x) for x in row)) for row in rows]
        for w, x in zip(weight, d - s, strict=True):
            chance = 1 / (1 + math.exp(-x))
            bce -= w / sum(weight) * math.log(chance if label else 1 - chance) / 2
        faint += [abs(x) for x in s]
    terms = algorithm.loss(source, target, 1.0)
    right = -np.log([row[k] for row, k in zip(p[0], source.y.tolist(), strict=True)]).mean()
    assert terms["classification"].item() == pytest.approx(right, abs=1e-5)
    assert terms["adversarial"].item() == pytest.approx(0.5 * bce, abs=1e-5)
    assert terms["generator_bridge"].item() == pytest.approx(2 * np.abs(np.concatenate(bridge)).mean(), abs=1e-5)
    assert terms["discriminator_bridge"].item() == pytest.approx(3 * np.mean(faint), abs=1e-5)


def test_gvb_predicts_through_its_bridge() -> None:
    algorithm, x = attached("GVB", hidden=8), torch.randn(5, DIM)
    torch.testing.assert_close(algorithm.predict(x)[1], algorithm.network(x)[1] - algorithm.bridge(x))


def test_the_bridges_vanish_under_their_penalties() -> None:
    algorithm = attached("GVB", hidden=16)
    optimiser = torch.optim.SGD(algorithm.parameters(), lr=0.05)
    size = []
    for _ in range(100):
        terms = algorithm.loss(*batch(), 1.0)
        optimiser.zero_grad()
        (terms["generator_bridge"] + terms["discriminator_bridge"]).backward()
        optimiser.step()
        size.append([terms["generator_bridge"].item(), terms["discriminator_bridge"].item()])
    assert (np.mean(size[-10:], 0) < 0.2 * np.array(size[0])).all()


def test_mstn_centroids_are_moving_means_and_wait_for_their_class() -> None:
    algorithm = attached("MSTN", semantic=2.0, decay=0.7, hidden=8)
    centroids: dict[str, dict[int, np.ndarray]] = {"s": {}, "t": {}}
    for seed in range(3):
        source, target = batch(seed=seed)
        for domain, rows, y in (("s", source, source.y), ("t", target, target.logits.argmax(1))):
            for k in sorted(set(y.tolist())):
                mean = array(rows.z)[y.numpy() == k].mean(0)
                old = centroids[domain].get(k)
                centroids[domain][k] = mean if old is None else 0.7 * old + 0.3 * mean
        term = algorithm.loss(source, target, 0.5)["semantic"]
    both = centroids["s"].keys() & centroids["t"].keys()
    distance = np.mean([((centroids["s"][k] - centroids["t"][k]) ** 2).mean() for k in both])
    assert both == {0, 1}
    assert term.item() == pytest.approx(2 * math.tanh(2.5) * distance, abs=1e-5)
    np.testing.assert_allclose(array(algorithm.centroids_s)[:2], [centroids["s"][k] for k in (0, 1)], atol=1e-5)
    assert not algorithm.centroids_s[2].any()
    gradient = torch.autograd.grad(term, (source.z, target.z))
    assert all(g.abs().max() > 0 for g in gradient)


def test_mstn_brings_the_classes_together_where_dann_alone_does_not() -> None:
    data = translated()
    assert train("MSTN", data, hidden=64, semantic=10.0) > train("DANN", data, hidden=64) + 0.05


def test_centroids_move_while_training_only() -> None:
    for name, hparams in (("MSTN", {"hidden": 8}), ("ATDOC", {"mode": "centroids"})):
        algorithm = attached(name, **hparams).eval()
        before = {k: v.clone() for k, v in algorithm.state_dict().items()}
        algorithm.loss(*batch(), 0.5)
        assert all(torch.equal(v, before[k]) for k, v in algorithm.state_dict().items())
        algorithm.train().loss(*batch(), 0.5)
        assert any(not torch.equal(v, before[k]) for k, v in algorithm.state_dict().items())


def with_memory(n: int = 20, **hparams: Any) -> Any:
    algorithm = attached("ATDOC", **hparams)
    x = np.zeros((n, DIM), np.float32)
    algorithm.begin_epoch(None, Domain("target", x, None, ("a", "b", "c"), ""))  # type: ignore[arg-type]
    return algorithm


def rows_of(target: Target, index: list[int]) -> Target:
    return Target(target.x, torch.tensor(index), target.z, target.logits)


def test_atdoc_labels_rows_by_the_votes_of_a_memory_that_grows() -> None:
    algorithm = with_memory(neighbours=3, weight=0.5)
    z, q = np.zeros((20, DIM)), np.zeros((20, K))
    for seed, index in enumerate(([3, 1, 7, 0, 12, 15, 4], [19, 2, 3, 7, 5, 6, 8], [3, 4, 5, 9, 10, 11, 13])):
        source, target = batch(seed=seed)
        term = algorithm.loss(source, rows_of(target, index), 0.5)["pseudo_labels"]
        g, z[index] = array(target.logits), array(target.z)
        p = softmax(g)
        q[index] = p**2 / (p**2).sum(0)
        total = weights = 0.0
        for row, i in enumerate(index):
            cosine = [z[i] @ z[j] / (np.linalg.norm(z[i]) * np.linalg.norm(z[j]) + 1e-30) for j in range(20)]
            stored = sorted((j for j in range(20) if q[j].any() and j != i), key=lambda j: -cosine[j])
            vote = q[stored[:3]].mean(0)
            total -= vote.max() * math.log(p[row, vote.argmax()])
            weights += vote.max()
        assert term.item() == pytest.approx(0.5 * 0.5 * total / weights, abs=1e-5)
    np.testing.assert_allclose(array(algorithm.memory_p), q, atol=1e-6)


def test_atdoc_takes_the_batch_for_its_memory_before_training_begins() -> None:
    source, target = batch()
    fresh, begun = attached("ATDOC"), with_memory()
    assert "memory_z" not in fresh.state_dict()
    first, second = (a.loss(source, target, 1.0)["pseudo_labels"] for a in (fresh, begun))
    torch.testing.assert_close(first, second)
    assert "memory_z" not in fresh.state_dict()


def test_atdocs_memory_is_kept_between_passes_and_in_the_state() -> None:
    first, second = with_memory(), attached("ATDOC")
    first.loss(*batch(), 1.0)
    kept = first.memory_z.clone()
    first.begin_epoch(None, Domain("target", np.zeros((20, DIM), np.float32), None, ("a", "b", "c"), ""))
    assert torch.equal(first.memory_z, kept)
    second.load_state_dict(first.state_dict())
    terms = [a.eval().loss(*batch(seed=1), 1.0)["pseudo_labels"] for a in (first, second)]
    assert torch.equal(terms[0], terms[1])
    assert torch.equal(first.memory_z, kept)


def test_atdoc_labels_rows_by_the_nearest_centroid() -> None:
    algorithm = attached("ATDOC", mode="centroids", rate=0.1, weight=0.5)
    centroids: dict[int, np.ndarray] = {}
    for seed in range(3):
        source, target = batch(seed=seed)
        z, g = array(target.z), array(target.logits)
        for k in sorted(set(g.argmax(1).tolist())):
            mean = z[g.argmax(1) == k].mean(0)
            centroids[k] = 0.9 * centroids[k] + 0.1 * mean if k in centroids else mean
        losses = []
        for row, p in zip(z, softmax(g), strict=True):
            cosine = {k: row @ c / np.linalg.norm(row) / np.linalg.norm(c) for k, c in centroids.items()}
            losses.append(-math.log(p[max(cosine, key=lambda k: cosine[k])]))
        term = algorithm.loss(source, target, 0.4)["pseudo_labels"]
        assert term.item() == pytest.approx(0.5 * 0.4 * np.mean(losses), abs=1e-5)


@pytest.mark.parametrize("names", [("DANN", "ATDOC"), ("MCC", "MSTN"), ("HoMM", "ATDOC")])
def test_ideas_that_are_a_loss_can_be_added(names: tuple[str, str]) -> None:
    both = getattr(dalib, names[0])() + getattr(dalib, names[1])()
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    both.begin_epoch(None, Domain("target", np.zeros((20, DIM), np.float32), None, ("a", "b", "c"), ""))  # type: ignore[arg-type]
    assert all(term.isfinite() for term in both.loss(*batch(), 0.5).values())


@pytest.mark.parametrize(
    ("name", "hparams", "message"),
    [
        ("HoMM", {"weight": -1.0}, "weight = -1.0 is out of range; give a number >= 0"),
        ("HoMM", {"order": 0}, "order = 0 is out of range; give a whole number >= 1"),
        ("WDGRL", {"penalty": float("nan")}, "penalty = nan"),
        ("WDGRL", {"critic_steps": 2.5}, "critic_steps = 2.5"),
        ("WDGRL", {"critic_rate": 0.0}, "critic_rate = 0.0 is out of range; give a number > 0"),
        ("GVB", {"generator_bridge": -1.0}, "generator_bridge = -1.0"),
        ("GVB", {"hidden": 0}, "hidden = 0"),
        ("MSTN", {"semantic": -1.0}, "semantic = -1.0"),
        ("MSTN", {"decay": 1.0}, "mstn.decay = 1.0 is out of range; give a number in [0, 1)"),
        ("ATDOC", {"mode": "neighbors"}, "did you mean 'neighbours'"),
        ("ATDOC", {"neighbours": 0}, "atdoc.neighbours = 0"),
        ("ATDOC", {"rate": 1.5}, "atdoc.rate = 1.5 is out of range; give a number in (0, 1]"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(name: str, hparams: Any, message: str) -> None:
    with pytest.raises(DalibError) as error:
        attached(name, **hparams)
    assert message in str(error.value)
