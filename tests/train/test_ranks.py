"""Several processes share a fit and end where one does; what they cannot share is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import torch

from dalib.checks.world import CONFIG, DIM, make_task
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.registry import ALGORITHMS
from dalib.train.fleet import Member, fit_fleet
from dalib.train.ranks import Ranks, connected, find_ranks, need_ranks
from dalib.train.trainer import Trainer
from tests.support.waiting import HANG
from tests.support.worlds import write_features

ROOT = Path(__file__).parents[2]
DETECTORS = {"da_faster", "detection_teacher", "strong_weak"}
NAMED = {"zero_shot_distillation", "zero_shot_prior"}
UNDIVIDED = {"gradient_norm", "maml", "reptile", "sdat", "stoch_norm"} | DETECTORS | NAMED
pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")


def share(size: int, which: str, folder: Path) -> dict[str, str]:
    """What went wrong, by case, in fits that `size` processes share."""
    command = [sys.executable, "-m", "tests.support.shared_fits"]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(size), str(folder / "store"), which],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(size)
    ]  # fmt: skip
    told = [rank.communicate(timeout=HANG) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * size, [err[-1500:] for _, err in told]
    return cast("dict[str, str]", json.loads(told[0][0]))


def test_every_descending_algorithm_ends_where_one_process_does(tmp_path: Path) -> None:
    found = share(2, "algorithms", tmp_path)
    deep = {name for name in ALGORITHMS.names() if not issubclass(ALGORITHMS.get(name), FeatureAlgorithm)}
    assert {name for name in deep if ALGORITHMS.get(name).undivided} == UNDIVIDED
    assert found.keys() == deep - UNDIVIDED
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_so_do_images_and_three_processes_and_what_one_began_three_go_on_with(tmp_path: Path) -> None:
    found = share(3, "rest", tmp_path)
    assert len(found) == 9
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("rows", [3, 7, 36, 100])
@pytest.mark.parametrize("size", [2, 3])
def test_shares_are_all_rows_once_and_differ_by_one_at_most(rows: int, size: int) -> None:
    shares = [list(range(rows))[Ranks(rank, size).share(rows)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("name", sorted(UNDIVIDED))
def test_what_looks_at_the_whole_loss_itself_says_so(name: str) -> None:
    with pytest.raises(DalibError, match=r"cannot share a step over processes: .*; start one"):
        Ranks(0, 2).check(ALGORITHMS.get(name)(), CONFIG)


def test_solved_methods_small_batches_and_recorded_steps_are_refused() -> None:
    ranks, dann = Ranks(1, 2), ALGORITHMS.get("dann")()
    with pytest.raises(DalibError, match="solved"):
        ranks.check(ALGORITHMS.get("coral")(), CONFIG)
    with pytest.raises(DalibError, match="batches of 1 rows cannot be shared by 2 processes"):
        ranks.check(dann, CONFIG.model_copy(update={"batch_size": 1}))
    for setting in ("compile", "cuda_graph"):
        with pytest.raises(DalibError, match=f"train.{setting} does not go"):
            ranks.check(dann, CONFIG.model_copy(update={setting: True}))
    ranks.check(dann, CONFIG)


def test_fleets_train_in_one_process() -> None:
    trainer = Trainer(CONFIG, device="cpu")
    trainer.ranks = Ranks(0, 2)
    with pytest.raises(DalibError, match="a fleet trains in one process"):
        fit_fleet([Member(trainer, ALGORITHMS.get("mmd")(), make_task(), identity(DIM))])


def test_alone_nothing_is_connected_and_a_shared_fit_is_an_ordinary_one() -> None:
    with connected("cpu") as (ranks, device):
        assert (ranks, device) == (None, "cpu")
    assert find_ranks() is None and Trainer(CONFIG, device="cpu", distributed=True).ranks is None


def test_processes_that_are_not_connected_are_not_taken_for_one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(DalibError, match="one of 4 processes that are not connected"):
        need_ranks()
    with pytest.raises(DalibError, match="each takes its own"), connected("cuda:1"):
        pass


def test_the_command_under_torchrun_writes_one_model_and_prints_once(tmp_path: Path) -> None:
    data = write_features(tmp_path / "rows.npz")
    train = ["train", "--dataset", f"features:{data}", "--source", "left", "--target", "right", "--algorithm", "mmd"]
    train += ["--steps", "20", "--device", "cpu", "--out", str(tmp_path / "model.safetensors")]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "dalib"]
    done = subprocess.run([*launch, *train], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=HANG)
    assert not done.returncode, done.stderr[-2000:]
    assert done.stdout.count("accuracy on target") == 1 and done.stdout.count("model.safetensors") >= 1
    alone = subprocess.run([sys.executable, "-m", "dalib", *train], cwd=tmp_path, capture_output=True, text=True)
    lines = [[line for line in run.stdout.splitlines() if "accuracy on" in line] for run in (done, alone)]
    assert lines[0] == lines[1]
    assert not list(tmp_path.glob("*.checkpoint"))


def test_dropout_differs_between_the_ranks_of_a_pass_and_draws_nothing_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Dropped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            z = torch.nn.functional.dropout(self.scale * x, 0.5)
            return z, z

    monkeypatch.setattr("dalib.train.ranks._sum", lambda x: x)  # no other process adds its rows
    network, x, before = Dropped(), torch.ones(8, 64), torch.get_rng_state()
    first, second = (Ranks(rank, 2).through(network, x, 7)[0] for rank in (0, 1))
    assert not first[4:].any() and not second[:4].any()
    assert set(first[:4].unique().tolist()) == {0.0, 2.0} and not torch.equal(first[:4], second[4:])
    assert torch.equal(first, Ranks(0, 2).through(network, x, 7)[0])
    assert not torch.equal(first, Ranks(0, 2).through(network, x, 8)[0])
    assert torch.equal(torch.get_rng_state(), before)
