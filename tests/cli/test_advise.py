"""Advice: what is measured, which rule fires when, and that the suite it writes runs as it is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import dalib
from dalib.advice import distances, evidence, rules, thresholds
from dalib.advice.facts import Facts, TaskFacts
from dalib.advice.material import Material
from dalib.bench.row import Row
from dalib.bench.suite import load_suite
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, BACKBONES
from tests.support.worlds import draw_shape, write_images

Dalib = Callable[..., Any]
Counts = Mapping[str, tuple[int, ...]]
"""domain -> rows of class 0, 1, …"""


def write_domains(path: Path, counts: Counts, shifts: Mapping[str, float] = {}, noise: float = 0.5) -> Path:
    """Features of width 6: a corner per class, moved by the domain's shift along two axes that classes do not use."""
    rng = np.random.default_rng(0)
    arrays = {}
    for domain, rows in counts.items():
        y = np.repeat(np.arange(len(rows)), rows)
        corner = np.eye(6)[y % 4] * 3 + np.array([0, 0, 0, 0, 1, 1]) * shifts.get(domain, 0.0)
        arrays[f"{domain}_x"] = (corner + noise * rng.normal(size=(len(y), 6))).astype(np.float32)
        arrays[f"{domain}_y"] = y
    np.savez(path, **arrays)
    return path


# --- distances against computations of their own --------------------------------------------------------------------


def test_the_a_distance_is_that_of_a_held_out_classifier_made_by_hand() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import StratifiedKFold

    rng = np.random.default_rng(3)
    z_s, z_t = rng.normal(size=(60, 5)), rng.normal(size=(35, 5)) + 0.5
    z, domain = np.vstack([z_s, z_t]), np.repeat([0, 1], [60, 35])
    z = (z - z.mean(axis=0)) / np.sqrt(np.mean((z - z.mean(axis=0)) ** 2))
    predicted = np.zeros(95, int)
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(z, domain):
        size = np.bincount(domain[train])[domain[train]]
        model = LogisticRegression(solver="newton-cholesky", tol=1e-10)
        model.fit(z[train], domain[train], sample_weight=len(train) / (2 * size))
        predicted[test] = model.predict(z[test])
    table = confusion_matrix(domain, predicted)
    error = (table[0, 1] / 60 + table[1, 0] / 35) / 2
    assert distances.proxy_a_distance(z_s, z_t) == pytest.approx(2 * (1 - 2 * error), abs=1e-12)
    assert 0.2 < 2 * (1 - 2 * error) < 1.8


def test_the_a_distance_runs_from_0_to_2_whatever_the_unit_and_the_sizes() -> None:
    rng = np.random.default_rng(0)
    z_s, z_t = rng.normal(size=(400, 4)), rng.normal(size=(60, 4))
    assert abs(distances.proxy_a_distance(z_s, z_t)) < 0.3
    assert distances.proxy_a_distance(z_s, z_t + 20) == 2.0
    assert distances.proxy_a_distance(1e5 * z_s, 1e5 * z_t) == distances.proxy_a_distance(z_s, z_t)
    assert distances.proxy_a_distance(np.ones((5, 2)), np.ones((5, 2))) <= 0
    assert math.isnan(distances.proxy_a_distance(z_s, z_t[:1]))


def test_the_mmd_is_that_of_loops_with_the_median_bandwidth() -> None:
    rng = np.random.default_rng(1)
    s, t = rng.normal(size=(9, 3)), rng.normal(size=(7, 3)) + 0.4
    pool = np.vstack([s, t])
    squared = [((pool[i] - pool[j]) ** 2).sum() for i in range(16) for j in range(i)]
    median = sorted(squared)[(len(squared) - 1) // 2]  # torch's median is the lower of the two middle ones

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return math.exp(-((a - b) ** 2).sum() / (2 * median))

    same = [
        sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1)) for a, n in ((s, 9), (t, 7))
    ]
    cross = sum(k(a, b) for a in s for b in t) / 63
    assert distances.median_mmd2(s, t) == pytest.approx(sum(same) - 2 * cross, abs=1e-10)


def test_label_shift_is_half_the_difference_of_proportions_of_the_shared_classes() -> None:
    shift, _ = distances.label_shift({"a": 30, "b": 10, "only": 99}, {"a": 5, "b": 15})
    assert shift == pytest.approx((abs(0.75 - 0.25) + abs(0.25 - 0.75)) / 2)
    assert math.isnan(distances.label_shift({"a": 1}, {"b": 1})[0])


def test_the_chance_value_is_what_samples_of_one_distribution_show() -> None:
    rng = np.random.default_rng(0)
    p, n, m = np.array([0.4, 0.3, 0.2, 0.1]), 200, 120
    draws = [np.abs(rng.multinomial(n, p) / n - rng.multinomial(m, p) / m).sum() / 2 for _ in range(4000)]
    _, chance = distances.label_shift(dict(enumerate(n * p)), dict(enumerate(m * p)))  # type: ignore[arg-type]
    assert chance == pytest.approx(np.mean(draws), rel=0.03)


def test_probes_are_scored_on_rows_they_have_not_seen() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    rng = np.random.default_rng(2)
    y = np.repeat(np.arange(3), 20)
    z = np.eye(3)[y] + 0.6 * rng.normal(size=(60, 3))
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    reference = cross_val_score(LogisticRegression(tol=1e-8, max_iter=5000), z, y, cv=folds).mean()
    assert distances.cross_validated_probe(z, y) == pytest.approx(reference, abs=1e-9)
    noise, random = rng.normal(size=(60, 40)), rng.permutation(y)
    assert distances.probe(noise, random, noise, random) > 0.9 > 0.6 > distances.cross_validated_probe(noise, random)
    assert math.isnan(distances.cross_validated_probe(z[:4], np.array([0, 0, 1, 1])))


# --- rules, one at a time --------------------------------------------------------------------------------------------

PLAIN = TaskFacts(
    sources=("s",), target="t", setting="closed-set", shared=("a", "b"), source_extra=(), target_extra=(),
    rows=(400, 400), rows_per_class=200.0, target_smallest=150, target_median=200.0, target_measured=400,
    shift=0.05, shift_chance=0.03, a_distance=1.5, a_within=0.1, mmd2=0.02, mmd2_within=0.001,
    source_only=0.80, source_held_out=0.9, ceiling=0.88,
)  # fmt: skip
# rule: (what fires it, what is just not enough, rows that join, rows that go)
LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any], set[str], set[str]]] = {
    "small distance": ({"a_distance": 0.5}, {"a_distance": 0.51}, set(), {"mcc", "dann", "ot_map_sinkhorn"}),
    "small distance by gain": ({"ceiling": 0.82}, {"ceiling": 0.83}, set(), {"mcc", "dann"}),
    "labels pay": ({"ceiling": 0.905}, {"ceiling": 0.895}, {"few_labels"}, set()),
    "label shift": (
        {"shift": 0.2}, {"shift": 0.19}, {"jumbot", "mcc", "label_shift"}, {"dann", "dann_mcc", "ot_map_sinkhorn"},
    ),
    "label shift beyond chance": (
        {"shift": 0.3, "shift_chance": 0.15}, {"shift": 0.3, "shift_chance": 0.16}, {"jumbot"}, {"dann"},
    ),
    "small distance with something to gain": (
        {"a_distance": 0.5, "ceiling": 0.89}, {"a_distance": 0.5, "ceiling": 0.91}, set(), {"mcc", "ot_map_class"},
    ),
    "alike": ({"a_distance": 0.5, "ceiling": 0.95}, {"a_distance": 0.51, "ceiling": 0.95}, {"mcc"}, {"dann"}),
    "centred": ({"a_distance": -0.31}, {"a_distance": -0.3}, {"mcc", "dann"}, set()),
    "few rows": ({"rows_per_class": 19.0}, {"rows_per_class": 20.0}, {"jda", "easy_tl", "meda"}, {"dann", "dann_mcc"}),
    "few labels": ({"target_median": 9.0}, {"target_median": 10.0}, {"few_labels"}, set()),
    "test noise": ({"target_measured": 99}, {"target_measured": 100}, set(), set()),
    "labels differ": (
        {"a_distance": 0.5, "ceiling": 0.95}, {"a_distance": 0.5, "ceiling": 0.85}, {"few_labels"}, set(),
    ),
    "partial": ({"setting": "partial", "source_extra": ("c",)}, {}, {"pada", "mcc"}, {"dann", "dann_mcc"}),
    "open-set": ({"setting": "open-set", "target_extra": ("c",)}, {}, {"osbp"}, {"dann", "mcc", "target_labels"}),
    "several sources": ({"sources": ("r", "s")}, {}, {"mdan", "m3sda"}, set()),
    "unlabelled": (
        {"setting": "unlabelled", "target_smallest": 0, **dict.fromkeys(("source_only", "ceiling", "shift"), math.nan)},
        {}, {"mcc"}, {"target_labels"},
    ),
}  # fmt: skip


def advise(gpu: bool = False, **facts: Any) -> rules.Advice:
    material = Material("features:x.npz", None, "features", ("a", "b"), {})
    return rules.decide(Facts(material, (), (replace(PLAIN, **facts),)), {"demo": {"mcc": 5.0}}, gpu)


@pytest.mark.parametrize("name", LIMITS)
def test_a_rule_fires_at_its_threshold_and_not_before(name: str) -> None:
    fires, spares, joined, gone = LIMITS[name]
    rule = re.sub(r" (by|beyond|with) .*", "", name)
    fired, spared = advise(**fires), advise(**spares)
    assert rule in [f.rule for f in fired.findings]
    assert rule not in [f.rule for f in spared.findings]
    labels = {r.label for r in fired.rows}
    assert joined <= labels
    assert not gone & labels
    assert gone <= {r.label for r in spared.rows}


def test_the_source_only_probe_of_a_partial_target_knows_all_source_classes(dalib: Dalib, tmp_path: Path) -> None:
    """Target rows that look like a class the target lacks count as wrong."""
    file = write_domains(tmp_path / "x.npz", {"s": EVEN, "t": (30, 30, 0)})
    arrays = dict(np.load(file))
    arrays["t_x"][:15] = arrays["s_x"][60:75]
    np.savez(file, **arrays)
    found = json.loads(dalib("advise", file, "--source", "s", "--target", "t", "--format", "json").out)
    assert found["tasks"][0]["source_only"] == pytest.approx(45 / 60)
    assert found["setting"] == "partial"


def test_every_finding_and_row_gives_one_line_of_reason() -> None:
    for fires, _, _, _ in LIMITS.values():
        advice = advise(**fires)
        for text in (*(f.reason for f in advice.findings), *(f.text for f in advice.findings)):
            assert text and "\n" not in text and "nan" not in text.split()
        assert all(r.reason and "\n" not in r.reason for r in advice.rows)


def test_fine_tuning_is_for_many_images_and_a_gpu() -> None:
    images = Material("image_folder", Path("x"), "images", ("a", "b"), {}, backbone=("resnet50", "imagenet"))

    def fired(gpu: bool, **changes: Any) -> list[str]:
        return [f.rule for f in rules.decide(Facts(images, (), (replace(PLAIN, **changes),)), {}, gpu).findings]

    assert "fine-tune" in fired(True)
    assert "frozen" in fired(True, rows_per_class=99.0)
    assert "frozen" in fired(False)
    few = rules.decide(Facts(images, (), (replace(PLAIN, rows_per_class=9.0),)), {})
    assert {"easy_tl", "ot_map_class"} <= {r.label for r in few.rows}


def test_rows_stand_in_the_order_of_the_tables() -> None:
    material = Material("features:x.npz", None, "features", ("a", "b"), {})
    gains = {"one": {"dann": 1.0, "mcc": 2.0}, "two": {"dann": 18.0, "mcc": 20.0}, "three": {"dann": 9.0, "mcc": 2.0}}
    labels = [r.label for r in rules.decide(Facts(material, (), (PLAIN,)), gains).rows]
    assert labels[:4] == ["source_only", "linear_probe", "dann", "mcc"]


def test_the_recipe_is_left_to_the_defaults_as_in_the_suites_whose_gains_are_quoted(
    dalib: Dalib, tmp_path: Path
) -> None:
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    suites = [folder / "office31_subset.toml", folder / "demo.toml", tmp_path / "advised.toml"]
    write_domains(tmp_path / "rows.npz", {"a": (20, 20), "b": (20, 20)}, {"b": 1.0})
    dalib("advise", tmp_path / "rows.npz", "--out", suites[-1])
    assert not any(load_suite(file).train.model_fields_set for file in suites)


@pytest.mark.parametrize(
    "name",
    [
        "MCC",
        "JUMBOT",
        "OT_CLASS",
        "OT_SINKHORN",
        "DANN",
        "DANN_MCC",
        "MEDA",
        "JDA",
        "EASY_TL",
        "PADA",
        "OSBP",
        "MDAN",
        "M3SDA",
    ],
)
def test_every_row_is_an_algorithm_with_settings_it_has(name: str) -> None:
    advised = getattr(rules, name)
    row = Row.model_validate(advised.settings)
    algorithm = row.algorithm or advised.label
    ALGORITHMS.get(algorithm).create(algorithm, row.hparams).check()


def test_only_suites_of_the_same_setting_speak_for_a_task() -> None:
    gains = {name: {"mcc": 1.0} for name in ("office31_subset", "partial", "open_set", "multi_source")}
    assert set(evidence.suit(gains, "closed-set", several=False)) == {"office31_subset"}
    assert set(evidence.suit(gains, "unlabelled", several=True)) == {"office31_subset", "multi_source"}
    assert set(evidence.suit(gains, "partial", several=False)) == {"partial"}
    assert set(evidence.suit(gains, "open-set", several=True)) == {"open_set"}
    assert evidence.suit(gains, "open-partial", several=False) == {}
    material = Material("features:x.npz", None, "features", ("a", "b"), {})
    assert set(rules.decide(Facts(material, (), (PLAIN,)), gains).gains) == {"office31_subset"}


def test_gains_are_means_over_tasks_against_the_baseline_of_the_table(tmp_path: Path) -> None:
    head = "suite,kind,label,algorithm,protocol,task,metric,select,mean\n"
    lines = [
        f"x,run,{label},a,{protocol},{task},target_accuracy,last,{mean}\n"
        for label, protocol, means in (
            ("source_only", "uda", (50, 60)), ("mcc", "uda", (55, 67)), ("half", "uda", (99, "")),
            ("target_labels", "supervised", (90, 90)),
        )
        for task, mean in zip(("a->b", "b->a"), means, strict=True)
    ]  # fmt: skip
    (tmp_path / "x.csv").write_text(head + "".join(lines))
    (tmp_path / "x_finetune.csv").write_text(head + "".join(lines))
    gains = evidence.read_tables(tmp_path)
    assert gains == {"x": {"mcc": 6.0}}
    assert evidence.describe("mcc", gains) == "+6.0 x"
    assert evidence.describe("dann", gains) == "not in the committed tables"


def test_the_package_holds_what_the_committed_tables_say(tmp_path: Path) -> None:
    """Else: make tables, or python -m dalib.advice.evidence results/tables."""
    tables = Path(__file__).resolve().parents[2] / "results" / "tables"
    evidence.write_evidence(tables, tmp_path / "evidence.csv")
    assert evidence.EVIDENCE.read_text() == (tmp_path / "evidence.csv").read_text()
    assert evidence.load_gains() == evidence.read_tables(tables)
    with pytest.raises(DalibError, match="no tables"):
        evidence.write_evidence(tmp_path / "empty")


# --- from data to a suite that runs ----------------------------------------------------------------------------------

EVEN = (30, 30, 30)
# name: (rows per class of each domain, shift of domain t, options, rule, setting, tasks, rows of the suite)
WORLDS: dict[str, tuple[Counts, float, str, str, str, set[str]]] = {
    "alike": ({"s": EVEN, "t": EVEN}, 0.0, "", "small distance", "closed-set", {"source_only", "linear_probe"}),
    "apart": ({"s": EVEN, "t": EVEN}, 3.0, "", "large distance", "closed-set", {"mcc", "dann", "ot_map_sinkhorn"}),
    "few": ({"s": (9, 9, 9), "t": (8, 8, 8)}, 3.0, "", "few rows", "closed-set", {"mcc", "easy_tl", "jda"}),
    "label shift": (
        {"s": (60, 30, 15), "t": (15, 30, 60)}, 3.0, "", "label shift", "closed-set", {"mcc", "label_shift", "jumbot"},
    ),
    "partial": ({"s": EVEN, "t": (30, 30, 0)}, 3.0, "--source s --target t", "partial", "partial", {"pada"}),
    "open-set": ({"s": (30, 30, 0), "t": EVEN}, 3.0, "--source s --target t", "open-set", "open-set", {"osbp"}),
    "both": ({"s": (30, 30, 0), "t": (0, 30, 30)}, 3.0, "--target t", "open-set", "open-partial", {"osbp"}),
    "several": (
        {"r": EVEN, "s": EVEN, "t": EVEN}, 3.0, "--target t", "several sources", "closed-set", {"mdan", "m3sda"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORLDS)
def test_the_suite_of_a_world_is_the_advised_one_and_runs_as_it_is(name: str, dalib: Dalib, tmp_path: Path) -> None:
    counts, shift, options, rule, setting, rows = WORLDS[name]
    # A shift that hides the classes leaves something to gain: t lies along the axis of class 0 too.
    file = write_domains(tmp_path / "x.npz", counts, {"t": shift})
    if shift:
        arrays = dict(np.load(file))
        arrays["t_x"][:, 0] += 1.4
        arrays["t_x"][:, 1] -= 1.4
        np.savez(file, **arrays)
    answer = dalib("advise", file, *options.split(), "--out", tmp_path / "suite.toml", "--format", "json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert found["setting"] == setting
    assert rule in [f["rule"] for f in found["findings"]]
    assert rows <= {r["label"] for r in found["rows"]}
    text = (tmp_path / "suite.toml").read_text()
    assert ('metric = "target_h_score"' in text) == ("open" in setting)
    assert 'dataset = "features:x.npz"' in text
    planned = dalib("run", tmp_path / "suite.toml", "--dry-run", "--store", tmp_path / "runs")
    assert planned.status == 0, planned.err
    assert f"{len(found['rows'])} rows" in planned.out


def test_a_written_suite_really_runs(dalib: Dalib, tmp_path: Path) -> None:
    counts = {"s": (12, 12, 0), "t": (12, 12, 12)}
    file = write_domains(tmp_path / "x.npz", counts, {"t": 2.0})
    suite = tmp_path / "open.toml"
    assert dalib("advise", file, "--source", "s", "--target", "t", "--out", suite).status == 0
    places = ("--store", tmp_path / "runs", "--tables", tmp_path / "tables")
    answer = dalib("run", suite, *places, "--only", "linear_probe")
    assert answer.status == 0, answer.err
    table = (tmp_path / "tables" / "open.csv").read_text()
    assert "target_h_score" in table


def test_facts_are_printed_in_sections_with_the_commands_to_type(dalib: Dalib, tmp_path: Path) -> None:
    file = write_domains(tmp_path / "x.npz", {"s": EVEN, "t": (30, 30, 10)}, {"t": 3.0})
    answer = dalib("advise", file, "--source", "s", "--target", "t")
    assert answer.status == 0
    assert not answer.err
    sections = ["Domains", "Classes", "Distance", "Accuracy", "Advice", "Try first", "Next"]
    assert [line.split("  ")[0] for line in answer.out.splitlines() if line.split("  ")[0] in sections] == sections
    assert re.search(r"^t +70 +3 +10 to 30, median 30 +3\.0$", answer.out, re.M)
    assert re.search(r"^s->t +closed-set +3 +0 +0 +0\.19 +0\.\d\d$", answer.out, re.M)
    assert re.search(r"^s->t +2\.00 +0\.\d\d ", answer.out, re.M), "told apart on every row"
    assert f"dalib advise {file} --source s --target t --out suite.toml" in answer.out
    assert max(map(len, answer.out.replace(str(file), "x.npz").splitlines())) <= 120


def test_tasks_without_names_are_all_others_to_each(dalib: Dalib, tmp_path: Path) -> None:
    file = write_domains(tmp_path / "x.npz", {"r": EVEN, "s": EVEN, "t": EVEN})

    def tasks(*options: str) -> list[str]:
        return [t["name"] for t in json.loads(dalib("advise", file, "--format", "json", *options).out)["tasks"]]

    assert tasks() == ["s+t->r", "r+t->s", "r+s->t"]
    assert tasks("--source", "r") == ["r->s", "r->t"]
    assert tasks("--source", "s+r", "--target", "t") == ["r+s->t"]


def test_tasks_of_other_classes_are_left_to_a_suite_of_their_own(dalib: Dalib, tmp_path: Path) -> None:
    file = write_domains(tmp_path / "x.npz", {"s": EVEN, "t": (30, 30, 0)}, {"t": 3.0})
    answer = dalib("advise", file, "--out", tmp_path / "x.toml")
    assert 'tasks = ["s->t"]' in (tmp_path / "x.toml").read_text()
    assert "not in the suite, for their classes differ: t->s" in answer.out


def test_domains_that_are_standardised_one_by_one_are_still_told_apart(dalib: Dalib, tmp_path: Path) -> None:
    """zscore takes the difference of means away, and held-out rows then look like the other domain."""
    file = write_domains(tmp_path / "x.npz", {"s": EVEN, "t": EVEN}, {"t": 3.0})
    arrays = dict(np.load(file))

    def facts(*options: str) -> dict[str, Any]:
        return json.loads(dalib("advise", file, "--target", "t", "--format", "json", *options).out)

    as_stored, normalised = facts()["tasks"][0], facts("--normalise", "zscore")["tasks"][0]
    assert normalised["a_distance"] == as_stored["a_distance"] == 2.0
    assert normalised["mmd2"] == as_stored["mmd2"]
    for d in "st":
        arrays[f"{d}_x"] = (arrays[f"{d}_x"] - arrays[f"{d}_x"].mean(0)) / arrays[f"{d}_x"].std(0)
    np.savez(file, **arrays)
    found = facts()
    assert found["tasks"][0]["a_distance"] < thresholds.CENTRED
    assert "alike" not in [f["rule"] for f in found["findings"]]


def test_features_without_labels_are_measured_and_no_suite_is_written(dalib: Dalib, tmp_path: Path) -> None:
    file = write_domains(tmp_path / "x.npz", {"s": EVEN, "t": EVEN}, {"t": 3.0})
    np.savez(file, **{k: v for k, v in np.load(file).items() if k != "t_y"})
    answer = dalib("advise", file)
    assert answer.status == 0
    assert re.search(r"^s->t +unlabelled", answer.out, re.M)
    assert re.search(r"^s->t +2\.00 ", answer.out, re.M)
    commands = answer.out.partition("type\n")[2].replace("\\\n", " ").splitlines()
    data = f"features:{file} --source s --target t"
    assert " ".join(commands[0].split()) == f"dalib train --dataset {data} --algorithm mcc --out model"
    assert commands[1] == f"dalib predict model.safetensors {file} --domain t"
    model = tmp_path / "model"
    trained = dalib(*commands[0].split()[1:-1], model, "--steps", "20")
    assert trained.status == 0 and re.search(r"accuracy on target +unknown +n = \d+, without labels", trained.out)
    assert dalib("predict", f"{model}.safetensors", *commands[1].split()[3:]).status == 0
    refused = dalib("advise", file, "--out", tmp_path / "x.toml")
    assert (refused.status, len(refused.err)) == (2, 1)
    assert not (tmp_path / "x.toml").exists()


# --- images ----------------------------------------------------------------------------------------------------------

TINY = ("--backbone", "tiny", "--format", "json")


def test_the_size_told_is_that_of_pictures_as_they_are_shown(dalib: Dalib, tmp_path: Path) -> None:
    root, turn = write_images(tmp_path / "photos"), Image.Exif()
    turn[274] = 6
    for path in root.rglob("bright/*/*.jpg"):
        Image.open(path).resize((60, 40)).save(path, exif=turn)
    found = json.loads(dalib("advise", root, *TINY).out)
    assert [d["side"] for d in found["domains"]] == [[40, 60], [40, 40]]


def test_images_are_measured_through_a_frozen_backbone(dalib: Dalib, tmp_path: Path) -> None:
    root = write_images(tmp_path / "photos")
    (root / "bright" / "stray.jpg").write_bytes((root / "bright" / "cross" / "00.jpg").read_bytes())
    answer = dalib("advise", root, *TINY, "--out", tmp_path / "suite.toml")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert [d["side"] for d in found["domains"]] == [[40, 40], [40, 40]]
    assert found["backbone"] == ["tiny", "pretrained"]
    remark, read = found["remarks"]
    assert remark == "1 images of 'bright' lie outside class folders: unlabelled, and not measured"
    assert read.startswith("read as domain/class/image: domains 2, class folders")
    assert found["tasks"][0]["a_distance"] > 1.5
    text = (tmp_path / "suite.toml").read_text()
    assert 'root = "photos"' in text
    planned = dalib("run", tmp_path / "suite.toml", "--dry-run", "--store", tmp_path / "runs")
    assert planned.status == 0, planned.err


@pytest.mark.parametrize("folder", ["dim", "dim/unsorted"])
def test_a_domain_without_class_folders_is_an_unlabelled_target(folder: str, dalib: Dalib, tmp_path: Path) -> None:
    root = write_images(tmp_path / "photos")
    (root / folder).mkdir(parents=True)
    for i in range(8):
        draw_shape("circle", "dark", 500 + i).save(root / folder / f"{i}.jpg")
    answer = dalib("advise", root, *TINY)
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert [t["name"] for t in found["tasks"]] == ["bright+dark->dim"]
    assert found["setting"] == "unlabelled"
    assert found["domains"][2]["rows"] == 8
    assert "unlabelled" in found["remarks"][0]
    refused = dalib("advise", root, *TINY, "--out", tmp_path / "x.toml")
    assert (refused.status, len(refused.err)) == (2, 1)
    assert "class folders" in refused.err[0]
    printed = dalib("advise", root, "--backbone", "tiny").out
    (root / "dim" / "unsorted").mkdir(exist_ok=True)
    for file in (root / "dim").glob("*.jpg"):
        file.rename(root / "dim" / "unsorted" / file.name)
    command = re.search(r"^dalib (train .*--out model)$", printed, re.M | re.S)
    assert command
    words = command[1].replace("\\\n", " ").replace("--out model", f"--out {tmp_path}/model --steps 5").split()
    assert dalib(*words).status == 0
    predicted = dalib("predict", tmp_path / "model.safetensors", root / "dim")
    assert len(predicted.out.splitlines()) == 9
    assert "unsorted," not in predicted.out.replace("unsorted/", "")
    suite = ("--source", "bright", "--target", "dark", "--out", tmp_path / "y.toml")
    assert dalib("advise", root, *TINY, *suite).status == 0
    planned = dalib("run", tmp_path / "y.toml", "--dry-run", "--store", tmp_path / "runs")
    assert planned.status == 0, planned.err


def test_classes_spelt_in_two_ways_are_pointed_out(dalib: Dalib, tmp_path: Path) -> None:
    root = write_images(tmp_path / "photos")
    (root / "dark" / "cross").rename(root / "dark" / "Cross")
    found = json.loads(dalib("advise", root, *TINY).out)
    assert "classes 'Cross' and 'cross' differ in case or blanks only: name their folders alike" in found["remarks"]
    assert found["setting"] == "open-partial"


def test_without_weights_tiny_stands_in_and_says_so(
    dalib: Dalib, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise DalibError(f"cannot download the ImageNet weights of {name}")

    monkeypatch.setattr("dalib.backbones.resnet.create_model", refuse)
    root = write_images(tmp_path / "photos")
    answer = dalib("advise", root, "--format", "json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert found["backbone"] == ["tiny", "pretrained"]
    assert "`tiny`" in found["remarks"][-1] and "--weights PATH" in found["remarks"][-1]
    asked = dalib("advise", root, "--backbone", "resnet50")
    assert (asked.status, len(asked.err)) == (2, 1)


# name: (arguments, the bad value, what the remedy mentions)
MISTAKES: dict[str, tuple[str, str, str]] = {
    "no path": ("", "missing argument", "--help"),
    "nothing there": ("{w}/nowhere", "{w}/nowhere", "domain/class"),
    "a data set misspelt": ("mini_ofice", "mini_ofice", "'mini_office'"),
    "a feature file that is not there": ("{w}/gone.npz", "gone.npz", "looked in"),
    "a feature file of text": ("{w}/text.npz", "text.npz", "expected"),
    "features with nan": ("{w}/nan.npz", "left_x", "remove"),
    "a folder without images": ("{w}/empty", "{w}/empty", "domain/class"),
    "a corrupt zip": ("{w}/corrupt.zip", "corrupt.zip", "fetch it again"),
    "a corrupt image": ("{w}/damaged --backbone tiny", "dark/cross/03.jpg", "dalib data verify"),
    "one domain": ("{w}/partial --backbone tiny", "one domain", "needs two"),
    "a domain misspelt": ("{w}/good.npz --target rihgt", "rihgt", "'right'"),
    "a source misspelt": ("{w}/good.npz --source lfet", "lfet", "'left'"),
    "source is target": ("{w}/good.npz --source left --target left", "left", "choose two"),
    "a backbone for features": ("{w}/good.npz --backbone tiny", "good.npz", "leave out --backbone"),
    "a backbone misspelt": ("{w}/images --backbone resnet8", "resnet8", "'resnet18'"),
    "identity for images": ("{w}/images --backbone identity", "identity", "use|give"),
    "weights misspelt": ("{w}/images --backbone tiny --weights pretraind", "pretraind", "'pretrained'"),
    "images to normalise": ("{w}/images --normalise zscore", "zscore", "feature data only"),
    "normalisation misspelt": ("{w}/good.npz --normalise zscor", "zscor", "zscore"),
    "a format misspelt": ("{w}/good.npz --format jsn", "jsn", "'json'"),
    "too few rows": ("{w}/good.npz --rows 1", "rows = 1", "larger"),
    "a suite that is no toml": ("{w}/good.npz --out {w}/x.txt", "x.txt", r"\.toml"),
    "out below a file": ("{w}/good.npz --out {w}/good.npz/x.toml", "good.npz", "choose another"),
    "a device misspelt": ("{w}/good.npz --device gpu", "gpu", "auto, cpu"),
    "unlabelled source": ("{w}/unlabelled.npz --source right", "right", "needs labels"),
    "no class in common": ("{w}/strangers.npz", "no class in common", "same folder names|same classes"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, dalib: Dalib, world: Path, tmp_path: Path) -> None:
    arguments, value, remedy = MISTAKES[name]
    if "strangers" in arguments:
        write_domains(tmp_path / "strangers.npz", {"s": (5, 5, 0, 0), "t": (0, 0, 5, 5)})
        arguments = f"{tmp_path}/strangers.npz"
    answer = dalib("advise", *arguments.format(w=world).split())
    assert (answer.status, len(answer.err)) == (2, 1), "\n".join(answer.err)
    assert answer.err[0].startswith("dalib: ")
    assert value.format(w=world) in answer.err[0]
    assert re.search(remedy, answer.err[0]), answer.err[0]
    assert not answer.out


class _Powers(nn.Module):
    def __init__(self, powers: list[float]) -> None:
        super().__init__()
        self.powers = powers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean((2, 3)) ** p for p in self.powers], 1)


def test_what_a_plug_in_computes_now_is_measured_not_what_it_did_before(tmp_path: Path) -> None:
    """A network of a user's that was changed, without weights that would tell."""
    root, told = write_images(tmp_path / "photos"), []
    try:
        for power in (1.0, 3.0):
            made = Backbone("mine", _Powers([power]), 3, preprocess=Preprocess(8, 8))
            BACKBONES.add("mine", lambda name, weights, made=made: made)
            told.append(dalib.advise(root, backbone="mine", weights="none", device="cpu").facts.material)
    finally:
        BACKBONES.remove("mine")
    before, after = (next(iter(material.parts.values())).z for material in told)
    np.testing.assert_allclose(after, before**3, rtol=1e-4, atol=1e-6)


def test_evidence_is_of_frozen_networks_and_of_every_data_set_once() -> None:
    """A suite that trains the backbone, or measures methods of another one again, would be quoted beside the others."""
    benchmarks = Path(__file__).resolve().parents[2] / "benchmarks"
    seen = []
    for name in evidence.load_gains():
        suite = load_suite(benchmarks / f"{name}.toml")
        assert suite.backbone.frozen or suite.dataset.startswith("features:") or suite.backbone.name == "identity", name
        setting = evidence.OTHER_SETTINGS.get(name), name in evidence.SEVERAL
        seen.append((suite.dataset, suite.backbone.name, setting))
    assert len(set(seen)) == len(seen), seen
