"""What a caption says of the defaults."""

from __future__ import annotations

import pytest

from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.report.caption import write_caption
from dalib.report.scale import scale_of
from dalib.train.config import TrainConfig


@pytest.mark.parametrize(
    ("dataset", "initialisation", "words"),
    [
        ("mini_office", "torch", "chosen with this data set in sight."),
        ("features:/somewhere/office_caltech10_surf.npz", "torch", "chosen with this data set in sight."),
        ("office31", "torch", "chosen without this data set."),
        ("mini_office", "kaiming", ""),
        ("features:mine.npz", "torch", ""),
    ],
)
def test_a_caption_says_whether_defaults_were_chosen_with_its_data_in_sight(
    dataset: str, initialisation: str, words: str
) -> None:
    spec = RunSpec(
        data=DataSpec(dataset=dataset), source="a", target="b", algorithm="mcc",
        train=TrainConfig.model_validate({"initialisation": initialisation}),
    )  # fmt: skip
    manifest = Manifest(name="s", dataset=dataset.partition(":")[0], runs=[])
    scale = scale_of("target_accuracy")
    told = write_caption(manifest, [Record(key="k", spec=spec, status="ok")], 1, "last", scale, "")
    assert words in told if words else "in sight" not in told and "without this" not in told
