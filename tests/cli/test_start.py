"""The command line answers at once, and lists without loading anything heavy."""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

HEAVY = ("torch", "pandas", "sklearn", "scipy", "torchvision", "numpy")
PROBE = (
    "import json, sys; from dalib.cli import main; status = main({args!r});"
    "print(json.dumps([status, [m for m in {heavy!r} if m in sys.modules]]), file=sys.stderr)"
)

LOADED = (
    "import json, sys; from dalib.cli import main; main({args!r});"
    "print(json.dumps([m for m in sys.modules if m.partition('.')[0] not in ('dalib', '__main__')]), file=sys.stderr)"
)
IMPORTS = """
import importlib
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ImportError:  # a module made by another one
        pass
"""


@pytest.mark.parametrize("args", [["--help"], ["list"], ["run", "--help"], ["--version"]], ids=" ".join)
def test_nothing_heavy_is_imported(args: list[str]) -> None:
    code = PROBE.format(args=args, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == [0, []]


def processor_seconds(*command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("args", [["--help"], ["list"]], ids=" ".join)
def test_the_answer_takes_little_more_than_the_imports_of_what_others_wrote(args: list[str]) -> None:
    """In processor time, and as a ratio: neither a busy machine nor a slow one changes it much."""
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED.format(args=args)], capture_output=True, text=True, check=True
    )
    bare = IMPORTS.format(names=json.loads(loaded.stderr))
    ours, theirs = zip(
        *[(processor_seconds("-m", "dalib.cli", *args), processor_seconds("-c", bare)) for _ in range(3)], strict=True
    )
    assert min(ours) < 4 * min(theirs), f"{min(ours):.2f} s, the imports alone {min(theirs):.2f} s"


def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "dalib.cli", "list"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode != 0


def test_a_traceback_is_shown_on_request() -> None:
    environment = {**os.environ, "DALIB_DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dalib.cli", "show", "dan"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_the_command_alone_shows_help(dalib: Callable[..., Any]) -> None:
    for args in ((), ("data",)):
        answer = dalib(*args)
        assert answer.status == 0
        assert "Usage" in answer.out


def test_a_defect_of_dalib_keeps_its_traceback(dalib: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from dalib.core.registry import Registry

    monkeypatch.setattr(Registry, "names", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dalib("list")


def test_ctrl_c_has_the_status_of_a_signal(dalib: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from dalib.core.registry import Registry

    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "names", interrupt)
    assert dalib("list").status == 130


def test_columns_wrap_on_a_terminal_only(dalib: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    piped = dalib("list", "datasets").out.splitlines()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    shown = re.sub(r"\x1b\[\d+m", "", dalib("list", "datasets").out).splitlines()
    assert max(map(len, piped)) > 60 >= max(map(len, shown))
    assert " ".join(" ".join(piped).split()) == " ".join(" ".join(shown).split())


@pytest.mark.parametrize("command", ["train", "predict", "table"])
def test_help_pages_break_no_line_before_it_is_full(command: str) -> None:
    environment = os.environ | {"COLUMNS": "60", "TERMINAL_WIDTH": "60"}
    told = subprocess.run(
        [sys.executable, "-m", "dalib", command, "--help"], capture_output=True, text=True, check=True, env=environment
    ).stdout
    lines = [line.strip() for line in told.split("╭")[0].splitlines() if line.strip()]
    for line, following in itertools.pairwise(lines):
        assert line.endswith((".", "]", "}")) or len(line) + 1 + len(following.split()[0]) > 56, line
