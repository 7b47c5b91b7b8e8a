"""Names that hold escape sequences, formulas or links: `say` and `hand_out` are the only ways to a terminal."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dalib as package
from dalib.core.text import Styled, disarm, hand_out, say, to_json
from dalib.report.figures import name_in_legend, names_as_they_are

NAME = "\x1b[31m=x](y)\u202e\x9b"
SUITE = f"""
title = {json.dumps(NAME)}
dataset = "features:named.npz"
tasks = ["a->b"]
[train]
steps = 2
[algorithms.{json.dumps(NAME)}]
algorithm = "source_only"
[algorithms."$x^{{$"]
algorithm = "dann"
"""


def test_nothing_else_prints() -> None:
    root = Path(package.__file__).parent
    allowed = {"core/text.py", "bench/progress.py"}
    found = set()
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name in ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo", "typer.secho", "click.echo"):
                found.add(path.relative_to(root).as_posix())
    assert found <= allowed


def test_parts_are_spelt_unless_they_are_styles_of_our_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say(Styled("\x1b[1mbold\x1b[0m"), NAME, 3)
    assert capsys.readouterr().out == "\x1b[1mbold\x1b[0m\\x1b[31m=x](y)\\u202e\\x9b3\n"
    hand_out(NAME)
    assert capsys.readouterr().out == NAME, "data go into a file as they are"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    hand_out(NAME)
    assert capsys.readouterr().out == "\\x1b[31m=x](y)\\u202e\\x9b"


def test_json_that_is_looked_at_reads_back_and_holds_no_control_characters() -> None:
    told = {NAME: ["é→", "\x7f\udce9\n", 1.5]}
    assert json.loads(to_json(told)) == told
    assert to_json({"a": "é\x9b\udce9\u202e"}) == '{\n  "a": "é\\u009b\\udce9\\u202e"\n}'


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("\n=1", "'\n'=1"), ("a;=1+1", "a;'=1+1"), ("a\r\n@x", "a\r'\n'@x"), ("＝1", "'＝1"), ("=", "'="), ("-", "'-"),
        ("-1+1", "'-1+1"), ("-1", "-1"), ("1e-5", "1e-5"), ("a-b=c", "a-b=c"), ("a; -1", "a; -1"), (None, None),
        (2.5, 2.5),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe(cell: object, safe: object) -> None:
    assert disarm(cell) == safe


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, classes and a suite with such names."""
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    arrays: dict[str, Any] = {f"{d}_x": chance.normal(size=(24, 4)).astype(np.float32) for d in "ab"}
    arrays |= {f"{d}_y": np.arange(24) % 2 for d in "ab"} | {f"{d}_names": np.array([NAME] * 24) for d in "ab"}
    np.savez("named.npz", **arrays, classes=np.array([NAME, "other\nline"]))
    Path("named.toml").write_text(SUITE, encoding="utf-8")


def test_no_command_lets_a_name_through_to_a_terminal(
    named: None, dalib: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    train = ("train", "--dataset", "features:named.npz", "--source", "a", "--target", "b", "--algorithm", "dann")
    for words in (
        ("run", "named.toml", "--store", "runs", "--tables", "t", "--formats", "md,csv,latex,html"),
        ("run", "named.toml", "--store", "runs", "--dry-run"), ("table", "named.toml", "--store", "runs"),
        *(("table", "named.toml", "--store", "runs", "--format", f) for f in ("md", "csv", "latex", "html")),
        ("table", "named.toml", "--store", "runs", "--per-class", NAME, "--task", "a->b"),
        ("table", "named.toml", "--store", "runs", "--summary", "--plot", "plot.svg"),
        (*train, "--train.steps", "2", "--out", "m"), ("predict", "m.safetensors", "named.npz", "--domain", "b"),
        ("evaluate", "m.safetensors", "named.npz", "--domain", "b", "--classes"),
        ("evaluate", "m.safetensors", "named.npz", "--domain", "b", "--format", "json"),
        ("data", "info", "features:named.npz"), ("data", "verify", "named.npz"),
        ("advise", "named.npz"), ("advise", "named.npz", "--format", "json"), ("show", NAME), ("run", NAME),
        ("advise", "named.npz", "--source", "a", "--target", "b", "--out", "advised.toml"),
        ("predict", "m.safetensors", NAME), ("export", "named.toml", "--store", "runs", "--out", f"{NAME}.jsonl"),
    ):  # fmt: skip
        answer = dalib(*words)
        said = answer.out + "\n".join(answer.err)
        assert not any(mark in said for mark in ("\x1b[31m", "\u202e", "\x9b")), words
    for page in ("t/named.md", "t/named.tex", "t/named.html"):
        assert not any(mark in Path(page).read_text(encoding="utf-8") for mark in ("\x1b", "\u202e", "\x9b"))
    assert "'=x" not in Path("t/named.csv").read_text(encoding="utf-8"), "it does not begin the cell"


def test_a_line_break_in_a_name_begins_no_setting_of_a_written_suite() -> None:
    from dalib.advice.suite import _comment

    assert _comment("class 'x\nroot = \"/\"\r' \x1b") == "# class 'x\\nroot = \"/\"\\r' \\x1b"


def test_a_figure_reads_no_formula_out_of_a_name_and_leaves_none_out(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    with names_as_they_are():
        figure = Figure()
        axes = figure.add_subplot()
        for name in ("$x^{$", "_hidden"):
            axes.plot([0, 1], label=name_in_legend(name))
        legend = axes.legend()
    figure.savefig(tmp_path / "x.svg")
    assert [text.get_text().strip() for text in legend.get_texts()] == ["$x^{$", "_hidden"]
