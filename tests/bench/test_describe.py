"""One run in words: what was left open is filled in, what is no setting is refused."""

from __future__ import annotations

import pytest

from dalib import DANN, fitting
from dalib.bench.describe import describe_run
from dalib.core.errors import DalibError

WHERE = ("mini_office", "amazon", "webcam")


def test_what_is_left_open_is_filled_in() -> None:
    spec = describe_run(*WHERE, "dann", seed=3)
    assert (spec.source, spec.target, spec.algorithm, spec.seed) == ("amazon", "webcam", "dann", 3)
    assert (spec.backbone.name, spec.backbone.weights, spec.backbone.frozen) == ("tiny", "pretrained", True)
    assert spec.hparams == DANN().hparams


def test_an_algorithm_and_its_name_with_settings_are_the_same_run() -> None:
    assert describe_run(*WHERE, DANN(weight=0.3)) == describe_run(*WHERE, "dann", hparams={"weight": 0.3})
    with pytest.raises(DalibError, match="hparams belong to an algorithm given by name"):
        describe_run(*WHERE, DANN(), hparams={"weight": 0.3})


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(DalibError, match="train = 'fast' is no mapping of settings"):
        describe_run(*WHERE, "dann", train="fast")  # type: ignore[arg-type]
    with pytest.raises(DalibError, match="no key 'stepz' in"):
        describe_run(*WHERE, "dann", train={"stepz": 3})


def test_it_is_found_where_it_was() -> None:
    assert fitting.describe_run is describe_run
