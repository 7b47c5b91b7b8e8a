"""`DANN() + MCC()`: the terms of both, one classification loss, one network, one name."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

import dalib
from dalib import DANN, MCC, MCD
from dalib.bench.row import Row
from dalib.checks import check_plugin, new_plugin
from dalib.checks.runner import check_algorithm
from dalib.checks.world import CONFIG, attached, make_task
from dalib.checks.world import DIM as DIM_WORLD
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.backbone import Backbone, identity
from dalib.core.combination import ONCE, Combination, combine, overrides, why_alone
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS, load_plugin
from dalib.core.types import Domain, Source, Target, Task
from dalib.train.trainer import Trainer
from tests.support.algorithms import DIM, K, batch
from tests.support.any_world import world_of


def small_network(task: Task) -> Backbone:
    """Two blocks on the small world's features."""
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(DIM_WORLD, DIM_WORLD), nn.ReLU()) for _ in range(2)]
    made = Backbone.of(nn.Sequential(*blocks), np.asarray(task.labelled.x))
    return replace(made, groups=blocks)


@pytest.mark.parametrize("names", [("DANN", "ATDOC"), ("MCC", "MSTN"), ("HoMM", "ATDOC")])
def test_ideas_that_are_a_loss_can_be_added(names: tuple[str, str]) -> None:
    both = getattr(dalib, names[0])() + getattr(dalib, names[1])()
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    both.begin_epoch(None, Domain("target", np.zeros((20, DIM), np.float32), None, ("a", "b", "c"), ""))  # type: ignore[arg-type]
    assert all(term.isfinite() for term in both.loss(*batch(), 0.5).values())


PAIRS = ("dann+mcc", "cdan+mcc", "afn+dann", "entropy_minimisation+mmd", "bsp+mcc")


@pytest.mark.parametrize("name", PAIRS)
def test_a_combination_keeps_the_contract(name: str) -> None:
    failed = [r for r in check_algorithm(ALGORITHMS.get(name), name) if not r.passed and r.name != "docstring"]
    assert failed == []


def test_the_terms_are_the_parts_and_classification_counts_once() -> None:
    both = DANN(weight=0.3, dropout=0.0) + MCC(temperature=2.0)
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    source, target = batch()
    terms = both.loss(source, target, 0.5)
    dann, mcc = both.get_submodule("dann"), both.get_submodule("mcc")
    first, second = dann.loss(source, target, 0.5), mcc.loss(source, target, 0.5)
    assert set(terms) == {"classification", "adversarial", "confusion"}
    assert torch.equal(terms["adversarial"], first["adversarial"])
    assert torch.equal(terms["confusion"], second["confusion"])
    assert torch.equal(terms["classification"], cross_entropy(source.logits, source.y))


def test_order_of_writing_changes_nothing_and_hyper_parameters_carry_their_part() -> None:
    one, other = DANN(weight=0.3) + MCC(), MCC() + DANN(weight=0.3)
    assert type(one) is type(other) is ALGORITHMS.get("mcc+dann")
    assert one.hparams == other.hparams == json.loads(json.dumps(one.hparams))
    assert one.hparams["dann.weight"] == 0.3
    assert ALGORITHMS.canonical("mcc+dann") == "dann+mcc"
    three = DANN(hidden=64) + MCC() + dalib.BNM()
    assert isinstance(three, Combination) and three.names == ("bnm", "dann", "mcc")
    assert three.hparams["dann.hidden"] == 64


def test_two_terms_of_one_name_are_both_kept() -> None:
    both = DANN() + dalib.CDAN()
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    assert {"adversarial", "dann.adversarial"} <= set(both.loss(*batch(), 0.5))


def test_the_network_is_stored_once() -> None:
    both = DANN() + MCC()
    both.attach(Network.on_features(DIM, K))
    assert not [k for k in both.state_dict() if ".network." in k]
    assert len(list(both.parameters())) == len({id(p) for p in both.parameters()})


def test_a_suite_takes_a_list_and_dotted_hyper_parameters() -> None:
    row = Row.model_validate({"algorithm": ["mcc", "dann"], "dann": {"weight": 0.3}, "mcc.temperature": 2.0})
    assert row.algorithm == "mcc+dann"
    assert row.hparams == {"dann.weight": 0.3, "mcc.temperature": 2.0}


def test_versions_of_the_parts_make_the_version() -> None:
    class Newer(MCC):
        version = 7

    ALGORITHMS.add("newer", Newer)
    try:
        assert ALGORITHMS.get("dann+newer").version == 1000 * DANN.version + 7
    finally:
        ALGORITHMS.remove("newer")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: DANN() + MCD(), "mcd cannot be combined"),
        (lambda: DANN() + dalib.CORAL(), "coral cannot be combined"),
        (lambda: DANN() + DANN(), "at least two different"),
        (lambda: ALGORITHMS.get("dann+mcx"), "did you mean"),
        (lambda: ALGORITHMS.get("dann+mcc").create("dann+mcc", {"dann.wieght": 1.0}), "did you mean 'dann.weight'"),
        (lambda: attached(ALGORITHMS.get("dann+mcc"), **{"mcc.temperature": 0.0}), "temperature"),
    ],
)
def test_mistakes_are_one_clear_line(call: Any, text: str) -> None:
    with pytest.raises(DalibError, match=text):
        call()


DEEP = [n for n in ALGORITHMS.names() if not issubclass(ALGORITHMS.get(n), FeatureAlgorithm)]
SUMMED = [n for n in DEEP if not why_alone(ALGORITHMS.get(n))]


EXPECTED: dict[str, Any] = {
    "classification": cross_entropy,
    "regression": mse_loss,
    "segmentation": partial(cross_entropy, ignore_index=255),
    "detection": lambda seen, y: sum(seen.losses(y).values()),
}


def test_most_algorithms_can_be_summed_and_the_others_say_why() -> None:
    alone = {name: why_alone(ALGORITHMS.get(name)) for name in DEEP if name not in SUMMED}
    assert len(SUMMED) >= 45 and len(DEEP) == 77
    games = {"gradient_norm", "maml", "mcd", "reptile", "sdat", "wdgrl"}
    others = {"aad", "adda", "advent", "cowa", "mdan", "nrc", "osbp", "prototypical", "shot", "tent"}
    assert set(alone) == games | others | {"zero_shot_distillation", "dapl"}
    assert all(alone.values())


def contradict(first: str, second: str) -> bool:
    """Both want to train, predict or supervise in a way of their own, or they know no kind of answers in common."""
    classes = ALGORITHMS.get(first), ALGORITHMS.get(second)
    picky = [set(cls.objectives) for cls in classes if "any" not in cls.objectives]
    common = set.intersection(*picky) if picky else {"any"}
    if not common or (common <= {"segmentation", "detection"} and any(cls.rows_only for cls in classes)):
        return True
    return any(all(any(overrides(c, m) for m in methods) for c in classes) for methods in ONCE.values())


@pytest.mark.parametrize("first", SUMMED)
def test_every_pair_whose_mathematics_adds_is_summed_and_supervises_once(first: str) -> None:
    for second in SUMMED[SUMMED.index(first) + 1 :]:
        parts = [(name, ALGORITHMS.get(name)) for name in (first, second)]
        if contradict(first, second):
            with pytest.raises(DalibError, match=f"{min(first, second)} and {max(first, second)} cannot be combined"):
                combine(*parts)
            continue
        both = combine(*parts)
        algorithm = world_of(both).attached(both)
        source, target = world_of(both).batches(algorithm)
        torch.manual_seed(0)  # a detector's loss draws regions
        terms = algorithm.loss(source, target, 0.5)
        adapted = [name for part in algorithm.parts.values() for name in {**part.adapt(source, target, 0.5)}]
        pulled = [name for part in algorithm.parts.values() for name in part.penalty()]
        kind = algorithm.objective.name
        assert len(terms) == 1 + len(adapted) + len(pulled) and next(iter(terms)) == kind, (first, second)
        assert all(term.isfinite() for term in terms.values()), (first, second)
        if not any(overrides(cls, m) for _, cls in parts for m in ("supervise", "answer")):
            torch.manual_seed(0)
            torch.testing.assert_close(terms[kind], EXPECTED[kind](source.prediction, source.y))


def test_what_keeps_a_part_in_one_process_keeps_the_sum_there() -> None:
    assert combine(("dann", DANN), ("mcc", MCC)).undivided == ""
    prior = ALGORITHMS.get("zero_shot_prior")
    assert prior.undivided and combine(("dann", DANN), ("zero_shot_prior", prior)).undivided == prior.undivided


def test_penalties_and_strategies_of_training_add() -> None:
    task = make_task()
    both = dalib.L2SP(alpha=0.5) + DANN(hidden=8) + dalib.LpFt(probe=0.4)
    fitted = Trainer(CONFIG, device="cpu").fit(both, task, small_network(task))
    assert {"classification", "adversarial", "start", "decay"} <= set(fitted.curve)
    assert both.get_submodule("lp_ft").tuning


def test_a_strategy_in_phases_freezes_the_backbone_for_the_whole_sum() -> None:
    """In the first phase of linear probing nothing moves the backbone, not even the adversary."""
    task = make_task()
    network = small_network(task)
    both = dalib.LpFt(probe=0.999) + DANN(hidden=8)
    fitted = Trainer(CONFIG, device="cpu").fit(both, task, network)
    pairs = zip(network.module.parameters(), fitted.backbone.module.parameters(), strict=True)
    assert all(torch.equal(before, after) for before, after in pairs)


def test_the_others_see_what_a_head_of_ones_own_predicts() -> None:
    """MCC's confusion is that of MME's cosine classifier, not of the network's head, which nothing trains."""
    both = dalib.MME() + MCC()
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    source, target = batch()
    mme, mcc = both.parts["mme"], both.parts["mcc"]
    expected = mcc.adapt(source, replace(target, logits=mme.answer(target.z, target.logits)), 0.5)["confusion"]
    assert torch.equal(both.loss(source, target, 0.5)["confusion"], expected)
    assert not torch.equal(expected, mcc.adapt(source, target, 0.5)["confusion"])


def test_the_teacher_of_a_part_predicts() -> None:
    task = make_task()
    both = dalib.MeanTeacher() + MCC()
    fitted = Trainer(CONFIG, device="cpu").fit(both, task, identity(DIM_WORLD))
    x = torch.as_tensor(np.asarray(task.test.x))
    with torch.no_grad():
        assert torch.equal(both.predict(x)[1], both.parts["mean_teacher"].teacher(x)[1])  # type: ignore[operator]
        assert not torch.equal(both.predict(x)[1], both.network(x)[1])
    assert fitted.outputs(task.test).logits.isfinite().all()


def test_a_loss_that_says_everything_is_not_summed() -> None:
    class Old(Algorithm):
        def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
            return {"ce": cross_entropy(source.logits, source.y), "gap": (source.z.mean(0) - target.z.mean(0)).norm()}

    with pytest.raises(DalibError, match="old cannot be combined: its `loss` says everything at once; give in `adapt`"):
        Old() + MCC()


def test_a_new_plug_in_counts_the_supervised_loss_once_whatever_its_term_is_called(tmp_path: Path) -> None:
    """A plug-in that calls its term `ce` in `adapt` is caught by its check; the template adds to MCC as it should."""
    path = new_plugin("algorithm", "my_idea", tmp_path)
    names = load_plugin(path)["algorithms"]
    try:
        both = ALGORITHMS.get("my_idea+mcc")()
        both.attach(Network.on_features(DIM, K, bottleneck=0))
        source, target = batch()
        terms = both.loss(source, target, 0.5)
        assert set(terms) == {"classification", "alignment", "confusion"}
        total = cross_entropy(source.logits, source.y) + terms["alignment"] + terms["confusion"]
        torch.testing.assert_close(torch.stack(list(terms.values())).sum(), total)
        text = path.read_text().replace('return {"alignment"', 'return {"ce": self.supervise(source), "alignment"')
        (tmp_path / "twice.py").write_text(text.replace("class MyIdea", "class Twice"))
        failed = {r.name: r.message for r in check_plugin(tmp_path / "twice.py") if not r.passed}
        assert set(failed) == {"supervised_loss_is_said_once"} and "'ce'" in failed["supervised_loss_is_said_once"]
    finally:
        for name in [*names, "twice"]:
            ALGORITHMS.remove(name)
