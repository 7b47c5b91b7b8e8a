"""The page of a suite: its numbers, its size, and names that want to be more than text."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from dalib.bench.describe import describe_run
from dalib.cli._sections import take_settings
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, OBJECTIVES
from dalib.records.archive import Archive
from dalib.records.record import Candidate, Failure
from dalib.records.spec import BackboneSpec, DataSpec, RunSpec
from dalib.records.store import Store
from dalib.report.page.command import FILLED, train_command
from dalib.report.page.content import DRAW, build_content
from dalib.report.page.packing import digits, pack_record
from dalib.report.page.server import open_server
from dalib.report.page.write import ASSETS, render_page, to_script, write_page
from dalib.report.table import build_table
from dalib.train.config import TrainConfig
from dalib.train.recipes import RECIPES
from tests.support.report_shelf import FAILED, MISSING, Shelf
from tests.support.waiting import HANG

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "</script><script>alert(1)</script>|\\input{x}&\u202e\x1b[31m"


def embedded(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    told: dict[str, object] = json.loads(found[1])
    return told


@pytest.mark.parametrize("rule", ["last", "oracle", "source_accuracy"])
def test_the_points_that_the_page_holds_are_those_of_the_table(rule: str) -> None:
    archive = Archive(ROOT / "results/records/demo.jsonl")
    content = build_content(archive, "demo")
    table, at = build_table(archive, "demo", rule), [m["name"] for m in content["metrics"]].index("target_accuracy")
    rows = {row.label: row for row in (*table.rows, *table.references)}
    picks = content["picks"]["oracle target_accuracy" if rule == "oracle" else rule]
    for (row, task, seed, records), pick in zip(content["runs"], picks, strict=True):
        wanted = rows[content["rows"][row]["label"]].cells[content["tasks"][task]["name"]].values[seed]
        ours = content["records"][records[pick // DRAW]]["candidates"][pick % DRAW][1][at]
        assert ours == pytest.approx(wanted, abs=1e-6)


def test_what_failed_or_is_missing_is_said(shelf: Shelf) -> None:
    shelf.put("broken", "amazon->webcam", [FAILED, 0.5]).put("broken", "webcam->amazon", [MISSING, 0.5])
    content = build_content(shelf, "toy")
    broken = [r[:3] for r in content["runs"]].index([4, 0, 0])
    gone = [r[:3] for r in content["runs"]].index([4, 1, 0])
    assert (content["picks"]["last"][broken], content["picks"]["last"][gone]) == (-2, -1)
    assert content["runs"][gone][3] == [-1]
    told = [r["error"]["message"] for r in content["records"] if r["status"] == "failed"]
    assert told == ["loss term 'mmd' became nan at step 7"]


def test_names_stay_text_and_the_page_asks_nobody(tmp_path: Path, shelf: Shelf) -> None:
    shelf.put(HOSTILE, "amazon->webcam", [0.5, 0.6]).put(HOSTILE, "webcam->amazon", [0.5, FAILED])
    shelf.toy.title = HOSTILE
    failed = next(r for r in shelf.records.values() if r.error)
    failed.error = Failure(type=HOSTILE, message=HOSTILE, traceback=HOSTILE)
    path = write_page("toy", tmp_path / "out", records=shelf)
    page = path.read_text(encoding="utf-8")
    assert page.count("<script") == 2 and page.count("</script>") == 2
    assert "\u202e" not in page and "\x1b" not in page
    told = embedded(page)
    assert told["title"] == HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")
    assert "default-src 'none'" in page and "unsafe" not in page
    assert re.findall(r"https?://[\w./]+", page) == ["http://www.w3.org/2000/svg"], "the name of SVG, not an address"
    assert not re.search(r"(src|href)=\"(?!#)", page)
    script = "\n".join((ASSETS / name).read_text() for name in ("charts.js", "sections.js", "runs.js", "page.js"))
    assert "innerHTML" not in script and "outerHTML" not in script and "insertAdjacent" not in script


def test_two_thousand_runs_stay_below_five_megabytes(shelf: Shelf) -> None:
    record = next(iter(Archive(ROOT / "results/records/office_caltech10.jsonl.gz").records()))
    metrics, scores = list(record.candidates[0].metrics), list(record.candidates[0].scores)
    rng, five = np.random.default_rng(0), []
    for step in range(5):
        values = {m: float(rng.random()) for m in metrics}
        five.append(Candidate(step=step, metrics=values, scores={s: float(rng.normal()) for s in scores}))
    classes = [f"class {i}" for i in range(31)]
    per_class = {c: dict.fromkeys(("target_recall", "target_precision"), 0.123456) | {"n": 30.0} for c in classes}
    curve = {k: rng.random(50).tolist() for k in ("step", "classification", "adversarial")}
    big = record.model_copy(update={"candidates": five, "per_class": per_class, "curve": curve})
    one = len(to_script(pack_record(big, metrics, scores, classes, max(8, 100_000 // (2000 * 3)))))
    assert 2000 * one < 4.8e6, f"{one} bytes a run"


@pytest.mark.parametrize(
    "spec",
    [
        RunSpec(data=DataSpec(dataset="mini_office"), source="amazon", target="web cam", algorithm="dann",
                hparams={"weight": 0.5, "hidden": 16}, seed=3,
                backbone=BackboneSpec(name="tiny", weights="pretrained", frozen=True)),
        RunSpec(data=DataSpec(dataset="features:a $x.npz", normalise=("l2", "zscore")), source="a+b", target="--c",
                algorithm="dann+mcc", hparams={"dann.weight": 2.0, "mcc.temperature": 3.0}),
        RunSpec(data=DataSpec(dataset="mini_office"), source="amazon", target="webcam", algorithm="adda",
                train=TrainConfig(optimiser="sgd", lr=0.03), backbone=BackboneSpec(name="tiny", weights="pretrained")),
        RunSpec(data=DataSpec(dataset="mini_office"), source="amazon", target="webcam", algorithm="jumbot",
                train=TrainConfig(optimiser="adamw", lr=0.03, sampler="shuffle"), backbone=BackboneSpec(name="tiny")),
    ],
)  # fmt: skip
def test_the_command_of_a_run_is_that_run_again(spec: RunSpec) -> None:
    import shlex

    full = ALGORITHMS.get(spec.algorithm).create(spec.algorithm, spec.hparams).hparams
    version = ALGORITHMS.get(spec.algorithm).version
    spec = spec.model_copy(update={"hparams": full, "algorithm_version": version})
    rest, given, _ = take_settings(shlex.split(train_command(spec))[2:], ("algorithm",))
    asked = dict(zip(rest[::2], rest[1::2], strict=True))
    again = describe_run(
        asked["--dataset"], asked["--source"], asked["--target"], asked["--algorithm"], seed=int(asked["--seed"]),
        hparams=given.pop("algorithm", {}), **given,
    )  # fmt: skip
    assert again.key == spec.key


def test_what_a_recipe_may_fill_is_spelled_out_in_a_command() -> None:
    """A suite may say what is the default of all runs, but not of this backbone and algorithm."""
    filled = {key for recipe in RECIPES.values() for key in recipe}
    filled |= {key for name in OBJECTIVES.names() for key in OBJECTIVES.get(name).recipe}
    for cls in map(ALGORITHMS.get, ALGORITHMS.names()):
        filled |= {*cls.recipe, *cls.recipe_on_features}
    assert filled <= FILLED


def test_digits_are_those_of_the_number_and_nothing_else_is_one() -> None:
    assert [digits(v, 4) for v in (0.123456, 1.0, math.nan, math.inf, None)] == [0.1235, 1, None, None, None]


def store_of(shelf: Shelf, root: Path, features: bool = False) -> Store:
    store, rng = Store(root), np.random.default_rng(0)
    store.write_manifest(shelf.toy)
    for record in shelf.records.values():
        arrays = {}
        if features:
            y = np.arange(40, dtype=np.int16) % 3
            for side in ("target", "source"):
                arrays |= {
                    f"{side}_y": y,
                    f"step_10_{side}": np.eye(3)[(y + (y == 2)) % 3],
                    f"step_10_{side}_z": rng.normal(size=(40, 4)),
                }
        store.put(record, arrays)
    return store


def test_no_torch_is_loaded_for_a_page_of_records(shelf: Shelf, tmp_path: Path) -> None:
    store_of(shelf, tmp_path / "store", features=True)
    code = (
        "import sys, dalib; dalib.write_page('toy', sys.argv[1], store=sys.argv[2]); sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "page"), str(tmp_path / "store")]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert '"maps":[{' in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_stored_outputs_give_confusions_and_maps_before_and_after(shelf: Shelf, tmp_path: Path) -> None:
    content = build_content(store_of(shelf, tmp_path, features=True), "toy")
    cell = content["confusions"]["0/0"]
    assert cell == [[0, 0, 28], [1, 1, 26], [2, 0, 26]], "two seeds of 40 rows; every third class is called the first"
    assert {(m["row"], m["task"], m["method"]) for m in content["maps"]} == {
        (r, t, m) for r in (0, 1) for t in (0, 1) for m in ("pca", "tsne")
    }
    assert all(len(m["points"]) == 80 and {p[3] for p in m["points"]} == {0, 1} for m in content["maps"])
    assert not build_content(shelf, "toy")["confusions"]


def ask(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=HANG) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_page_is_served_here_only_and_tells_of_new_records(shelf: Shelf, tmp_path: Path) -> None:
    store = store_of(shelf, tmp_path)
    missing = store.path(next(iter(shelf.records)))
    kept = missing.read_bytes()
    missing.unlink()
    server = open_server("toy", store=tmp_path, port=0)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        base = server.url
        assert base.startswith("http://127.0.0.1:")
        before = json.loads(ask(base + "data")[1])
        assert ask(base + "stamp")[1] == json.dumps({"stamp": before["stamp"]})
        missing.write_bytes(kept)
        after = json.loads(ask(base + "data")[1])
        assert after["stamp"] != before["stamp"] and len(after["records"]) == len(before["records"]) + 1
        status, page = ask(base)
        assert status == 200 and "connect-src 'self'" in page and 'data-live="yes"' in page
        assert ask(base, Host="evil.example")[0] == 403, "a name of elsewhere that points here"
        assert ask(base + "../../etc/passwd")[0] == 404
        with pytest.raises(urllib.error.HTTPError, match="501"):
            urllib.request.urlopen(urllib.request.Request(base, data=b"x"), timeout=HANG)
    finally:
        server.shutdown()
        server.server_close()


def test_another_address_asks_for_a_token(shelf: Shelf, tmp_path: Path) -> None:
    store_of(shelf, tmp_path)
    server = open_server("toy", store=tmp_path, address="0.0.0.0", port=0)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        base, token = f"http://127.0.0.1:{server.server_address[1]}/", server.token
        assert len(token) > 20 and server.url.endswith(f"?token={token}")
        assert [ask(base)[0], ask(f"{base}data?token=é".encode().decode("latin1").replace("Ã©", "x"))[0]] == [403, 403]
        assert ask(f"{base}stamp?token={token}")[0] == 200
    finally:
        server.shutdown()
        server.server_close()


def test_mistakes_are_one_line(shelf: Shelf, tmp_path: Path) -> None:
    store_of(shelf, tmp_path)
    with pytest.raises(DalibError, match="no IP address"):
        open_server("toy", store=tmp_path, address="here")
    with pytest.raises(DalibError, match="no suite with runs named 'toi'"):
        open_server("toi", store=tmp_path)
    with pytest.raises(DalibError, match="no selection rule named 'first'"):
        write_page("toy", tmp_path / "x", records=shelf, select="first")
    with pytest.raises(DalibError, match="to which nothing is added"):
        open_server(ROOT / "results/records/demo.jsonl")
    taken = open_server("toy", store=tmp_path, port=0)
    with pytest.raises(DalibError, match="choose another --port"):
        open_server("toy", store=tmp_path, port=taken.server_address[1])
    taken.server_close()


def test_a_suite_of_nothing_but_failures_has_a_page(tmp_path: Path) -> None:
    shelf = Shelf().put("source_only", "amazon->webcam", [FAILED, MISSING])
    page = render_page(build_content(shelf, "toy"))
    assert embedded(page)["picks"]["last"] == [-2, -1]  # type: ignore[index]
