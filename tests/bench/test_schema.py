"""The schema of suites says what the models say, and knows every algorithm's hyper-parameters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dalib.bench.row import Row
from dalib.bench.schema import suite_schema
from dalib.bench.suite import Suite, load_suite
from dalib.cli import main
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, DATASETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed; it comes with the extra dev")
GOOD = 'dataset = "mini_office"\n'
ROWS = "[algorithms.source_only]\n"


@pytest.fixture(scope="module")
def accepts() -> Callable[[str], bool]:
    schema = suite_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    return lambda text: validator.is_valid(tomllib.loads(text))


def test_every_suite_of_the_checkout_is_one(accepts: Callable[[str], bool]) -> None:
    suites = sorted((ROOT / "benchmarks").rglob("*.toml"))
    assert len(suites) > 20
    assert [path.name for path in suites if not accepts(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "text",
    [
        GOOD + 'algorithms = ["source_only", "dann+mcc"]\n',
        GOOD + "[algorithms]\ndann = { weight = 0.5, train = { lr = 0.1 } }\n",
        GOOD + '[algorithms]\n"dann+mcc" = { dann.weight = 0.3 }\nmine = { algorithm = "dann", hidden = 16 }\n',
        GOOD + '[algorithms]\ndann = { algorithm = ["dann", "mcc"], mcc.weight = 2 }\n',
        GOOD + '[backbone]\nname = "cnn1d"\noptions = { channels = [8, 16] }\n' + ROWS,
        GOOD + '[search]\nbudget = 3\n[search.space.dann]\nweight = { low = 0.1, high = 1, log = true }\n' + ROWS,
    ],
)  # fmt: skip
def test_what_a_suite_may_say_is_accepted(accepts: Callable[[str], bool], text: str, tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(text)
    assert accepts(text) and load_suite(tmp_path / "suite.toml").algorithms


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        GOOD,
        GOOD + "[algorithms]\n",
        GOOD + "sedes = [0]\n" + ROWS,
        GOOD + "seeds = [-1]\n" + ROWS,
        GOOD + "[train]\nlr = 'fast'\n" + ROWS,
        GOOD + "[train]\nstep = 5\n" + ROWS,
        GOOD + '[backbone]\nname = "cnn1d"\nchannels = [8, 16]\n' + ROWS,
        GOOD + "[protocol]\nshots = 0\n" + ROWS,
        GOOD + "[algorithms.dann]\ntrain = { momentun = 0.5 }\n",
    ],
)
def test_what_the_models_refuse_is_refused(accepts: Callable[[str], bool], text: str, tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(text)
    with pytest.raises(DalibError):
        load_suite(tmp_path / "suite.toml")
    assert not accepts(text)


@pytest.mark.parametrize("row", ["wieght = 1", "weight = 'much'", "hidden = 1.5", "weight = -1"])
def test_a_wrong_hyper_parameter_is_underlined_while_one_writes(accepts: Callable[[str], bool], row: str) -> None:
    """`load_suite` leaves it to the plan, which makes the algorithm."""
    assert not accepts(f"{GOOD}[algorithms.dann]\n{row}\n")


def test_every_key_that_people_set_is_explained() -> None:
    schema = suite_schema()
    own: dict[str, Any] = schema["properties"]
    assert set(own) == set(Suite.model_fields) and all(own[name].get("description") for name in own)
    rows = own["algorithms"]["anyOf"][0]["properties"]
    assert set(rows) == set(ALGORITHMS.names())
    for name, row in rows.items():
        assert set(ALGORITHMS.get(name).hypers) <= set(row["anyOf"][0]["properties"])
    assert own["dataset"]["anyOf"][0]["enum"] == DATASETS.names()
    rooms = schema["$defs"]
    told = [
        field for room in ("TrainConfig", "ProtocolSpec", "SearchSpec") for field in rooms[room]["properties"].items()
    ]
    assert [name for name, field in told if not field.get("description") and name != "seed"] == []
    assert set(Row.model_fields) - {"swept"} <= set(rows["dann"]["anyOf"][0]["properties"])
    assert "hash" not in rooms["BackboneSpec"]["properties"] and "swept" not in rooms["Row"]["properties"]


def test_the_command_writes_it_and_names_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--out", str(tmp_path / "s.json")]) == 0
    assert capsys.readouterr().out.endswith("the first line of a suite beside it: #:schema ./s.json\n")
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == (tmp_path / "s.json").read_text(encoding="utf-8")
