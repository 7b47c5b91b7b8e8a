"""`dalib rank`: the table, its agreement, feature files as candidates, and mistakes in one line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import weightedtau

from dalib.core.registry import MEASURES
from tests.support.worlds import write_features

Dalib = Callable[..., Any]
ALL = MEASURES.names()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """good.npz and three further representations of its rows: noisy, noise with logits, and one of other rows."""
    root = tmp_path_factory.mktemp("rank")
    good = dict(np.load(write_features(root / "good.npz")))
    rng = np.random.default_rng(1)
    noise = {k: rng.normal(size=v.shape) for k, v in good.items() if k.endswith("_x")}
    np.savez(root / "noisy.npz", **{k: v + 4 * noise[k] if k in noise else v for k, v in good.items()})
    logits = {"left_logits": 5 * np.eye(4)[good["left_y"]]}
    np.savez(root / "noise.npz", **{k: noise.get(k, v) for k, v in good.items()}, **logits)
    np.savez(root / "renamed.npz", **{k: 10 - v if k.endswith("_y") else v for k, v in good.items()})
    np.savez(root / "short.npz", **{k: v[:20] for k, v in good.items()})
    np.savez(root / "mixed.npz", **{k: v[::-1] % 2 if k.endswith("_y") else v for k, v in good.items()})
    np.savez(root / "flat.npz", left_logits=np.zeros(30), **good)
    np.savez(root / "elsewhere.npz", centre_x=good["left_x"], centre_y=good["left_y"])
    return root


def read(text: str) -> dict[tuple[str, str, str], float]:
    lines = csv.DictReader(io.StringIO(text))
    return {(r["table"], r["row"], r["column"]): float(r["value"] or "nan") for r in lines}


def rank(dalib: Dalib, files: Path, backbones: str, *more: str) -> Any:
    names = ",".join(str(files / part) if part.endswith(".npz") else part for part in backbones.split(","))
    return dalib("rank", "--dataset", f"features:{files}/good.npz", "--target", "left", "--backbones", names, *more)


def test_clear_features_lead_every_measure_that_applies(dalib: Dalib, files: Path) -> None:
    answer = rank(dalib, files, "noise.npz,identity,noisy.npz", "--format", "csv")
    assert (answer.status, answer.err) == (0, [])
    found = read(answer.out)
    for name in set(ALL) - {"leep", "nce"}:
        assert found["rank", "identity", name] == 1, name
    assert found["mean_rank", "identity", ""] == 1
    assert found["score", "noise.npz", "leep"] > -0.1
    assert np.isnan(found["score", "identity", "leep"])


def test_ranks_mean_ranks_and_agreements_are_those_of_the_scores(dalib: Dalib, files: Path) -> None:
    found = read(rank(dalib, files, "noise.npz,identity,noisy.npz,renamed.npz", "--format", "csv").out)
    models = [row for table, row, _ in found if table == "mean_rank"]
    used = [name for name in ALL if name not in ("leep", "nce")]
    scores = np.array([[found["score", m, name] for name in used] for m in models])
    ranks = np.array([[1 + (s > own).sum() + ((s == own).sum() - 1) / 2 for own in s] for s in scores.T]).T
    for i, model in enumerate(models):
        assert found["mean_rank", model, ""] == pytest.approx(ranks[i].mean())
        assert [found["rank", model, name] for name in used] == pytest.approx(list(ranks[i]))
    for i, a in enumerate(used):
        for j, b in enumerate(used):
            tau = weightedtau(scores[:, i], scores[:, j]).statistic
            assert found["agreement", a, b] == pytest.approx(tau)
    assert np.isnan(found["agreement", "leep", "nce"])
    for name in used:
        assert found["score", "renamed.npz", name] == pytest.approx(found["score", "identity", name])


@pytest.mark.parametrize("format", ["terminal", "md"])
def test_the_table_says_what_it_left_out(format: str, dalib: Dalib, files: Path) -> None:
    out = rank(dalib, files, "identity,noise.npz", "--format", format).out
    assert "30 labelled rows" in out
    assert "n/a for some models: leep, nce" in out
    assert "With 2 models it says little" in out
    names = [line.split()[1] for line in out.splitlines() if len(line.split()) > 1 and line[0] in "│|"]
    assert names.index("identity") < names.index("noise.npz")


def test_measures_and_rows_can_be_chosen(dalib: Dalib, files: Path, tmp_path: Path) -> None:
    answer = rank(
        dalib, files, "identity", "--measures", "k_nn,log_me", "--fraction", "0.5", "--out", tmp_path / "t.md"
    )
    text = (tmp_path / "t.md").read_text()
    assert answer.out.strip() == str(tmp_path / "t.md")
    assert "Agreement" not in text
    assert "15 labelled rows" in text and "log_me" in text and "gbc" not in text


def test_images_are_embedded_by_every_backbone(dalib: Dalib, world: Path) -> None:
    args = ("--dataset", "image_folder", "--data-root", world / "images", "--target", "dark", "--format", "csv")
    answer = dalib("rank", *args)
    found = read(answer.out)
    assert answer.status == 0, answer.err
    assert [row for table, row, _ in found if table == "mean_rank"] == ["tiny", "tiny:none"]
    assert dalib("rank", *args).out == answer.out
    assert found["score", "tiny", "log_me"] != found["score", "tiny:none", "log_me"]


def test_a_plug_in_measure_joins(dalib: Dalib, files: Path, tmp_path: Path) -> None:
    dalib("new", "measure", "joining_measure", "--folder", tmp_path)
    plugin = ("--plugin", tmp_path / "joining_measure.py", "--measures", "joining_measure", "--format", "csv")
    answer = rank(dalib, files, "identity,noise.npz", *plugin)
    assert answer.status == 0, answer.err
    assert read(answer.out)["rank", "identity", "joining_measure"] == 1


MISTAKES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "measure misspelt": ("identity", ("--measures", "logme"), "'log_me'"),
    "format misspelt": ("identity", ("--format", "markdown"), "terminal"),
    "fraction of nothing": ("identity", ("--fraction", "0"), "fraction = 0.0"),
    "crop of nothing": ("identity", ("--crop", "0"), "--crop 0"),
    "seed negative": ("identity", ("--seed", "-1"), "0 or more"),
    "backbone misspelt": ("identty", (), "'identity'"),
    "the same twice": ("identity,identity", (), "identity twice"),
    "a network for features": ("tiny", (), "use identity, or an .npz"),
    "no such file": ("gone.npz", (), "gone.npz"),
    "features of fewer rows": ("short.npz", (), "20 rows"),
    "features of other labels": ("mixed.npz", (), "same rows in the same order"),
    "features of another domain": ("elsewhere.npz", (), "no left_x; its domains: centre"),
    "logits of the wrong shape": ("flat.npz", (), "left_logits has shape (30,)"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_the_remedy(case: str, dalib: Dalib, files: Path) -> None:
    backbones, more, words = MISTAKES[case]
    answer = rank(dalib, files, backbones, *more)
    assert answer.status == 2
    assert len(answer.err) == 1 and words in answer.err[0], answer.err


def test_a_domain_without_labels_is_told_as_that(dalib: Dalib, tmp_path: Path) -> None:
    x, y = np.ones((6, 2), np.float32), np.arange(6) % 2
    np.savez(tmp_path / "f.npz", left_x=x, left_y=y, right_x=x)
    wrong = dalib("rank", "--dataset", f"features:{tmp_path}/f.npz", "--target", "right")
    assert wrong.status == 2 and "'right' of features:" in wrong.err[0] and "has no labels" in wrong.err[0]


def test_a_missing_domain_and_images_without_a_network_are_one_line(dalib: Dalib, files: Path, world: Path) -> None:
    wrong = dalib("rank", "--dataset", f"features:{files}/good.npz", "--target", "lefft")
    assert wrong.status == 2 and "'left'" in wrong.err[0]
    images = ("--dataset", "image_folder", "--data-root", world / "images", "--target", "dark")
    wrong = dalib("rank", *images, "--backbones", "identity")
    assert (
        wrong.status == 2
        and len(wrong.err) == 1
        and "holds images; backbone 'identity' takes features: use tiny" in wrong.err[0]
    )
