"""Every method on the shift it is built for: it beats a model that saw the source only."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.network import Network
from dalib.core.types import Source, Target
from dalib.nn.metrics import accuracy

K, D, N = 4, 4, 240
Data = tuple[Tensor, Tensor, Tensor, Tensor]


def blobs(seed: int) -> tuple[Tensor, Tensor]:
    """Four classes at the corners of a square of side 3, in the first two of four coordinates; noise 0.5."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(K, (N,), generator=g)
    corner = torch.stack([y % 2, y // 2, 0 * y, 0 * y], 1) * 3.0 - torch.tensor([1.5, 1.5, 0.0, 0.0])
    return corner + 0.5 * torch.randn(N, D, generator=g), y


def translated(by: float = 1.4) -> Data:
    """The target is the source's distribution moved, about half of the way to a neighbouring class."""
    (x_s, y_s), (x_t, y_t) = blobs(0), blobs(1)
    return x_s, y_s, x_t + torch.tensor([by, 0.4 * by, 0.0, by]), y_t


def stretched() -> Data:
    """The source has unit covariance; the target's axes are scaled and mixed (a symmetric map), around the origin."""
    (x_s, y_s), (x_t, y_t) = blobs(0), blobs(1)
    scale = x_s.std(0)
    v, _ = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1)))
    A = v @ torch.diag(torch.tensor([4.0, 1.0, 0.3, 0.1])) @ v.T
    return x_s / scale, y_s, x_t / scale @ A, y_t


def train(name: str, data: Data, steps: int = 200, **hparams: Any) -> float:
    """Target accuracy after a plain loop of stochastic gradient descent."""
    torch.manual_seed(0)
    algorithm: Algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(D, K, bottleneck=32))
    optimiser = torch.optim.SGD(algorithm.parameters(), lr=0.05, momentum=0.9)
    x_s, y_s, x_t, y_t = data
    for step in range(steps):
        i, j = torch.randint(N, (2, 36))
        z, logits = algorithm.network(torch.cat([x_s[i], x_t[j]]))
        source, target = Source.of(z[:36], logits[:36], y_s[i]), Target.of(z[36:], logits[36:])
        optimiser.zero_grad()
        sum(algorithm.loss(source, target, step / steps).values()).backward()  # type: ignore[union-attr]
        optimiser.step()
    algorithm.eval()
    with torch.no_grad():
        return accuracy(algorithm.predict(x_t)[1], y_t)


class Features:
    """The trainer's part in a solved method: rows are their own embedding."""

    def descend(self, *_: Any) -> None:
        raise AssertionError

    def embed(self, algorithm: Algorithm, domain: Any) -> Tensor:
        return torch.as_tensor(domain.x)


def solve(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy of a solved method on the rows as they are."""
    from dalib.core.types import Domain

    x_s, y_s, x_t, y_t = data
    algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network.on_features(D, K, bottleneck=0))
    classes = ("a", "b", "c", "d")
    source = Domain("source", x_s.numpy(), y_s.numpy(), classes, "s")
    algorithm.fit(Features(), source, Domain("target", x_t.numpy(), None, classes, "t"))
    return accuracy(algorithm.predict(x_t)[1], y_t)


@pytest.mark.parametrize(
    ("name", "data", "hparams"),
    [
        ("DANN", translated, {"hidden": 64}),
        ("MMD", translated, {}),
        ("MMD", translated, {"estimator": "biased"}),
        ("MMD", translated, {"estimator": "linear"}),
        ("DeepJDOT", translated, {"alpha": 0.03, "lam": 0.3}),
        ("MCC", translated, {}),
        ("DeepCORAL", stretched, {"weight": 10.0}),
    ],
)
def test_a_deep_method_beats_source_only(name: str, data: Any, hparams: dict[str, Any]) -> None:
    before, after = train("SourceOnly", data()), train(name, data(), **hparams)
    assert after > before + 0.05, f"{name}: {after:.3f}, source only: {before:.3f}"


@pytest.mark.parametrize("classifier", ["logistic", "nearest"])
@pytest.mark.parametrize(
    ("name", "data", "hparams"),
    [
        ("CORAL", translated, {"reg": 0.01}),
        ("OTMap", translated, {"method": "emd"}),
        ("OTMap", translated, {"method": "sinkhorn"}),
        ("OTMap", translated, {"method": "class_regularised"}),
        ("OTMap", translated, {"method": "linear"}),
    ],
)
def test_a_solved_method_beats_its_own_classifier(
    name: str, data: Any, hparams: dict[str, Any], classifier: str
) -> None:
    baseline = "LinearProbe" if classifier == "logistic" else "NearestNeighbour"
    before, after = solve(baseline, data()), solve(name, data(), classifier=classifier, **hparams)
    assert after > before + 0.1, f"{name}: {after:.3f}, {baseline}: {before:.3f}"


def test_coral_undoes_a_stretch() -> None:
    before, after = solve("LinearProbe", stretched()), solve("CORAL", stretched(), reg=0.01)
    assert after > before + 0.1, f"{after:.3f}, linear probe: {before:.3f}"


@pytest.mark.parametrize("name", ["LinearProbe", "NearestNeighbour", "CORAL", "OTMap"])
def test_a_solved_method_does_no_harm_without_a_shift(name: str) -> None:
    assert solve(name, translated(0.0)) > 0.9


@pytest.mark.parametrize("name", ["SourceOnly", "FineTune", "DANN", "MMD", "DeepCORAL", "DeepJDOT", "MCC"])
def test_a_deep_method_does_no_harm_without_a_shift(name: str) -> None:
    hparams = {"hidden": 64} if name == "DANN" else {}
    assert train(name, translated(0.0), **hparams) > 0.9


def test_a_solved_method_returns_the_same_logits_from_its_state() -> None:
    x_s, y_s, x_t, _ = translated()
    first, second = dalib.OTMap(), dalib.OTMap()
    for algorithm in (first, second):
        algorithm.attach(Network.on_features(D, K, bottleneck=0))
    from dalib.core.types import Domain

    first.fit(Features(), Domain("s", x_s.numpy(), y_s.numpy(), ("a",), ""), Domain("t", x_t.numpy(), None, ("a",), ""))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.predict(x_t)[1], second.predict(x_t)[1])
