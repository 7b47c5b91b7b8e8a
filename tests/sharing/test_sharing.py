"""Models and records go to a repository and come back the same; the card says what the file says, as text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dalib
from dalib.cli import main
from dalib.core.errors import DalibError
from dalib.sharing.card import SEEN
from dalib.train.model_file import model_path
from tests.support.hub_server import HubServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, chance, y = tmp_path_factory.mktemp("toy"), np.random.default_rng(0), np.arange(40) % 2
    x = {f"{d}_x": (2 * y[:, None] + chance.normal(size=(40, 4))).astype(np.float32) for d in "ab"}
    np.savez(folder / "toy<b>.npz", **x, a_y=y, b_y=y)
    run = dalib.fit(f"features:{folder}/toy<b>.npz", "a", "b", "mcc", train={"steps": 4}, seed=3, out=folder / "m")
    assert run.path is not None
    return run.path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    pytest.importorskip("huggingface_hub", reason="optional dependency (pip install 'dalib-toolkit[hub]')")
    server = HubServer()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.hf_api.get_token", lambda: server.token, raising=False)
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: server.token)
    yield server
    server.shutdown()
    server.server_close()


def is_private(told: dict[str, object]) -> bool:
    """Older and newer clients have their own words."""
    return told.get("private") is True or told.get("visibility") == "private"


def test_a_card_says_data_numbers_selection_and_what_the_backbone_saw(model: Path) -> None:
    card, values = dalib.model_card(model), dalib.load_model(model).extra["values"]
    front, body = card.split("---\n")[1:]
    assert 'library_name: "dalib"' in front and '"mcc"' in front
    for rows, value in values.items():
        assert f"| {rows} | {value:.2%} |" in body
    assert "seed 3" in body and "nothing was selected" in body and "task a-&gt;b" not in body and "task a->b" in body
    assert "toy&lt;b>.npz" in body and "<b>" not in body and SEEN["none"] in body and "not stated" in body


def test_a_data_set_of_the_registry_is_told_with_its_licence(tmp_path: Path) -> None:
    from dalib.core.registry import DATASETS
    from dalib.sharing.card import _data

    info = DATASETS.get("office31")
    lines = "\n".join(_data("office31", {"task": "amazon->webcam", "protocol": {"name": "uda"}}))
    assert info.source in lines and f"licence: {info.licence or 'not stated by its makers'}" in lines


def test_a_folder_holds_what_a_repository_would_and_keeps_a_card_that_was_edited(model: Path, tmp_path: Path) -> None:
    there = tmp_path / "repo"
    assert dalib.push(model, there) == str(there / model.name)
    (there / "README.md").write_text("mine")
    dalib.push(model, there)
    assert (there / "README.md").read_text() == "mine"
    (copy,) = dalib.pull(there, tmp_path / "here")
    assert copy.read_bytes() == model.read_bytes() and not (tmp_path / "here" / "README.md").exists()


def test_a_folder_of_its_own_stays_and_what_comes_is_whole_or_not_there(model: Path, tmp_path: Path) -> None:
    own = tmp_path / model.name
    own.write_bytes(model.read_bytes())
    assert dalib.push(own, tmp_path) == str(own) and dalib.pull(tmp_path, tmp_path) == [own]
    assert own.read_bytes() == model.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {model.name, "README.md"}


def test_a_url_is_no_folder(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: dalib.push(model, "s3://bucket/models"),
        lambda: dalib.pull(model.parent, "s3://bucket/models"),
        lambda: dalib.pull("s3://bucket/models", tmp_path / "here"),
        lambda: dalib.export_model(model, "s3://bucket/model.pt2", to="torch"),
        lambda: model_path("s3://bucket/model"),
    ):
        with pytest.raises(DalibError, match=r"s3:/.*bucket.* is a URL, which only records go to"):
            call()
    assert not list(tmp_path.iterdir())


def test_a_model_goes_to_the_service_and_comes_back(
    hub: HubServer, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(model), "--to", "hf:me/net"]) == 0
    files = hub.repos["model", "me/net"]
    assert files == {"m.safetensors": model.read_bytes(), "README.md": dalib.model_card(model).encode()}
    assert is_private(hub.created[0]) and "/me/net/commit/" in capsys.readouterr().out
    files["README.md"] = b"mine"
    dalib.push(model, "hf:me/net")
    assert files["README.md"] == b"mine"
    assert main(["pull", "hf:me/net", "--out", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here" / "m.safetensors").read_bytes() == model.read_bytes()
    assert dalib.predict(tmp_path / "here" / "m.safetensors", np.zeros((2, 4), np.float32)).rows


def test_records_go_to_a_data_set_and_make_the_same_table(hub: HubServer, tmp_path: Path) -> None:
    records = ROOT / "results/records/demo.jsonl"
    dalib.push(records, "hf:me/results", private=False)
    assert set(hub.repos["dataset", "me/results"]) == {"demo.jsonl", "README.md"} and not is_private(hub.created[0])
    (copy,) = dalib.pull("hf:me/results", tmp_path)
    assert copy == tmp_path / "demo.jsonl" and copy.read_bytes() == records.read_bytes()


def test_what_the_service_refuses_is_one_line(hub: HubServer, model: Path, tmp_path: Path) -> None:
    with pytest.raises(DalibError, match=r"hf:me/none: .*(404|not found|Not Found)"):
        dalib.pull("hf:me/none", tmp_path)
    hub.token = "another"
    hub.repos["model", "me/empty"] = {"notes.txt": b"x"}
    with pytest.raises(DalibError, match=r"hf:me/empty holds no model"):
        dalib.pull("hf:me/empty", tmp_path)


@pytest.mark.parametrize(
    ("what", "to", "line"),
    [
        ("notes.txt", "there", "is neither a model"),
        ("none.safetensors", "there", "no file none.safetensors"),
        ("none.jsonl", "there", "no file none.jsonl"),
    ],
)
def test_mistakes_are_one_line(what: str, to: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DalibError, match=line):
        dalib.push(what, to)
    assert not list(tmp_path.iterdir())


def test_a_repository_has_an_owner_and_the_package_is_asked_for(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(DalibError, match=r"hf:net names no repository; write it as hf:OWNER/NAME"):
        dalib.push(model, "hf:net")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DalibError, match="holds no model"):
        dalib.pull(tmp_path / "empty")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DalibError, match=r"needs the package huggingface_hub: pip install 'dalib-toolkit\[hub\]'"):
        dalib.push(model, "hf:me/net")
