"""Every algorithm that descends takes a network in double precision."""

from __future__ import annotations

import pytest
import torch

from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.train.loop import Loop

DESCENDING = [n for n in sorted(ALGORITHMS.files()) if not issubclass(ALGORITHMS.get(n), FeatureAlgorithm)]


@pytest.mark.parametrize("name", DESCENDING)
def test_a_float64_network_takes_steps_in_a_loop(name: str) -> None:
    torch.manual_seed(0)
    algorithm = ALGORITHMS.get(name)()
    if algorithm.needs_texts:
        pytest.skip(f"{name} needs a text tower, which this network has not; its own test has one")
    try:
        algorithm.attach(Network.on_features(6, 3, bottleneck=5))
    except DalibError as error:
        pytest.skip(str(error))
    algorithm.double()
    loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.01))
    x_s, x_t = torch.randn(12, 6, dtype=torch.float64), torch.randn(12, 6, dtype=torch.float64)
    for i in range(2):
        terms = loop.step(x_s, torch.arange(12) % 3, x_t, progress=i / 2)
        assert terms and all(bool(term.isfinite()) for term in terms.values())
    assert algorithm.predict(x_t)[1].dtype == torch.float64
