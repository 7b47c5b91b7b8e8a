"""Every registered algorithm keeps the contract."""

from __future__ import annotations

import pytest

from dalib.checks.algorithm import AlgorithmCheck, checks_for
from dalib.core.registry import ALGORITHMS

CASES = [(name, check) for name in ALGORITHMS.names() for check in checks_for(ALGORITHMS.get(name))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "check"), CASES, ids=[f"{n}-{c.__name__.removeprefix('check_')}" for n, c in CASES])
def test_algorithm_keeps_its_contract(name: str, check: AlgorithmCheck) -> None:
    check(ALGORITHMS.get(name))
