"""The mutation run's own parts, and, slowly, the run itself."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def mutants() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module
    spec.loader.exec_module(module)
    return module


def test_every_planted_defect_still_applies(mutants: ModuleType) -> None:
    for mutant in mutants.planted():
        raw = (ROOT / mutant.file).read_bytes()
        ast.parse(mutant.source(raw))
        assert mutants.tests_of(mutant.file), mutant.name


def test_at_least_150_are_drawn_and_they_stay_the_same_ones(mutants: ModuleType) -> None:
    first, again = mutants.drawn(206), mutants.drawn(206)
    assert first == again and len(first) >= 150 and len({(m.file, m.start, m.after) for m in first}) == len(first)
    assert len({m.file for m in first}) > 60
    assert set(mutants.drawn(60)) <= set(mutants.drawn(120))
    assert mutants.drawn(206, "other") != first


def test_every_known_equivalent_is_still_made(mutants: ModuleType) -> None:
    for file, _, why in mutants.EQUIVALENT:
        assert why in {m.reason for m in mutants.generated(file)}, file


SOURCE = '''"""Text 1."""
def f(x: int = 1, *, strict: bool = True) -> int | None:
    """Text 2."""
    if x < 2 and not strict:
        raise ValueError("a" + f"{x + 1}")
    assert x > 0
    x -= 1
    print(x, sep="")
    return (-x + 3).clamp(min=0.5).mean()
'''


def test_operators_change_code_and_no_words(mutants: ModuleType) -> None:
    finder = mutants.Finder("f.py", SOURCE)
    finder.visit(ast.parse(SOURCE))
    made = {(m.before, m.after) for m in finder.mutants}
    assert made >= {
        ("1", "2"), ("True", "False"), ("x < 2", "(x) <= (2)"), ("not strict", "(strict)"), ("x -= 1", "pass"),
        ("x < 2 and not strict", "((x < 2) or (not strict))"), ('print(x, sep="")', "pass"), ("-x", "(x)"),
        ("-x + 3", "((-x) - (3))"), ("0.5", "1.0"), ("(-x + 3).clamp(min=0.5)", "(-x + 3)"),
        ("(-x + 3).clamp(min=0.5).mean()", "(-x + 3).clamp(min=0.5).sum()"),
    }  # fmt: skip
    assert not any(word in before for before, _ in made for word in ("Text", "ValueError", "x > 0"))
    raw = SOURCE.encode()
    for mutant in finder.mutants:
        assert raw[mutant.start : mutant.end].decode() == mutant.before
        ast.parse(mutant.source(raw))


@pytest.mark.slow
def test_the_tests_see_97_of_100_defects(mutants: ModuleType) -> None:
    defects = [*mutants.planted(), *mutants.drawn(206)]
    survivors = mutants.hunt(defects, show=False)
    counted = [m for m in defects if not m.reason]
    assert len(survivors) <= 0.03 * len(counted), "\n".join(m.name for m in survivors)
