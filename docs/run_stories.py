"""Run the console blocks of docs/stories.md and put what the commands really print into the page.

    python docs/run_stories.py            # about five minutes on two idle cores; writes docs/stories.md
    python docs/run_stories.py --check    # says which outputs differ, writes nothing; status 1 when some do

Everything runs in one empty folder with a cache of its own. A toml block whose first line is `# NAME.toml` is written
there; in a console block every line that begins with `$ ` is run, and the lines below it are replaced by its
standard output and by error lines that begin with `dalib: `. Seconds are not kept, since they differ from run to run.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

PAGE = Path(__file__).with_name("stories.md")
BLOCK = re.compile(r"```(console|toml)\n(.*?)```", re.DOTALL)
SECONDS = re.compile(r", \d+\.\d s on (cpu|cuda)")


def run_command(command: str, folder: Path) -> str:
    """What a shell command prints in `folder`, without seconds and trailing spaces."""
    dalib = re.match(r"dalib ([^|;]*)(?:\| (.*))?$", command)
    status, printed, errors = _run_dalib(shlex.split(dalib[1]), folder) if dalib else _run_bash(command, folder)
    if dalib and dalib[2]:
        status, printed, more = _run_bash(dalib[2], folder, printed)
        errors += more
    wrong = [line for line in errors.splitlines() if line.startswith("dalib: ")]
    if status and not (wrong or printed):
        raise RuntimeError(f"{command}\nended with status {status}:\n{errors[-2000:]}")
    lines = [*printed.splitlines(), *wrong]
    return "".join(SECONDS.sub(r" on \1", line).rstrip() + "\n" for line in lines)


def _run_bash(command: str, folder: Path, given: str = "") -> tuple[int, str, str]:
    variables = os.environ | _variables(folder)
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=variables, input=given, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def _run_dalib(arguments: list[str], folder: Path) -> tuple[int, str, str]:
    """The command line's own `main` in a child process, which finds torch already loaded."""
    import torch  # noqa: F401

    from dalib.cli import main

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            os.environ.update(_variables(folder))
            for name in ("DALIB_DATA", "FORCE_COLOR"):
                os.environ.pop(name, None)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            sys.argv = ["dalib", *arguments]
            try:
                status = int(main(arguments) or 0)
            except SystemExit as stop:
                status = int(stop.code or 0)
            except BaseException:
                traceback.print_exc()
                status = 1
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return status, out.read().decode(), err.read().decode()


def _variables(folder: Path) -> dict[str, str]:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {"PATH": path, "DALIB_CACHE": str(folder / ".cache"), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}


def renew(text: str, folder: Path) -> str:
    """The page with its outputs made again, from top to bottom."""

    def renew_block(block: re.Match[str]) -> str:
        kind, body = block.groups()
        if kind == "toml":
            name = re.match(r"# ([\w-]+\.toml)\n", body)
            if name:
                (folder / name[1]).write_text(body, encoding="utf-8")
            return block[0]
        out = []
        for command in re.findall(r"^\$ (.*(?:\\\n.*)*)", body, re.MULTILINE):
            print(command, file=sys.stderr, flush=True)
            out.append(f"$ {command}\n{run_command(command, folder)}")
        return f"```console\n{''.join(out)}```"

    return BLOCK.sub(renew_block, text)


def main(arguments: list[str]) -> int:
    old = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        new = renew(old, Path(folder))
    if arguments != ["--check"]:
        PAGE.write_text(new, encoding="utf-8")
        return 0
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "page", "now"))
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
