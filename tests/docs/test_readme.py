"""The README: its Python runs, its commands exist, its suite is one, its figures are those of the tables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer

import dalib
from dalib.bench.suite import load_suite
from dalib.cli._app import app
from dalib.cli._sections import take_settings
from dalib.core.registry import ALGORITHMS
from dalib.records.sections import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("office31_subset", "demo")
FULL = ("office31_subset", "office_caltech10")
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    every = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [body for kind, body in every if kind == language]


def test_the_run_in_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Its steps are fewer here."""
    first, *_ = blocks("python")
    assert "steps=300" in first
    names: dict[str, Any] = {}
    exec(compile(first.replace("steps=300", "steps=2"), "README.md", "exec"), names)
    assert re.match(r"target accuracy \d+\.\d%", capsys.readouterr().out)


def test_the_loop_of_ones_own_runs() -> None:
    loop = blocks("python")[1]
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    body = torch.nn.Linear(8, 256)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.head = body, torch.nn.Linear(256, 31)

    def rows(n: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=(n, 8)).astype(np.float32))

    before = body.weight.detach().clone()
    batches = [(rows(6), torch.from_numpy(rng.integers(0, 31, 6)), rows(5)) for _ in range(3)]
    names: dict[str, Any] = {"net": Net(), "batches": batches, "steps": 3}
    exec(compile(loop, "README.md", "exec"), names)
    assert not torch.equal(body.weight, before) and set(names["terms"]) == {"classification", "adversarial"}


def test_the_estimator_line_runs() -> None:
    line = re.search(r"`(dalib\.AdaptationClassifier\(.*\))`", TEXT)
    assert line
    X = np.random.default_rng(0).normal(size=(40, 4))
    names: dict[str, Any] = {"dalib": dalib, "X_s": X, "y_s": (X[:, 0] > 0).astype(int), "X_t": X + 0.1}
    answers = eval(line[1], names)
    assert (answers == names["y_s"]).mean() > 0.8


def test_the_suite_is_one(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(blocks("toml")[0], encoding="utf-8")
    assert len(load_suite(tmp_path / "suite.toml").algorithms) >= 3


def commands() -> list[list[str]]:
    lines = [line.partition("   #")[0] for block in blocks("") for line in block.splitlines()]
    parts = [part.split("#")[0] for line in lines for part in line.split("&&")]
    inline = re.findall(r"(?<!`)`(dalib [^`]+)`", TEXT)
    words = [shlex.split(part.replace("…", "")) for part in (*parts, *inline)]
    return [w[1:] for w in words if w[:1] == ["dalib"] and len(w) > 1]


def test_every_command_and_setting_exists() -> None:
    group = typer.main.get_command(app)
    listed = commands()
    assert len(listed) > 12
    for words in listed:
        command = group.commands[words[0]]  # type: ignore[attr-defined]
        command = getattr(command, "commands", {}).get(words[1] if len(words) > 1 else "", command)
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        rest, given, hints = take_settings(words, getattr(command, "sections", ()), getattr(command, "former", {}))
        assert not hints and {w for w in rest if w.startswith("--")} <= known, words
        for section, own in given.items():
            assert section == "algorithm" or set(own) <= set(SECTIONS[section].model_fields), words


def spell(n: int) -> str:
    """A number from 80 to 119 in words: eighty, ninety-five, a hundred and two."""
    ones = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    ones += tuple(f"{stem}teen" for stem in ("thir", "four", "fif", "six", "seven", "eigh", "nine"))
    if n >= 100:
        return f"a hundred and {ones[n - 100]}".removesuffix(" and ")
    return f"{'eighty' if n < 90 else 'ninety'}-{ones[n % 10]}".rstrip("-")


def test_what_it_counts_is_counted() -> None:
    assert dalib.__version__ and spell(len(ALGORITHMS.files())) in TEXT
    suites = [load_suite(ROOT / f"benchmarks/{name}.toml") for name in FULL]
    assert {len(suite.algorithms) for suite in suites} == {63} and "sixty-three rows" in " ".join(TEXT.split())


def test_every_file_that_it_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if not link.startswith("http")]
    assert len(links) > 8 and not [link for link in links if not (ROOT / link).exists()]


def test_every_figure_of_its_table_is_in_the_tables() -> None:
    """An average of the row is printed as the table prints it."""
    tables = [(ROOT / f"results/tables/{n}.md").read_text() for n in TABLES]
    rows = [line.split("|")[2:4] for line in TEXT.splitlines() if re.match(r"\| .* \| .*±", line)]
    assert len(rows) >= 9
    for cells in rows:
        for cell, table in zip(cells, tables, strict=True):
            assert cell.replace("*", "").strip() in table.replace("*", ""), cell
