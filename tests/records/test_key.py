import pytest

from dalib.bench.plan import plan
from dalib.bench.suite import Suite
from dalib.records.spec import BackboneSpec, DataSpec, RunSpec

SPEC = RunSpec(
    data=DataSpec(dataset="office31", fingerprint="f" * 8),
    source="amazon", target="webcam", algorithm="dann", hparams={"weight": 1.0, "hidden": 64},
    backbone=BackboneSpec(name="resnet50", weights="imagenet", hash="abc"),
)  # fmt: skip


def test_the_key_of_a_known_spec_does_not_change():
    assert SPEC.key == "31cb9e7f58c960e925d49aa3ba14e35034a5e07f0a75bb99eddbe64134bf78b0"


def test_the_key_knows_neither_dict_order_nor_where_files_lie():
    assert SPEC.model_copy(update={"hparams": {"hidden": 64, "weight": 1.0}}).key == SPEC.key
    moved = SPEC.backbone.model_copy(update={"weights": "/elsewhere/w.pth"})
    assert SPEC.model_copy(update={"backbone": moved}).key == SPEC.key


CHANGES = [
    {"source": "dslr"}, {"target": "dslr"}, {"algorithm": "mmd"}, {"algorithm_version": 2}, {"seed": 1},
    {"hparams": {"weight": 2.0, "hidden": 64}},
    {"data": SPEC.data.model_copy(update={"fingerprint": "0"})},
    {"data": SPEC.data.model_copy(update={"partial": True})},
    {"data": SPEC.data.model_copy(update={"normalise": ("zscore",)})},
    {"backbone": SPEC.backbone.model_copy(update={"hash": "x"})},
    {"backbone": SPEC.backbone.model_copy(update={"frozen": True})},
    {"protocol": SPEC.protocol.model_copy(update={"validation": 0.2})},
    *({"train": SPEC.train.model_copy(update={name: "other"})} for name in type(SPEC.train).model_fields),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
def test_every_field_changes_the_key():
    keys = [SPEC.model_copy(update=change).key for change in CHANGES]
    assert len({SPEC.key, *keys}) == len(CHANGES) + 1


@pytest.mark.parametrize(("algorithm", "prefix"), [("lora", ""), ("lora+mcc", "lora.")])
def test_a_hyper_parameter_that_came_later_is_in_the_key_only_away_from_its_default(algorithm, prefix):
    before = SPEC.model_copy(update={"algorithm": algorithm, "hparams": {f"{prefix}rank": 8}})
    keys = {
        v: before.model_copy(update={"hparams": {f"{prefix}rank": 8, f"{prefix}blocks": v}}).key for v in ("all", 1)
    }
    assert keys["all"] == before.key != keys[1]
    assert SPEC.model_copy(update={"hparams": {"blocks": "all"}}).key != SPEC.model_copy(update={"hparams": {}}).key


def test_a_label_does_not_change_the_key(suite):
    content = suite.model_dump()
    content["algorithms"] = {"another": content["algorithms"]["strong"]}
    renamed = plan(Suite.model_validate(content)).manifest().keys
    assert set(renamed) == {r.key for r in plan(suite).runs if r.label == "strong"}
