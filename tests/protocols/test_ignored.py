"""What a protocol says it ignores changes no row, the rest changes some; what was given and is ignored is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dalib.bench.describe import describe_run
from dalib.core.errors import DalibError
from dalib.core.protocol import ProtocolSpec
from dalib.core.registry import PROTOCOLS
from dalib.data.loaded import LoadedData
from dalib.data.tasks import make_task

OTHER = {"shots": 2, "fraction": 0.3, "validation": 0.3}


def _rows(data: LoadedData, spec: ProtocolSpec) -> list[list[list[float]]]:
    task = make_task(data, "a", "b", spec, seed=0)
    return [np.asarray(d.x).tolist() for d in (task.labelled, task.target, task.validation, task.test)]


@pytest.mark.parametrize("split", ["fraction", "shots"])
@pytest.mark.parametrize("name", PROTOCOLS.names())
def test_ignored_settings_change_no_row_and_the_others_do(data: LoadedData, name: str, split: str) -> None:
    spec = ProtocolSpec.model_validate({"name": name, "split": split, "shots": 3})
    ignored = PROTOCOLS.get(name).ignored(spec)
    for setting, value in OTHER.items():
        same = _rows(data, spec) == _rows(data, spec.model_copy(update={setting: value}))
        assert same == (setting in ignored), setting


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (
            {"shots": 5},
            r"shots = 5 changes nothing under uda .* protocol.split = 'shots' or protocol.name = 'semi_supervised'",
        ),
        ({"fraction": 0.2}, "fraction = 0.2 changes nothing under uda .* protocol.name = 'supervised'"),
        ({"name": "semi_supervised", "fraction": 0.2}, "fraction = 0.2 changes nothing under semi_supervised"),
        ({"name": "supervised", "shots": 3}, "shots = 3 changes nothing under supervised .* protocol.split = 'shots'"),
    ],
)
def test_a_setting_that_was_given_and_is_not_read_is_refused(protocol: dict[str, object], words: str) -> None:
    with pytest.raises(DalibError, match=words):
        describe_run("mini_office", "amazon", "webcam", "mmd", protocol=protocol)


def test_settings_that_are_read_are_taken() -> None:
    for protocol in ({"split": "shots", "shots": 5}, {"name": "semi_supervised", "shots": 5}, {"holdout": 0.2}):
        assert describe_run("mini_office", "amazon", "webcam", "mmd", protocol=protocol).protocol
