"""A key is the hash of what may change a number: defaults and versions of 1 are left out of it."""

import pytest

from dalib.core.algorithm import Algorithm
from dalib.core.registry import ALGORITHMS, PROTOCOLS
from dalib.protocols.uda import UDA
from dalib.records.spec import BackboneSpec, DataSpec, ProtocolSpec, RunSpec
from dalib.train.config import TrainConfig

SPEC = RunSpec(
    data=DataSpec(dataset="office31", fingerprint="f" * 8),
    source="amazon", target="webcam", algorithm="dann", algorithm_version=3, hparams={"weight": 1.0, "hidden": 64},
    backbone=BackboneSpec(name="resnet50", weights="imagenet", hash="abc"),
)  # fmt: skip


def change(**update: object) -> RunSpec:
    return SPEC.model_copy(update=update)


def test_the_key_of_a_known_spec_does_not_change():
    assert SPEC.content() == {
        "data": {"dataset": "office31", "fingerprint": "ffffffff"}, "source": "amazon", "target": "webcam",
        "algorithm": "dann", "algorithm_version": 3, "hparams": {"hidden": 64},
        "backbone": {"name": "resnet50", "hash": "abc"}, "versions": {"train": 2},
    }  # fmt: skip
    assert SPEC.key == "f513d81bae04875646001bd5553948e80cef9096ecf5d11040f694193ef6d998"


def test_the_key_knows_neither_dict_order_nor_where_files_lie():
    assert change(hparams={"hidden": 64, "weight": 1.0}).key == SPEC.key
    moved = SPEC.backbone.model_copy(update={"weights": "/elsewhere/w.pth"})
    assert change(backbone=moved).key == SPEC.key
    file, other = (change(data=DataSpec(dataset=f"features:/{n}/f.npz", fingerprint="f")) for n in ("here", "there"))
    assert file.key == other.key


def test_what_the_weights_have_seen_is_no_part_of_the_key():
    said = SPEC.backbone.model_copy(update={"pretraining": ("laion-2b",)})
    assert change(backbone=said).key == SPEC.key and said.seen == ("laion-2b",)
    assert SPEC.backbone.seen == ("imagenet-1k",)
    bare = RunSpec(data=SPEC.data, source="a", target="b", algorithm="coral")
    assert bare.model_copy(update={"backbone": BackboneSpec(pretraining=("decaf",))}).key == bare.key


CHANGES = [
    {"source": "dslr"}, {"target": "dslr"}, {"algorithm": "mmd"}, {"algorithm_version": 4}, {"seed": 1},
    {"hparams": {"weight": 2.0, "hidden": 64}},
    {"data": SPEC.data.model_copy(update={"fingerprint": "0"})},
    {"data": SPEC.data.model_copy(update={"partial": True})},
    {"data": SPEC.data.model_copy(update={"normalise": ("zscore",)})},
    {"backbone": SPEC.backbone.model_copy(update={"hash": "x"})},
    {"backbone": SPEC.backbone.model_copy(update={"frozen": True})},
    *({"protocol": SPEC.protocol.model_copy(update={name: "other"})} for name in ProtocolSpec.model_fields),
    *({"train": SPEC.train.model_copy(update={name: "other"})} for name in TrainConfig.model_fields),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
def test_every_field_changes_the_key():
    keys = [change(**update).key for update in CHANGES]
    assert len({SPEC.key, *keys}) == len(CHANGES) + 1


@pytest.mark.parametrize(("algorithm", "prefix"), [("lora", ""), ("lora+mcc", "lora.")])
def test_a_hyper_parameter_is_in_the_key_only_away_from_its_default(algorithm, prefix):
    cls = ALGORITHMS.get(algorithm)
    spec = change(algorithm=algorithm, algorithm_version=cls.version, hparams=cls.defaults())
    assert "hparams" not in spec.content() and spec.key == spec.model_copy(update={"hparams": {}}).key
    other = spec.model_copy(update={"hparams": cls.defaults() | {f"{prefix}blocks": 1}})
    assert other.content()["hparams"] == {f"{prefix}blocks": 1} and other.key != spec.key


def test_one_is_a_whole_number_or_not_but_never_true():
    assert change(hparams={"weight": 1}).key == change(hparams={"weight": 1.0}).key == change(hparams={}).key
    assert change(hparams={"weight": True}).key != change(hparams={}).key


def test_of_an_algorithm_that_is_unknown_here_or_was_another_version_all_hyper_parameters_stay():
    for update in ({"algorithm": "elsewhere"}, {"algorithm_version": 7}):
        assert change(**update).content()["hparams"] == SPEC.hparams


class Changed(UDA):
    version = 2


@pytest.mark.parametrize("part", [TrainConfig, BackboneSpec, DataSpec, ProtocolSpec, RunSpec])
def test_the_version_of_every_part_is_in_the_key(part, monkeypatch):
    monkeypatch.setattr(part, "VERSION", 77)
    assert list(SPEC.content()["versions"].values()).count(77) == 1


def test_the_protocols_version_is_in_the_key_of_its_own_runs(monkeypatch):
    other = change(protocol=ProtocolSpec(name="supervised"))
    before = SPEC.key, other.key
    monkeypatch.setattr(PROTOCOLS, "_extra", {"uda": Changed})
    assert SPEC.content()["versions"]["protocol uda"] == 2 and SPEC.key != before[0]
    assert other.key == before[1]


def test_a_backbones_version_is_in_the_key_of_its_own_runs() -> None:
    assert change(backbone=BackboneSpec(name="mlp")).content()["versions"]["backbone mlp"] == 2
    assert "backbone resnet50" not in SPEC.content()["versions"]


def test_of_the_recipe_a_solved_method_has_in_its_key_what_decides_its_features() -> None:
    solved = change(algorithm="coral", algorithm_version=ALGORITHMS.get("coral").version, hparams={})
    for name, value in {"lr": 0.5, "steps": 7, "initialisation": "kaiming", "bottleneck": 0, "batch_size": 9}.items():
        assert solved.model_copy(update={"train": TrainConfig(**{name: value})}).key == solved.key
    for name, value in {"crop": 128, "resize": 300, "precision": "bf16", "channels_last": True}.items():
        assert solved.model_copy(update={"train": TrainConfig(**{name: value})}).key != solved.key


def test_a_setting_that_is_added_changes_no_key(monkeypatch):
    class Later(Algorithm):
        version = 3

        def __init__(self, weight: float = 1.0, hidden: int = 256, later: str = "no") -> None: ...

    class LaterConfig(TrainConfig):
        later: int = 3

    monkeypatch.setattr(ALGORITHMS, "_extra", {"dann": Later})
    assert change(hparams=SPEC.hparams | {"later": "no"}).key == SPEC.key != change(hparams={"later": "yes"}).key
    assert change(train=LaterConfig()).key == SPEC.key
