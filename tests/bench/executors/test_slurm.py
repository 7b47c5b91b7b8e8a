"""Slurm through submitit, with stand-ins for Slurm's commands; `python -m tests.faults.engines` has the real one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'dalib-toolkit[slurm]'")

from dalib.bench.executors import slurm
from dalib.core.errors import DalibError
from tests.support.waiting import wait_until

SBATCH = """#!{python}
import os, re, subprocess, sys
text = open(sys.argv[1]).read()
state = os.environ["STAND_IN"]
if "--partition=nowhere" in text:
    sys.exit("sbatch: error: invalid partition specified: nowhere")
number = str(len([n for n in os.listdir(state) if n.startswith("array")]) + 1)
open(f"{{state}}/array{{number}}", "w").write(text)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
array = re.search(r"--array=0-(\\d+)", text)
folder = re.search(r"_submit (\\S+)", text)[1]
for i in range(int(array[1]) + 1) if array else [None]:
    name = number if i is None else f"{{number}}_{{i}}"
    env = dict(os.environ, SUBMITIT_EXECUTOR="slurm", SLURM_JOB_ID=number, SLURM_NTASKS="1")
    if i is not None:
        env |= {{"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": str(i)}}
    open(f"{{state}}/task{{name}}", "w").close()
    line = f"{python} -u -m submitit.core._submit {{folder}} > {{state}}/log{{name}} 2>&1; rm -f {{state}}/task{{name}}"
    subprocess.Popen(["sh", "-c", line], env=env, start_new_session=True, **quiet)
print("Submitted batch job", number)
"""
SQUEUE = """#!/bin/sh
cd "$STAND_IN" && for f in task*; do [ -e "$f" ] && echo "${f#task} PENDING"; done; true
"""
SCANCEL = """#!/bin/sh
echo "$@" >> "$STAND_IN/cancelled"
"""


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state, tools = tmp_path / "state", tmp_path / "bin"
    state.mkdir()
    tools.mkdir()
    scripts = {
        "sbatch": SBATCH.format(python=sys.executable),
        "squeue": SQUEUE,
        "scancel": SCANCEL,
        "srun": "#!/bin/sh\n",
    }
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    root = str(Path(__file__).parents[3])
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{root}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("STAND_IN", str(state))
    monkeypatch.setattr(slurm, "GRACE", 0.3)
    monkeypatch.setattr(slurm, "PAUSE", 0.1)
    return state


class Run:
    """What the runner's jobs are to an executor: a key and a store."""

    def __init__(self, key: str, store: Path, how: str = "") -> None:
        self.key, self.store, self.how = key, store, how


def do(item: tuple[Run, ...]) -> str:
    (run,) = item
    marker = run.store / f"{run.key}.died"
    if run.how == "dies" or (run.how == "dies once" and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if run.how == "fails":
        raise ValueError("not a number")
    return run.key.upper()


@pytest.fixture
def runs(tmp_path: Path) -> Callable[..., list[tuple[Run, ...]]]:
    return lambda *hows: [(Run(f"k{n}", tmp_path, how),) for n, how in enumerate(hows)]


def results(stream: Any) -> dict[str, Any]:
    return {item[0].key: result for item, result in stream}


def test_a_lost_task_is_submitted_again_and_then_given_up(runs: Any, tmp_path: Path) -> None:
    found = results(slurm.execute(runs("", "dies once", "dies"), do, 2))
    assert found == {"k0": "K0", "k1": "K1", "k2": None}


def test_runs_share_a_task_and_those_of_a_lost_one_go_on_alone(runs: Any, stand_in: Path) -> None:
    found = results(slurm.execute(runs("", "dies once", "", ""), do, 2, runs_per_task=2))
    assert found == {"k0": "K0", "k1": "K1", "k2": "K2", "k3": "K3"}
    assert "--array=0-1%2" in (stand_in / "array1").read_text()


def test_more_tasks_than_an_array_may_have_are_several_arrays(
    runs: Any, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "LIMIT", 2)
    found = results(slurm.execute(runs("", "", "", ""), do, 2))
    assert found == {"k0": "K0", "k1": "K1", "k2": "K2", "k3": "K3"}
    assert sorted(path.name for path in stand_in.glob("array*")) == ["array1", "array2"]


def test_what_was_handed_over_is_found_again_and_not_submitted_twice(runs: Any, stand_in: Path, tmp_path: Path) -> None:
    items = runs("", "", "")
    (stand_in / "task1_9").touch()
    assert slurm.submit(items[:2], do, 2) == 2
    queued = slurm.list_queued(tmp_path)
    assert queued <= {"k0", "k1"}
    found = results(slurm.execute(items, do, 2))
    assert found == {"k0": "K0", "k1": "K1", "k2": "K2"}
    assert slurm.list_queued(tmp_path) == set()


def test_a_line_that_a_full_disk_has_cut_costs_no_other(runs: Any, stand_in: Path, tmp_path: Path) -> None:
    items = runs("", "")
    slurm.submit(items[:1], do, 2)
    (stand_in / "task1").touch()
    ledger = tmp_path / "slurm" / "submitted.jsonl"
    ledger.write_text(ledger.read_text().replace("\n", '\n["5_0", [["k', 1))
    slurm.submit(items[1:], do, 2)
    (stand_in / "task2").touch()
    assert "k1" in slurm.list_queued(tmp_path)
    assert [task for task, _ in slurm._read_ledger(ledger)] == ["2"]
    (stand_in / "task1").unlink()
    wait_until(lambda: list((tmp_path / "slurm").glob("2_*result.pkl")) != [], "the result came")
    assert results(slurm.execute(items, do, 2)) == {"k0": "K0", "k1": "K1"}
    assert slurm._read_ledger(ledger) == [] and not (stand_in / "array4").exists(), "the second was waited for"


def test_a_task_that_is_missed_for_a_moment_is_not_lost(
    runs: Any, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = slurm._Queue(tmp_path / "slurm", 1, 0, {"time": 1})
    queue.tasks, now, seen = {"9": {0: 0}}, [0.0], iter([{}, {"9": "RUNNING"}, {}, {}])
    monkeypatch.setattr(slurm, "read_queue", lambda: next(seen))
    monkeypatch.setattr("dalib.bench.executors.slurm.clock.monotonic", lambda: now[0])
    found = []
    for now[0] in (0.0, 10.0, 20.0, 20.2):
        found += list(queue.collect())
    assert found == []


def test_what_was_submitted_before_an_interruption_is_cancelled(
    runs: Any, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        (stand_in / "task1").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("dalib.bench.executors.slurm.json.dumps", interrupt)
    with pytest.raises(KeyboardInterrupt):
        results(slurm.execute(runs(""), do, 1))
    assert {line.split()[-1] for line in (stand_in / "cancelled").read_text().splitlines()} == {"1"}


def test_closing_cancels_what_was_submitted(runs: Any, stand_in: Path) -> None:
    stream = slurm.execute(runs("", ""), do, 1)
    next(stream)
    stream.close()
    wait_until(lambda: not list(stand_in.glob("task*")), "the tasks had ended")
    cancelled = (stand_in / "cancelled").read_text().split("\n") if (stand_in / "cancelled").exists() else []
    assert all(line.endswith(("1_0", "1_1", "")) for line in cancelled)


def test_a_task_that_is_queued_again_after_its_results_came_is_cancelled_and_others_are_not(
    runs: Any, stand_in: Path
) -> None:
    (stand_in / "task7_0").touch()
    for item, result in slurm.execute(runs(""), do, 1):
        assert result == item[0].key.upper()
        wait_until(lambda: not (stand_in / "task1").exists(), "it had ended")
        (stand_in / "task1").touch()
    lines = (stand_in / "cancelled").read_text().splitlines()
    assert {line.split()[-1] for line in lines} == {"1"}
    assert any("--signal KILL" in line for line in lines), "a run does not heed SIGTERM at once"


def test_what_breaks_outside_of_a_run_is_told(runs: Any) -> None:
    with pytest.raises(DalibError, match="of slurm failed: ValueError: not a number; its log is"):
        results(slurm.execute(runs("fails"), do, 1))
    with pytest.raises(DalibError, match=r"sbatch refuses the job: .*invalid partition"):
        results(slurm.execute(runs(""), do, 1, partition="nowhere"))


def test_a_queue_that_does_not_answer_gives_nobody_up(
    runs: Any, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "read_queue", lambda: None)
    assert results(slurm.execute(runs(""), do, 1)) == {"k0": "K0"}


def test_the_job_script_says_what_was_asked_for(runs: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"partition": "gpu", "time": 90, "gres": "gpu:1", "cpus": 4, "memory": 1.5}
    options |= {"setup": ("module load cuda",), "sbatch": {"account": "me"}, "runs_per_task": 2}
    script = slurm.show_job(runs("", "", ""), 1, **options)
    wanted = {
        "array=0-1%1",
        "partition=gpu",
        "time=90",
        "gres=gpu:1",
        "cpus-per-task=4",
        "mem=1536M",
        "account=me",
        "requeue",
    }
    assert wanted <= {line.removeprefix("#SBATCH --") for line in script.splitlines()}
    assert "module load cuda" in script.splitlines() and f"submitit.core._submit {tmp_path}/slurm" in script


def test_a_task_that_is_queued_again_is_the_same_task(runs: Any) -> None:
    task, items = slurm._Task(do), runs("", "")
    again = task.checkpoint(items)
    assert again.function is task and again.result() == ["K0", "K1"]


def test_without_slurm_one_line_says_so(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DalibError, match="no sbatch on this machine; start dalib run where Slurm's commands are"):
        results(slurm.execute(runs(""), do, 1))
