"""list, show, new and check: from a name to a plug-in of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dalib.core.registry import ALGORITHMS, REGISTRIES

Dalib = Callable[..., Any]


@pytest.fixture(autouse=True)
def registries_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_extra", dict(registry._extra))


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_plug_in_is_listed_with_a_summary(kind: str, dalib: Dalib) -> None:
    lines = dalib("list", kind).out.splitlines()[kind == "algorithms" :]
    assert [line.split()[0] for line in lines] == REGISTRIES[kind].names()
    shipped = REGISTRIES[kind].files()
    assert all(len(line.split()) > 3 for line in lines if line.split()[0] in shipped)


def test_algorithms_for_a_kind_of_answers_are_those_that_say_so(dalib: Dalib) -> None:
    listed = [line.split()[0] for line in dalib("list", "algorithms", "--objective", "regression").out.splitlines()[1:]]
    able = [n for n in ALGORITHMS.names() if {"any", "regression"}.intersection(ALGORITHMS.get(n).objectives)]
    assert listed == able and "dann" in able and "mcc" not in able
    [error] = dalib("list", "algorithms", "--objective", "regresion").err
    assert "did you mean 'regression'" in error


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("resnet50", "imagenet-1k (weights imagenet)"),
        ("tiny", "drawn-objects (weights pretrained)"),
        ("lenet", "nothing, from scratch"),
        ("mlp", "nothing, from scratch"),
        ("timm:vit_base_patch16_224.augreg_in21k_ft_in1k", "imagenet-21k + imagenet-1k (weights imagenet)"),
    ],
)
def test_show_says_what_a_backbone_has_seen(name: str, seen: str, dalib: Dalib) -> None:
    assert f"pretrained on  {seen}" in dalib("show", name).out


def test_families_are_those_of_the_classes(dalib: Dalib) -> None:
    header, *lines = dalib("list", "algorithms").out.splitlines()
    assert header.split()[:4] == ["name", "family", "setting", "cost"]
    for line in lines:
        name, family, setting = re.split(r"\s{2,}", line)[:3]
        assert (family, setting) == (ALGORITHMS.get(name).family, ALGORITHMS.get(name).setting)


@pytest.mark.parametrize("name", ALGORITHMS.files())
def test_an_algorithm_shows_all_its_hyper_parameters(name: str, dalib: Dalib) -> None:
    cls = ALGORITHMS.get(name)
    answer = dalib("show", name)
    assert answer.status == 0
    assert f"version {cls.version}" in answer.out
    for key, value in cls.defaults().items():
        assert any(line.split()[:1] == [key] and str(value) in line for line in answer.out.splitlines()), key


def test_a_data_set_shows_domains_and_source(dalib: Dalib) -> None:
    out = dalib("show", "office31").out
    for fact in ("amazon  2817", "webcam   795", "dslr     498", "31: back_pack", "https://"):
        assert fact in out


@pytest.mark.parametrize("name", ["resnet18", "tiny", "identity", "timm"])
def test_a_backbone_shows_its_width(name: str, dalib: Dalib) -> None:
    answer = dalib("show", name)
    assert answer.status == 0
    assert {"resnet18": "512", "tiny": "160"}.get(name, "") in answer.out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("accuracy", "metric of classification, in %; higher is better"),
        ("macro_f1", "metric of classification and multilabel, in %; higher is better"),
        ("rmse", "metric of regression, a plain number; lower is better"),
    ],
)
def test_a_metric_shows_its_unit_and_direction(name: str, words: str, dalib: Dalib) -> None:
    assert words in dalib("show", name).out


@pytest.mark.parametrize("kind", [kind.removesuffix("s") for kind in REGISTRIES])
def test_a_new_plug_in_passes_its_checks(kind: str, dalib: Dalib, tmp_path: Path) -> None:
    written = dalib("new", kind, f"my_{kind}", "--folder", tmp_path)
    path = tmp_path / f"my_{kind}.py"
    assert (written.status, path.is_file()) == (0, True)
    assert f"dalib check {path}" in written.out
    checked = dalib("check", path)
    assert checked.status == 0, checked.out
    assert "✓" in checked.out
    assert "✗" not in checked.out
    again = dalib("new", kind, f"my_{kind}", "--folder", tmp_path)
    assert (again.status, len(again.err)) == (2, 1)


def test_a_broken_plug_in_fails_with_the_fault_named(dalib: Dalib, tmp_path: Path) -> None:
    path = tmp_path / "lonely.py"
    path.write_text(
        "from dalib.core.algorithm import Algorithm\n\n\n"
        "class Lonely(Algorithm):\n"
        "    def __init__(self, weight: float = 1.0) -> None:\n"
        "        super().__init__()\n"
        "        self.weight = 2 * weight\n\n"
        "    def loss(self, source, target, progress):\n"
        "        return {'classification': source.logits.square().mean()}\n"
    )
    answer = dalib("check", path)
    assert answer.status == 1
    assert any("✗" in line and "weight" in line for line in answer.out.splitlines()), answer.out


def test_plug_in_files_join_list_and_show(dalib: Dalib, tmp_path: Path) -> None:
    dalib("new", "algorithm", "join_me", "--folder", tmp_path)
    path = tmp_path / "join_me.py"
    assert "join_me" in dalib("list", "algorithms", "--plugin", path).out
    assert dalib("show", "join_me", "--plugin", path).status == 0
