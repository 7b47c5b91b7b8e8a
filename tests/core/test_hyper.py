"""Hyper-parameters: one line is the constructor, the check, the search space and the documentation."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import choice, flag, number, positive, state, whole
from dalib.core.network import Network


class Toy(Algorithm):
    """A toy.

    loss = supervised loss

    Shapes
        z (B, d)
    """

    uses_target = False
    weight: float = positive(default=1.0, zero=True, search=(0.1, 1.0), doc="trade-off")
    share: float = positive(default=0.5, below=1, doc="part of the steps")
    width: int = whole(default=4, search=(2, 4), doc="of the layer")
    blocks: int | str = whole(default="all", words=("all", "first"), doc="which")
    map: str = choice(default="exact", options=("exact", "random"), doc="of the rows")
    hard: bool = flag(default=False, doc="or smooth")
    eps: float | None = positive(default=None, below=1, nothing=True, doc="slack")
    memory: torch.Tensor = state()


class Wider(Toy):
    """A toy with one more."""

    share = 0.25
    depth: int = whole(default=1, doc="layers")


def test_the_constructor_takes_them_by_position_and_name_and_fills_in_defaults():
    made = Toy(2.0, width=8)
    assert made.hparams == {
        "weight": 2.0, "share": 0.5, "width": 8, "blocks": "all", "map": "exact", "hard": False, "eps": None,
    }  # fmt: skip
    assert Toy.weight == 1.0 and list(inspect.signature(Toy).parameters) == list(made.hparams)


def test_whole_numbers_that_come_as_floats_become_whole():
    width = Toy(width=8.0).width  # type: ignore[arg-type]
    assert width == 8 and type(width) is int


def test_numbers_of_numpy_as_a_grid_of_values_holds_them_are_python_s():
    grid = {"weight": np.float32(0.5), "width": np.arange(3, 5)[0], "hard": np.bool_(True), "map": np.str_("random")}
    made = Toy(**grid, blocks=np.int64(2), eps=np.array(0.25))
    assert made.hparams == Toy(0.5, width=3, hard=True, map="random", blocks=2, eps=0.25).hparams
    assert {type(v) for v in made.hparams.values()} == {float, int, bool, str}
    made.check()
    assert Toy.create("toy", grid).hparams == Toy(**grid).hparams
    wide = np.int64(-3)
    with pytest.raises(DalibError, match="width = -3 is out of range"):
        Toy(width=wide).check()
    with pytest.raises(DalibError, match=r"width = array.* is out of range"):
        Toy(width=np.array([3])).check()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Toy(wieght=1), "Toy has no hyper-parameter 'wieght'; did you mean 'weight'"),  # type: ignore[call-arg]
        (lambda: Toy(1.0, weight=2.0), "'weight' was given twice"),  # type: ignore[misc]
        (lambda: Toy(*range(9)), "Toy has 7 hyper-parameters, but 9 values were given"),  # type: ignore[call-arg]
    ],
)
def test_a_wrong_call_names_what_is_wrong(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"weight": -1}, r"toy.weight = -1 is out of range; give a number >= 0"),
        ({"weight": float("nan")}, r"toy.weight = nan is out of range"),
        ({"weight": True}, r"toy.weight = True is out of range"),
        ({"share": 1}, r"toy.share = 1 is out of range; give a number in \(0, 1\)"),
        ({"width": 0}, r"toy.width = 0 is out of range; give a whole number >= 1"),
        ({"width": 1.5}, r"toy.width = 1.5 is out of range; give a whole number >= 1"),
        ({"blocks": "last"}, r"toy.blocks = 'last' is out of range; give 'all', 'first' or a whole number >= 1"),
        ({"map": "exakt"}, r"no toy.map named 'exakt'; did you mean 'exact'"),
        ({"hard": 1}, r"toy.hard = 1 is not true or false"),
        ({"eps": 1.0}, r"toy.eps = 1.0 is out of range; give a number in \(0, 1\) or None"),
    ],
)
def test_a_value_out_of_range_is_refused_when_the_network_comes(hparams, message):
    made = Toy(**hparams)
    with pytest.raises(DalibError, match=message):
        made.attach(Network.on_features(4, 3))


def test_values_at_the_borders_are_taken():
    Toy(weight=0, share=1e-9, width=1, blocks=3, map="random", hard=True, eps=0.5).attach(Network.on_features(4, 3))


def test_a_subclass_adds_its_own_and_a_plain_value_fixes_one():
    assert list(Wider.hypers) == ["weight", "width", "blocks", "map", "hard", "eps", "depth"]
    assert Wider().share == 0.25 and Wider(depth=3).depth == 3
    with pytest.raises(TypeError, match="no hyper-parameter 'share'"):
        Wider(share=0.1)  # type: ignore[call-arg]


def test_those_of_a_base_that_come_last_stand_behind_a_subclass_own():
    class Moved(FeatureAlgorithm):
        reg: float = positive(default=1.0)

    assert list(Moved.hypers) == ["reg", "classifier", "C", "k"] and Moved(0.5).reg == 0.5


def test_space_and_docstring_come_from_the_declarations():
    assert Toy.space == {"weight": [0.1, 1.0], "width": [2, 4]}
    doc = Toy.__doc__ or ""
    assert doc.index("Args") < doc.index("weight: trade-off, >= 0") < doc.index("Shapes")
    assert "width: of the layer, whole >= 1" in doc and "share: part of the steps, in (0, 1)" in doc
    assert "map: of the rows, `exact` or `random`" in doc and "blocks: which, `all`, `first` or whole >= 1" in doc


def test_a_constructor_of_ones_own_declares_its_parameters():
    class Old(Algorithm):
        space = {"weight": [1.0, 2.0]}

        def __init__(self, weight: float = 1.0) -> None:
            super().__init__()
            self.weight = weight

    assert Old.defaults() == {"weight": 1.0} and Old(weight=2.0).hparams == {"weight": 2.0}
    assert Old.space == {"weight": [1.0, 2.0]}
    with pytest.raises(DalibError, match="no hyper-parameter of old named 'wait'"):
        Old.create("old", {"wait": 1})


def test_numbers_without_bounds_are_still_finite():
    class Free(Algorithm):
        bias: float = number(default=0.0)

    Free(bias=-3.0).check()
    with pytest.raises(DalibError, match=r"free\.bias = inf is out of range; give a number"):
        Free(bias=float("inf")).check()


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(dalib.CORAL(reg=0.3)) == "CORAL(reg=0.3)" and repr(dalib.DANN()) == "DANN()"


def test_algorithms_pickle_and_copy():
    made = dalib.DANN(weight=0.5)
    assert pickle.loads(pickle.dumps(made)).hparams == made.hparams == copy.deepcopy(made).hparams


def test_sums_pickle_and_copy():
    made = dalib.DANN(weight=0.5) + dalib.MCC()
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert again.hparams == made.hparams and type(again) is type(made)


@pytest.mark.slow
def test_a_type_checker_refuses_a_wrong_name_and_a_wrong_type(tmp_path: Path):
    code = "from dalib.algorithms.dann import DANN\nDANN(weight=0.5)\nDANN(wieght=1)\nDANN('x')\n"
    (tmp_path / "use.py").write_text(code)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "use.py")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    lines = [line for line in run.stdout.splitlines() if "use.py" in line and "error" in line]
    assert len(lines) == 2 and 'Unexpected keyword argument "wieght"' in lines[0], run.stdout
    assert 'expected "float"' in lines[1], run.stdout


def test_a_text_is_kept_as_it_settles_and_is_never_empty() -> None:
    from dalib.core.hyper import text

    class Named(Algorithm):
        """A name; name: any."""

        name_of: str = text(default="plain", settle=lambda value: value.strip(), doc="what it is called")

    assert Named(name_of=" x ").hparams == {"name_of": "x"} and Named.create("named", {}).name_of == "plain"
    with pytest.raises(DalibError, match="name_of = '' is no text; its default is 'plain'"):
        Named(name_of="").check()
