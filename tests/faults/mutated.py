"""Suites, command lines and model files that somebody got wrong: how many end in a traceback, how many hang.

    python -m tests.faults.mutated [--suites 1000] [--commands 500] [--models 200]

Each is run as the command line runs it, in this process and in a folder that is as it was before. A suite is planned,
and run for two steps where its plan is right and small. right: status 0; refused: one line and another status;
traceback: an exception came out; hang: more than ten minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import re
import shutil
import signal
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch import from_numpy

import dalib
from dalib.cli import main as run_dalib
from dalib.train.model_file import save_model
from tests.faults.table import show
from tests.support.waiting import HANG

SECONDS = int(HANG)
"""For what hangs, not for a slow machine: by the clock on the wall, which a loaded one does not keep up with."""
FEW = 30
"""Runs of a suite that is not only planned."""
SUITE = """
name = "demo"
dataset = "features:toy.npz"
normalise = ["zscore"]
tasks = ["a->b", "b->a"]
seeds = [0, 1]
validators = ["source_accuracy"]
[protocol]
name = "uda"
validation = 0.2
[train]
steps = 5
lr = 0.01
evaluations = 2
[search]
budget = 2
sampler = "random"
[search.train]
lr = [0.1, 0.01]
[algorithms.source_only]
[algorithms.dann]
weight = 0.5
[algorithms.both]
algorithm = "dann+mcc"
hparams = { "mcc.temperature" = 2.0 }
train = { lr = 0.1 }
"""
COMMANDS = (
    "train --dataset features:toy.npz --source a --target b --algorithm dann --train.steps 2 "
    "--algorithm.weight 0.5 --seed 1",
    "train --dataset features:toy.npz --source a --target b --algorithm coral --data.normalise zscore --out model2",
    "run demo.toml --dry-run --only dann --train.lr 0.1 --store runs --jobs 1 --redo failed",
    "table demo --store runs --summary --metric target_accuracy",
    "predict model.safetensors toy.npz --top 2 --domain b --out out.csv",
    "rank --dataset features:toy.npz --target b --measures log_me",
    "data info features:toy.npz", "data verify toy.npz", "show dann", "list algorithms",
    "export demo --store runs --out x.jsonl", "rescore demo --store runs", "new algorithm my_idea --folder new",
    "evaluate model.safetensors features:toy.npz --domain b --classes",
    "table demo --store runs --validators --format md --out x.md", "table demo --store runs --formats csv --write t",
    "run demo.toml --train.steps 2 --only source_only --store runs2 --no-table",
)  # fmt: skip
ODD_TOML = (
    "5", "-1", "0", "1e400", "nan", "inf", "true", '""', '"x"', "[]", "{}", "[[]]", "[1, 1]", '{ a = 1 }',
    '["a", 3]', "10000000", "1000000000", "9223372036854775808", "100000000000000000000000", "1979-05-27",
    '"\\u0000"', '"../../x"', '"é→ü"', "0.5", "[" * 3000 + "]" * 3000, '["a->a"]', '["a->b", "a->b"]', "[-1]",
    "[true]", '"features:nowhere.npz"', "[" + "1, " * 2000 + "2]",
)  # fmt: skip
ODD_WORDS = (
    "", " ", "x", "-1", "0", "1e400", "nan", "inf", "99999999999999999999", "true", "none", "[]", "{}", "a,b",
    "a+b", "a->b", "=", "--", "../x", "/dev/null", ".", "toy.npz", "é→ü", "\x1b[31m", "\udce9", "meta", "mps",
    "cuda:9", "dann+dann", "0.5", "demo.toml", "a" * 5000,
)  # fmt: skip


def mutate_suite(chance: random.Random) -> str:
    """One or two lines with another value, another key, twice, away, moved, or broken in the middle."""
    lines = SUITE.strip().split("\n")
    for _ in range(chance.choice((1, 1, 2))):
        i = chance.randrange(len(lines))
        way = chance.randrange(7)
        if way <= 2 and "=" in lines[i]:
            lines[i] = f"{lines[i].partition('=')[0]}= {chance.choice(ODD_TOML)}"
        elif way == 3:
            lines[i] = re.sub(r"\w", lambda m: chance.choice("xyz_"), lines[i], count=1)
        elif way == 4:
            lines.insert(i, lines[chance.randrange(len(lines))])
        elif way == 5:
            del lines[i]
        else:
            cut = chance.randrange(len(lines[i]) + 1)
            lines[i] = lines[i][:cut] + chance.choice(("", "\x00", "=", "[", '"', "é", "\\", "{")) + lines[i][cut + 1 :]
    return "\n".join(lines) + "\n"


def mutate_command(chance: random.Random) -> list[str]:
    """A word replaced, away, twice or misspelt, sometimes two: mostly the value of an option, never the steps'."""
    words = chance.choice(COMMANDS).split()
    for _ in range(chance.choice((1, 1, 1, 2))):
        places = [i for i in range(len(words)) if words[i - 1] != "--train.steps" and words[i] != "--train.steps"]
        values = [i for i in places if i and not words[i].startswith("--") and words[i - 1].startswith("--")]
        if values and chance.random() < 0.6:
            words[chance.choice(values)] = chance.choice(ODD_WORDS)
            continue
        i = chance.choice(places)
        way = chance.randrange(5)
        if way <= 1:
            words[i] = chance.choice(ODD_WORDS)
        elif way == 2 and len(words) > 1:
            del words[i]
        elif way == 3:
            words.insert(i, chance.choice(words))
        else:
            words[i] = words[i][:-1] + chance.choice("xyz=.")
    return words


def mutate_facts(facts: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """One fact, at any depth, of another kind, away, or of an absurd size."""
    facts = copy.deepcopy(facts)
    place: Any = facts
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = chance.choice(keys)
        if isinstance(place[key], (dict, list)) and place[key] and chance.random() < 0.6:
            place = place[key]
            continue
        if chance.random() < 0.25:
            del place[key]
        else:
            odd = (None, 5, -1, 0, 10**12, 2**80, 0.5, float("nan"), True, "", "x", [], {}, [1], {"a": 1}, [[]], "\x00")
            place[key] = chance.choice(odd)
        return facts


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """TimeoutError after `SECONDS`."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError(f"{SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def try_line(words: list[str], log: list[str], heard: list[str] | None = None) -> str:
    """The outcome of one command line; tracebacks and hangs are described in the log, what it printed in `heard`."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with limited(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            status = run_dalib(words)
    except TimeoutError:
        log.append(f"hang: {words}")
        return "hang"
    except Exception as error:
        log.append(f"{type(error).__name__}: {str(error)[:200]}: {words}")
        return "traceback"
    if "TimeoutError" in err.getvalue() or f"{SECONDS} s; check" in err.getvalue():
        log.append(f"hang: {words}")
        return "hang"
    if heard is not None:
        heard.append(out.getvalue())
    return "refused" if status else "right"


def prepare(folder: Path) -> Path:
    """A feature file, a suite with its records and a model file in the folder, which becomes the working one.

    Returns the model's path. Every line of `COMMANDS` is right as it is.
    """
    os.chdir(folder)
    os.environ["DALIB_CACHE"] = str(folder / "cache")
    chance = np.random.default_rng(0)
    arrays = {f"{d}_x": chance.normal(size=(20, 4)).astype(np.float32) for d in "ab"}
    np.savez(folder / "toy.npz", **arrays, **{f"{d}_y": np.arange(20) % 2 for d in "ab"})
    (folder / "demo.toml").write_text(SUITE)
    data, backbone = dalib.load_data("features:toy.npz"), dalib.load_backbone("identity", "none", dim=4)
    recipe = dalib.TrainConfig(steps=2, batch_size=4, bottleneck=8)
    fitted = dalib.Trainer(recipe, device="cpu").fit(dalib.DANN(hidden=8), dalib.make_task(data, "a", "b"), backbone)
    log: list[str] = []
    outcome = try_line(["run", "demo.toml", "--store", "runs", "--no-table"], log)
    assert outcome == "right", (outcome, log)
    return save_model(fitted, folder / "model")


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """What is written into the working folder inside is gone afterwards, and what was overwritten there is back."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as aside:
        shutil.copytree(here, aside, dirs_exist_ok=True)
        try:
            yield
        finally:
            os.chdir(here)
            for path in here.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            shutil.copytree(aside, here, dirs_exist_ok=True)


def try_suites(count: int, log: list[str]) -> Counter[str]:
    chance, counts = random.Random(0), Counter[str]()
    for number in range(count):
        text = mutate_suite(chance)
        Path("mutant.toml").write_text(text, encoding="utf-8")
        before = len(log)
        heard: list[str] = []
        outcome = try_line(["run", "mutant.toml", "--dry-run"], log, heard)
        planned = re.search(r"(\d+) to run", heard[0]) if outcome == "right" else None
        if planned and int(planned[1]) <= FEW:
            with restored():
                outcome = try_line(["run", "mutant.toml", "--train.steps", "2", "--store", "tried"], log)
        counts[outcome] += 1
        if len(log) > before:
            log.append(f"  suite {number}: " + " | ".join(set(text.split("\n")) - set(SUITE.split("\n")))[:300])
    return counts


def try_commands(count: int, log: list[str]) -> Counter[str]:
    chance, counts = random.Random(1), Counter[str]()
    for _ in range(count):
        with restored():
            counts[try_line(mutate_command(chance), log)] += 1
    return counts


def try_models(model: Path, count: int, log: list[str]) -> Counter[str]:
    """Facts and tensors mutated, in a file of the format that carries no checksum, so that they are looked at."""
    from dalib.train.model_file import read_facts

    chance, counts = random.Random(2), Counter[str]()
    facts = read_facts(model) | {"format": 1}
    tensors = {name: from_numpy(array) for name, array in load_file(model).items()}
    for number in range(count):
        told, state = mutate_facts(facts, chance), dict(tensors)
        if number % 4 == 3:
            name, told = chance.choice(list(state)), facts
            shape = state[name].shape
            odd = [None, state[name].flatten()[:1].clone(), state[name].double(), state[name].float() * float("nan")]
            odd += [state[name].new_zeros((*shape, 2)), state[name].new_zeros((0,))]
            state[name] = chance.choice(odd)
            state = {k: v for k, v in state.items() if v is not None}
        save_file(state, "mutant.safetensors", metadata={"dalib": json.dumps(told)})
        before = len(log)
        counts[try_line(["predict", "mutant.safetensors", "toy.npz", "--domain", "b"], log)] += 1
        if len(log) > before:
            log.append(f"  model {number}: {json.dumps(told)[:600]}")
    return counts


def tabulate(suites: int, commands: int, models: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Kind -> outcomes, and what went wrong."""
    log: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        before = Path.cwd()
        try:
            inside = Path(folder, "inside")  # names that lead one folder up stay in the temporary one
            inside.mkdir()
            model = prepare(inside)
            table = {
                "suites": try_suites(suites, log),
                "model files": try_models(model, models, log),
                "command lines": try_commands(commands, log),
            }
        finally:
            os.chdir(before)
    return table, log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("suites", 1000), ("commands", 500), ("models", 200)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    table, log = tabulate(given.suites, given.commands, given.models)
    print(*log, sep="\n")
    print(show(table))


if __name__ == "__main__":
    main()
