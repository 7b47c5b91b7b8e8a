"""Time series, token ids, modalities and images in arrays: what `dalib rank`, `data verify`, `advise` do with them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dalib.advice import distances
from dalib.backbones import load_backbone
from dalib.core.registry import DATASETS, MEASURES
from dalib.core.rows import combine, row_shape
from dalib.core.types import Domain, Outputs
from dalib.feed.embed import embed_images

Dalib = Callable[..., Any]
ARRAYS = ", ".join(n for n in DATASETS.names() if DATASETS.get(n).kind == "arrays")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """series, texts, both, plain (.npz) of two domains a and b with two classes, and digits: images in arrays."""
    root, rng = tmp_path_factory.mktemp("rows"), np.random.default_rng(0)
    y = np.arange(60) % 2
    wave = (rng.normal(size=(120, 2, 16)) + np.tile(y, 2)[:, None, None]).astype(np.float32)
    words = rng.integers(1, 6, (120, 7)) + 5 * np.tile(y, 2)[:, None]
    table = (wave[:, 0, :4] * [1, 2, 3, 4]).astype(np.float32)
    labels = {"a_y": y, "b_y": y}
    np.savez(root / "series.npz", a_x=wave[:60], b_x=wave[60:] + 0.5, **labels)
    np.savez(root / "texts.npz", a_x=words[:60], b_x=words[60:], **labels)
    np.savez(root / "plain.npz", a_x=table[:60], b_x=table[60:] + 1, **labels)
    both = {
        f"{d}_x_{k}": v[s] for d, s in (("a", slice(60)), ("b", slice(60, 120))) for k, v in (("w", wave), ("t", table))
    }
    np.savez(root / "both.npz", **both, **labels)
    digit = np.arange(100) % 10
    images = [(20 * digit[:, None, None] + rng.integers(0, 40, (100, side, side))).astype(np.uint8) for side in (10, 8)]
    parts = {"usps_train_x": images[1][:50], "usps_train_y": digit[:50], "usps_test_x": images[1][50:]}
    np.savez(root / "digits.npz", mnist_x=images[0], mnist_y=digit, **parts, usps_test_y=digit[50:])
    torch.manual_seed(0)
    trained = load_backbone("cnn1d", "none", rows=row_shape(wave), seed=5)
    torch.save(trained.module.state_dict(), root / "trained.pth")
    return root


def read(text: str) -> dict[tuple[str, str, str], float]:
    lines = csv.DictReader(io.StringIO(text))
    return {(r["table"], r["row"], r["column"]): float(r["value"] or "nan") for r in lines}


def test_networks_that_fit_are_ranked_on_their_own_features(dalib: Dalib, rows: Path) -> None:
    """The scores are those of the network's features of the same rows, computed here."""
    backbones = f"cnn1d,cnn1d:{rows}/trained.pth"
    answer = dalib(
        "rank", "--dataset", f"features:{rows}/series.npz", "--target", "b", "--backbones", backbones,
        "--measures", "log_me,k_nn", "--format", "csv",
    )  # fmt: skip
    assert (answer.status, answer.err) == (0, [])
    found, file = read(answer.out), np.load(rows / "series.npz")
    network = load_backbone("cnn1d", f"{rows}/trained.pth", rows=row_shape(file["a_x"]))
    with torch.no_grad():
        z = network.module.eval()(torch.from_numpy(file["b_x"]))
    for name in ("log_me", "k_nn"):
        score = MEASURES.get(name)().score(Outputs(z, torch.zeros(60, 0), torch.from_numpy(file["b_y"])))
        assert found["score", "cnn1d:trained.pth", name] == pytest.approx(score, abs=1e-3)
    assert found["score", "cnn1d:none", "log_me"] != found["score", "cnn1d:trained.pth", "log_me"]


@pytest.mark.parametrize(
    ("file", "models"), [("series", ["cnn1d:none"]), ("both", ["modalities:none"]), ("texts", ["identity"])]
)
def test_without_names_what_fits_the_rows_is_scored(dalib: Dalib, rows: Path, file: str, models: list[str]) -> None:
    answer = dalib("rank", "--dataset", f"features:{rows}/{file}.npz", "--target", "a", "--measures", "k_nn")
    assert answer.status == 0, answer.err
    assert all(model in answer.out for model in models)
    assert ("bag_of_words,text_transformer" in answer.out) == (file == "texts")


@pytest.mark.parametrize(
    ("file", "backbones", "line"),
    [
        ("series", "identity", "holds rows (2, 16), which need a backbone that is built to fit, not identity: cnn1d"),
        ("series", "tiny", "not tiny: cnn1d, or an .npz of features"),
        ("both", "identity", "holds several modalities"),
        ("both", "cnn1d", "backbone 'cnn1d' takes time series (n, channels, time); these rows are w (2, 16), t (4,)"),
        ("plain", "tiny", "backbone 'tiny' takes images: use identity"),
        ("plain", "{}/series.npz", "series.npz: a_x does not hold features (n, d)"),
    ],
)
def test_a_network_of_other_rows_is_refused_in_one_line(
    dalib: Dalib, rows: Path, file: str, backbones: str, line: str
) -> None:
    given = ("--dataset", f"features:{rows}/{file}.npz", "--target", "a", "--backbones", backbones.format(rows))
    answer = dalib("rank", *given)
    assert answer.status == 2 and len(answer.err) == 1 and line in answer.err[0], answer.err


def test_images_in_arrays_are_ranked_as_images_and_need_a_network_of_images(dalib: Dalib, rows: Path) -> None:
    given = ("--dataset", "digits", "--data-root", rows / "digits.npz", "--partial", "--target", "usps")
    answer = dalib("rank", *given, "--measures", "k_nn", "--backbones", "lenet:none")
    assert answer.status == 0 and "lenet:none" in answer.out, answer.err
    refused = dalib("rank", *given, "--backbones", "cnn1d")
    assert refused.status == 2 and "digits holds images; backbone 'cnn1d' takes other rows" in refused.err[0]


def verify(dalib: Dalib, path: Path, *more: object) -> tuple[int, set[tuple[str, str]], str]:
    """(status, {(kind, where)}, all that was printed) of `dalib data verify`."""
    answer = dalib("data", "verify", path, *more)
    assert not answer.err, answer.err
    lines = [[part.strip() for part in line.split("  ") if part.strip()] for line in answer.out.splitlines()]
    found = lines[1 : lines.index([])] if [] in lines else []
    return answer.status, {(line[0], line[1]) for line in found}, answer.out


@pytest.mark.parametrize("file", ["series", "texts", "plain", "both"])
def test_sound_rows_have_no_findings(dalib: Dalib, rows: Path, file: str) -> None:
    assert verify(dalib, rows / f"{file}.npz")[::2] == (0, f"{rows}/{file}.npz: nothing found\n")


def test_every_fault_of_rows_is_named_with_its_row(dalib: Dalib, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good = {f"{d}_x": rng.normal(size=(40, 2, 9)) for d in "ab"} | {f"{d}_y": np.arange(40) % 2 for d in "ab"}

    def found(**changed: Any) -> tuple[int, set[tuple[str, str]], str]:
        np.savez(tmp_path / "rows.npz", **{k: v for k, v in {**good, **changed}.items() if v is not None})
        return verify(dalib, tmp_path / "rows.npz")

    assert found()[0] == 0
    x, y = good["a_x"].copy(), good["a_y"].copy()
    x[3, 1, 2], x[4, 0, 0], x[5] = np.nan, np.inf, 7.0
    x[8], x[11], x[13] = x[6], x[6], good["b_x"][1]
    status, kinds, text = found(a_x=x)
    assert status == 1
    assert kinds == {
        ("not finite", "a_x"), ("blank", "a_x"), ("duplicate", "a_x row 8"),
        ("duplicate across classes", "a_x row 11"), ("duplicate across domains", "b_x row 1"),
    }  # fmt: skip
    assert "2 of 40: rows 3, 4" in text and "same values as a_x row 6 (labels 1, 0)" in text
    y[:] = 0
    y[:2] = 1
    kinds, text = found(a_y=y)[1:]
    assert kinds == {("rare class", "a/1"), ("unbalanced", "a")} and "'0' has 38 rows, '1' 2" in text
    kinds, text = found(a_y=y * 0)[1:]
    assert kinds == {("incomplete", "/")} and "a has no rows of 1 of 2 classes (1)" in text
    assert found(a_y=good["a_y"] - 1)[1] == {("label", "a_y")}
    assert found(a_y=good["a_y"] + 0.5)[1] == found(a_y=y[:9])[1] == {("label", "a_y")}
    assert found(a_y=None)[0] == found(a_y=y * 0 - 1)[0] == 0, "a target without labels is no fault"
    assert found(a_y=None, b_y=None)[1] == {("label", "rows.npz")}
    words = {f"{d}_y": np.array(["cat", "dog"])[good[f"{d}_y"]] for d in "ab"}
    assert found(**words)[0] == found(a_y=good["a_y"] > 0, b_y=good["b_y"] > 0)[0] == 0
    kinds, text = found(**words, classes=np.array(["cat", "cow"]))[1:]
    assert kinds == {("label", "a_y"), ("label", "b_y")} and "20 labels that are none of the classes: dog" in text
    text = found(a_y=y + 4, classes=np.array(["one", "two"]))[2]
    assert "40 labels above 1, the last of the classes: 5, 5, 4, 4, 4, …" in text
    assert found(a_x=x[:, :, :5])[1] >= {("malformed", "b_x")}
    assert found(a_x=x.astype(str))[1] == found(a_x=x[:, 0, 0])[1] == {("malformed", "a_x")}
    assert found(a_x=None)[1] == {("malformed", "a_y")}


def test_images_in_arrays_are_held_against_their_declaration(dalib: Dalib, rows: Path, tmp_path: Path) -> None:
    status, kinds, text = verify(dalib, rows / "digits.npz", "--dataset", "digits")
    assert (status, kinds) == (1, {("incomplete", "/")})
    assert "mnist 100 of 10000 images" in text and "usps 100 of 9298 images" in text
    arrays = dict(np.load(rows / "digits.npz"))
    twin, white = arrays["usps_train_x"][0], np.full((8, 8), 255, np.uint8)
    arrays["usps_test_x"] = np.concatenate([arrays["usps_test_x"], [twin, white]])
    arrays["usps_test_y"] = np.append(arrays["usps_test_y"], [3, 12])
    arrays["mnist_x"] = arrays["mnist_x"].astype(np.float32)
    np.savez(tmp_path / "digits.npz", **arrays)
    status, kinds, text = verify(dalib, tmp_path, "--dataset", "digits")
    assert kinds == {
        ("malformed", "mnist_x"), ("label", "usps_test_y"), ("blank", "usps_test_x"),
        ("duplicate across classes", "usps_test_x row 50"),
    }  # fmt: skip
    assert "float32 (100, 10, 10); expected uint8 (n, H, W) or (n, H, W, 3)" in text and "12 in row 51" in text


def test_what_verify_cannot_do_is_one_line(dalib: Dalib, rows: Path) -> None:
    for given, line in (
        ((rows / "plain.npz", "--backbone", "tiny"), "holds arrays: leave it out"),
        ((rows / "none.npz",), "no feature file"),
        ((rows / "plain.npz", "--dataset", "digits"), "has no key <domain>_x (mnist, usps; first keys: a_x"),
    ):
        answer = dalib("data", "verify", *given)
        assert answer.status == 2 and len(answer.err) == 1 and line in answer.err[0], answer.err


def advise(dalib: Dalib, *given: object) -> dict[str, Any]:
    answer = dalib("advise", *given, "--format", "json")
    assert (answer.status, answer.err) == (0, []), answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found


@pytest.mark.parametrize(("file", "backbone"), [("series", "cnn1d"), ("both", "modalities")])
def test_advice_on_other_rows_measures_the_features_of_a_network_that_fits(
    dalib: Dalib, rows: Path, file: str, backbone: str
) -> None:
    found = advise(dalib, rows / f"{file}.npz", "--source", "a", "--target", "b")
    assert found["backbone"] == [backbone, "none"] and "random weights" in found["remarks"][0]
    assert [d["rows"] for d in found["domains"]] == [60, 60]
    arrays = np.load(rows / f"{file}.npz")
    x = [arrays[f"{d}_x"] if file == "series" else combine({k: arrays[f"{d}_x_{k}"] for k in "wt"}) for d in "ab"]
    network = load_backbone(backbone, "none", rows=row_shape(*x), seed=0)
    z = [embed_images(network, Domain("", part, None, (), ""), torch.device("cpu")) for part in x]
    (task,) = found["tasks"]
    assert task["source_only"] == pytest.approx(distances.probe(z[0], arrays["a_y"], z[1], arrays["b_y"]), abs=0.02)
    assert task["a_distance"] == pytest.approx(distances.proxy_a_distance(*z), abs=0.05)
    assert task["source_held_out"] > 0.65


def test_trained_weights_make_other_features_and_no_remark(dalib: Dalib, rows: Path) -> None:
    random = advise(dalib, rows / "series.npz")
    trained = advise(dalib, rows / "series.npz", "--backbone", "cnn1d", "--weights", rows / "trained.pth")
    assert not trained["remarks"] and trained["backbone"] == ["cnn1d", f"{rows}/trained.pth"]
    assert trained["tasks"][0]["a_distance"] != random["tasks"][0]["a_distance"]


def test_whole_numbers_are_numbers_unless_a_network_of_token_ids_is_named(dalib: Dalib, rows: Path) -> None:
    plain = advise(dalib, rows / "texts.npz")
    assert plain["backbone"][0] == "identity" and "give --backbone bag_of_words" in plain["remarks"][0]
    words = advise(dalib, rows / "texts.npz", "--backbone", "bag_of_words")
    assert words["backbone"] == ["bag_of_words", "none"] and words["tasks"][0]["source_only"] > 0.9


def test_a_suite_advised_for_time_series_runs_as_it_is(
    dalib: Dalib, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "s.toml"
    assert dalib("advise", rows / "series.npz", "--source", "a", "--target", "b", "--out", out).status == 0
    text = out.read_text()
    assert 'name = "cnn1d"' in text and "frozen = true" in text
    out.write_text(text.replace("steps = 500", "steps = 5").replace("[0, 1, 2]", "[0]").replace("# trained", "trained"))
    done = dalib("run", out, "--store", tmp_path / "runs", "--device", "cpu")
    assert done.status == 0 and "trained" in done.out, done.err


def test_advice_on_images_in_arrays_is_advice_on_images(dalib: Dalib, rows: Path) -> None:
    found = advise(dalib, "digits", "--data-root", rows / "digits.npz", "--backbone", "tiny")
    assert found["backbone"] == ["tiny", "pretrained"]
    assert [(d["name"], d["rows"], d["side"]) for d in found["domains"]] == [
        ("mnist", 100, [10, 10]),
        ("usps", 100, [8, 8]),
    ]
    assert len(found["tasks"]) == 2 and found["tasks"][0]["setting"] == "closed-set"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            ("{}/digits.npz",),
            f"holds images in arrays (10, 10); give the name of their data set ({ARRAYS}) in its place",
        ),
        (("{}/series.npz", "--backbone", "resnet18"), "backbone 'resnet18' does not take rows (2, 16); use cnn1d"),
        (("{}/series.npz", "--backbone", "mlp"), "backbone 'mlp' takes rows of numbers (n, d); these rows are (2, 16)"),
        (("{}/series.npz", "--normalise", "l2"), "normalise = ['l2'] is for features (n, d), not for rows (2, 16)"),
        (("{}/plain.npz", "--backbone", "mlp"), "holds features; leave out --backbone and --weights"),
        (("image_folder",), "no data at image_folder; give a folder"),
    ],
)
def test_rows_that_cannot_be_advised_on_are_one_line(
    dalib: Dalib, rows: Path, given: tuple[str, ...], line: str
) -> None:
    answer = dalib("advise", *(part.format(rows) for part in given))
    assert answer.status == 2 and len(answer.err) == 1 and line in answer.err[0], answer.err
