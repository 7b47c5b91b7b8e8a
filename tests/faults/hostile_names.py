"""Names that somebody made to do harm, in every file that is written and on every terminal.

    python -m tests.faults.hostile_names

Rows, classes, suites and files are called so. right: nothing of it does harm; refused: one line; silent: a cell that a
spreadsheet computes, an escape sequence on the terminal, a link that runs a script.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

import dalib
from dalib.train.model_file import save_model
from tests.faults.children import dalib_line, in_a_process
from tests.faults.table import show

FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "a;=1", "＝1", "-", "=")
SEQUENCES = (
    "\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "\x1bc", "\x1b[2J\x1b[H", "a\bb", "a\rb", "\x1b]8;;http://e\x1b\\x",
    "\u202ecba", "\u2066x", "\x7f", "\x1b[200~ls", "\x00x",
)  # fmt: skip
LINKS = (
    "[x](javascript:alert(1))", "![x](javascript:alert(1))", "[x][1]", "[1]: javascript:alert(1)",
    "<javascript:alert(1)>", "<script>alert(1)</script>", "[x](data:text/html,1)", "[a](<javascript:1>)", "|a|b|",
    "`x`", "[x](  javascript:1 )",
)  # fmt: skip
BAD_LINK = re.compile(r"(?<!\\)\](\(|\[|:)|(?<!\\)<(script|javascript)")


def spreadsheets(folder: Path) -> Counter[str]:
    """Names of classes, rows and suites in the CSV of a prediction and of a table."""
    counts = Counter[str]()
    for number, name in enumerate(FORMULAS):
        write_names(folder, name)
        words = ("predict", "named.safetensors", "named.npz", "--domain", "b", "--out", "p.csv")
        outcome = in_a_process(dalib_line(*words), folder, f"csv{number}")
        outcome = outcome if outcome != "right" else in_a_process(
            dalib_line("run", "named.toml", "--store", f"s{number}", "--tables", "t", "--formats", "csv"), folder, "csv"
        )  # fmt: skip
        if outcome == "right":
            with (
                Path("p.csv").open(newline="", encoding="utf-8") as one,
                Path("t/named.csv").open(newline="", encoding="utf-8") as two,
            ):
                cells = [cell for file in (one, two) for row in csv.reader(file) for cell in row]
            outcome = "silent" if any(is_computed(cell) for cell in cells) else "right"
        counts[outcome] += 1
    return counts


def is_computed(cell: str) -> bool:
    """A spreadsheet would read it, or what follows a semicolon or a line end in it, as a formula."""
    with contextlib.suppress(ValueError):
        float(cell)
        return False
    return any(part[:1] in tuple("=+-@\t＝＋－＠") and part for part in re.split("[;\r\n]", cell))


def write_names(folder: Path, name: str) -> None:
    """A feature file, a model and a suite in which everything that has a name bears this one."""
    chance = np.random.default_rng(0)
    arrays = {f"{d}_x": chance.normal(size=(20, 4)).astype(np.float32) for d in "ab"}
    plain = name.replace("\x00", "")  # NumPy cuts it off
    arrays |= {f"{d}_names": np.array([f"{plain}{i}" for i in range(20)]) for d in "ab"}  # type: ignore[dict-item]
    classes = np.array([plain, "other"])
    np.savez(folder / "named.npz", **arrays, classes=classes, **{f"{d}_y": np.arange(20) % 2 for d in "ab"})
    data, backbone = dalib.load_data("features:named.npz"), dalib.load_backbone("identity", "none", dim=4)
    task, recipe = dalib.make_task(data, "a", "b"), dalib.TrainConfig(steps=2, batch_size=4, bottleneck=8)
    save_model(dalib.Trainer(recipe, device="cpu").fit(dalib.DANN(hidden=8), task, backbone), folder / "named")
    quoted = json.dumps(plain)
    (folder / "named.toml").write_text(
        f'title = {quoted}\ndataset = "features:named.npz"\ntasks = ["a->b"]\n[train]\nsteps = 2\n'
        f'[algorithms.{quoted}]\nalgorithm = "source_only"\n[algorithms.dann]\n'
    )


def terminals(folder: Path) -> Counter[str]:
    """The same names on a terminal: every command that prints one."""
    counts = Counter[str]()
    commands = (
        ("run", "named.toml", "--store", "runs", "--no-table"), ("table", "named.toml", "--store", "runs"),
        ("predict", "named.safetensors", "named.npz", "--domain", "b"), ("data", "info", "features:named.npz"),
        ("data", "verify", "named.npz"), ("advise", "named.npz", "--rows", "20"),
        ("evaluate", "named.safetensors", "features:named.npz", "--domain", "b", "--classes"),
        ("table", "named.toml", "--store", "runs", "--format", "csv"), ("advise", "named.npz", "--format", "json"),
    )  # fmt: skip
    for number, name in enumerate(SEQUENCES):
        write_names(folder, name)
        outcomes = []
        for words in (*commands, ("show", name), ("run", f"{name}.toml"), ("data", "info", f"features:{name}.npz")):
            outcome = in_a_process(on_a_terminal(*words), folder, f"seen{number}")
            said = (folder / f"seen{number}.txt").read_bytes().decode(errors="replace")
            outcomes.append("silent" if name in said else outcome)
        worst = next((o for o in ("traceback", "hang", "silent") if o in outcomes), "right")
        counts[worst] += 1
    return counts


def on_a_terminal(*words: object) -> Callable[[], None]:
    def work() -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.isatty = lambda: True  # type: ignore[method-assign]
        dalib_line(*words)()

    return work


def pages(folder: Path) -> Counter[str]:
    """The same names in Markdown and HTML."""
    counts = Counter[str]()
    for number, name in enumerate(LINKS):
        write_names(folder, name)
        words = ("run", "named.toml", "--store", f"pages{number}", "--tables", "t", "--formats", "md,html")
        outcome = in_a_process(dalib_line(*words), folder, f"page{number}")
        if outcome == "right":
            page, html = (Path("t/named").with_suffix(end).read_text(encoding="utf-8") for end in (".md", ".html"))
            outcome = "silent" if BAD_LINK.search(page) or "<script" in html else "right"
        counts[outcome] += 1
    return counts


KINDS: dict[str, Callable[[Path], Counter[str]]] = {
    "cells that spreadsheets compute": spreadsheets,
    "escape sequences on a terminal": terminals,
    "links and scripts in pages": pages,
}


def tabulate() -> dict[str, Counter[str]]:
    """Kind -> outcomes."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.chdir(folder)
            os.environ["DALIB_CACHE"] = str(Path(folder, "cache"))
            return {name: play(Path(folder)) for name, play in KINDS.items()}
        finally:
            os.chdir(before)


if __name__ == "__main__":
    print(show(tabulate()))
