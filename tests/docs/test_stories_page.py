"""The stories page: its runner replaces outputs and nothing else; dalib knows its commands and suites."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import typer

from dalib.bench.suite import load_suite
from dalib.cli._app import app
from dalib.cli._sections import take_settings
from dalib.records.sections import SECTIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"
MISTAKES = "## Mistakes"


@pytest.fixture(scope="module")
def stories() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_stories", DOCS / "run_stories.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = """Text $ stays.

```toml
# made.toml
seeds = [0]
```

```console
$ cat made.toml | tail -1
an old answer
$ echo two; echo 'dalib: a mistake' >&2; echo 'a warning' >&2; exit 2
$ echo 'tiny, 12.3 s on cpu   '
```

```toml
x = 1
```
"""


def test_outputs_are_made_again_and_everything_else_stays(stories: ModuleType, tmp_path: Path) -> None:
    new = stories.renew(PAGE, tmp_path)
    answers = "$ cat made.toml | tail -1\nseeds = [0]\n"
    answers += "$ echo two; echo 'dalib: a mistake' >&2; echo 'a warning' >&2; exit 2\n"
    answers += "two\ndalib: a mistake\n$ echo 'tiny, 12.3 s on cpu   '\ntiny on cpu\n"
    head, _, tail = PAGE.partition("```console\n")
    assert new == f"{head}```console\n{answers}```{tail.partition('```')[2]}"
    assert stories.renew(new, tmp_path) == new


def test_a_command_that_fails_without_a_line_of_dalibs_stops_the_run(stories: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with status 3"):
        stories.run_command("exit 3", tmp_path)


def commands(text: str) -> list[list[str]]:
    """Arguments of every `dalib …` in the console blocks, up to a pipe or a semicolon."""
    found = []
    for line in re.findall(r"^\$ (.*)", text, re.MULTILINE):
        for part in re.split(r"[;|]|&&", re.sub(r"'[^']*'", "quoted", line)):
            words = shlex.split(part)
            found += [words[1:]] if words[:1] == ["dalib"] else []
    return found


def test_every_command_and_option_of_the_page_exists() -> None:
    group = typer.main.get_command(app)
    page = (DOCS / "stories.md").read_text(encoding="utf-8")
    right = commands(page.partition(MISTAKES)[0])
    found = commands(page)
    assert len(found) > 30
    for words in found:
        command = group.commands[words[0]]  # type: ignore[attr-defined]
        command = getattr(command, "commands", {}).get(words[1], command)
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        rest, given, hints = take_settings(words, getattr(command, "sections", ()), getattr(command, "former", {}))
        assert not hints, hints
        assert {w for w in rest if w.startswith("--")} <= known, words
        for section, own in given.items():
            assert section == "algorithm" or words not in right or set(own) <= set(SECTIONS[section].model_fields), own


def test_the_suites_of_the_page_are_suites(tmp_path: Path) -> None:
    page = (DOCS / "stories.md").read_text(encoding="utf-8")
    suites = re.findall(r"```toml\n# ([\w-]+\.toml)\n(.*?)```", page, re.DOTALL)
    assert len(suites) >= 2
    for name, text in suites:
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert load_suite(tmp_path / name).algorithms


def test_every_story_was_run_and_ends_in_predictions() -> None:
    page, _, mistakes = (DOCS / "stories.md").read_text(encoding="utf-8").partition(MISTAKES)
    told = page.split("\n## ")[2:8]
    assert all("dalib predict" in story and "file,class,probability" in story for story in told)
    assert all("source_only" in story or "Algorithm" in story for story in told)
    assert mistakes.count("dalib: ") >= mistakes.count("\n$ ")
