"""Steps that are recorded once and repeated from memory give the run that plain steps give, bit for bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dalib.algorithms.dann import DANN
from dalib.algorithms.fixmatch import FixMatch
from dalib.algorithms.mean_teacher import MeanTeacher
from dalib.backbones import load_backbone
from dalib.bench.fleet import RUN_ONE, _group
from dalib.checks.world import CONFIG, equal_states, features_of, make_task
from dalib.core.algorithm import Algorithm, Minimise, Terms, TrainerLike
from dalib.core.errors import DalibError, Diverged
from dalib.core.registry import ALGORITHMS
from dalib.core.rows import combine, row_shape
from dalib.core.types import Domain, Source, Target, Task
from dalib.records.spec import DataSpec, RunSpec
from dalib.train import graph
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.fleet import Member, fit_fleet
from dalib.train.graph import REHEARSALS
from dalib.train.multi_task import MultiTask
from dalib.train.trainer import Trainer
from tests.support.any_world import backbone_for, recipe_for, task_for
from tests.support.host_reads import DEEP, EXCEPTIONS
from tests.support.image_world import Plain, copy_state, differing, make_backbone, make_image_task, recipe
from tests.support.step_tape import Tape, TapeRecorder

SMALL = CONFIG.model_copy(update={"steps": 8, "batch_size": 8, "bottleneck": 6})
Recorders = list[TapeRecorder]


@pytest.fixture
def taped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorders]:
    """The recorders that runs on the CPU get, which otherwise has none."""
    made: Recorders = []

    def make(device: torch.device) -> TapeRecorder:
        made.append(TapeRecorder(device))
        return made[-1]

    monkeypatch.setitem(graph.RECORDERS, "cpu", make)
    yield made


def plays(taped: Recorders) -> list[list[int]]:
    """Per descent and recording, how often it was repeated."""
    return [[tape.plays for tape in recorder.tapes] for recorder in taped]


def fit(cls: type[Algorithm], **changes: Any) -> Fitted:
    """In the small world; candidates hold the accuracy and the state of the random numbers."""
    given = {name: changes.pop(name) for name in list(changes) if name in TrainConfig.model_fields}

    def evaluate(fitted: Fitted, step: int) -> dict[str, Any]:
        logits = fitted.outputs(task.test).logits
        return {"logits": logits.tolist(), "chance": torch.get_rng_state().tolist()}

    task = task_for(cls, 40)
    widths = {name: 8 for name in cls.defaults() if name.endswith("hidden")}
    trainer = Trainer(recipe_for(cls, SMALL, **given), device="cpu", evaluate=evaluate, **changes)
    return trainer.fit(cls(**{**cls.trial, **widths}), task, backbone_for(cls))


def assert_alike(a: Fitted, b: Fitted) -> None:
    assert equal_states(a.algorithm, b.algorithm) == ""
    assert a.curve == b.curve
    assert a.candidates == b.candidates


@pytest.mark.parametrize("name", DEEP)
def test_a_recorded_run_equals_a_plain_one(name: str, taped: Recorders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "REHEARSALS", 2)
    cls = ALGORITHMS.get(name)
    plain = fit(cls)
    assert not taped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorded = fit(cls, cuda_graph=True)
    assert_alike(plain, recorded)
    said = [str(w.message) for w in caught if "cannot be one CUDA graph" in str(w.message)]
    if name in EXCEPTIONS:
        assert len(said) == 1
        assert "it waits for the device at" in said[0]
        assert taped[0].tapes == []
    else:
        assert said == []
        all_steps = recipe_for(cls, SMALL).steps
        descents = [all_steps] if len(taped) == 1 else [all_steps // 2] * 2
        assert plays(taped) == [[steps - 2] for steps in descents]


IMAGES: dict[str, Any] = {
    "augmented": {"augment": "standard", "scale_min": 0.3, "sampler": "class_balanced", "batch_norm": "reestimate"},
    "adamw": {"optimiser": "adamw", "lr": 0.01, "forward": "separate", "augment": "flip", "warmup": 0.3},
    "bf16": {"precision": "bf16", "channels_last": True, "clip": 0.5, "momentum": 0.0},
    "frozen": {"backbone_rate": 0.0, "batch_norm": "eval", "schedule": "cosine"},
}


def fit_images(algorithm: Algorithm, path: Path | None = None, kill_at: int = 0, **changes: Any) -> Fitted:
    def kill(step: int, steps: int) -> None:
        if step == kill_at:
            raise KeyboardInterrupt

    task = make_image_task()
    trainer = Trainer(
        recipe(**changes),
        device="cpu",
        checkpoint=path,
        checkpoint_seconds=-1.0,
        evaluate=lambda fitted, step: {"logits": fitted.outputs(task.test).logits.tolist()},
        report=kill,
    )
    return trainer.fit(algorithm, task, make_backbone(dropout=0.3))


@pytest.mark.parametrize("changes", IMAGES.values(), ids=IMAGES)
def test_recipes_on_images_give_the_same_bits(changes: dict[str, Any], taped: Recorders) -> None:
    plain, recorded = fit_images(DANN(hidden=8), **changes), fit_images(DANN(hidden=8), cuda_graph=True, **changes)
    assert_alike(plain, recorded)
    assert plays(taped) == [[12 - REHEARSALS]]


@pytest.mark.parametrize("cls", [FixMatch, MeanTeacher])
def test_several_views_give_the_same_bits(cls: type[Algorithm], taped: Recorders) -> None:
    changes: dict[str, Any] = {"augment": "standard", "clip": 1.0}
    plain = fit_images(cls(threshold=0.0), **changes)
    assert_alike(plain, fit_images(cls(threshold=0.0), cuda_graph=True, **changes))
    assert plays(taped) == [[12 - REHEARSALS]]


def test_rows_of_several_modalities_give_the_same_bits(taped: Recorders) -> None:
    x = combine({"a": np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32), "b": np.ones((30, 3))})
    source, target = (Domain(name, x, np.arange(30) % 3, ("a", "b", "c"), name) for name in ("s", "t"))
    task = Task("s->t", source, target.unlabelled(), source.take(np.arange(0), "none"), target)
    states = []
    for cuda_graph in (False, True):
        backbone = load_backbone("modalities", "none", seed=1, rows=row_shape(x), encoders={"a": "mlp", "b": "mlp"})
        config = SMALL.model_copy(update={"cuda_graph": cuda_graph})
        states.append(copy_state(Trainer(config, device="cpu").fit(Plain(), task, backbone).algorithm))
    assert differing(*states) == []
    assert plays(taped) == [[SMALL.steps - REHEARSALS]]


class Onlooker(Plain):
    """Sees what Python sees of the optimiser, once per call of its step."""

    seen: ClassVar[list[tuple[bool, bool, bool]]] = []

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        group = minimise.optimiser.param_groups[0]  # type: ignore[attr-defined]
        grads = any(p.grad is not None for p in self.parameters())
        self.seen.append((isinstance(group["lr"], Tensor), group["capturable"], grads))
        super().step(source, target, progress, minimise)


def test_adamw_is_told_of_the_recording_only_and_gradients_are_made_in_it(taped: Recorders) -> None:
    Onlooker.seen.clear()
    fit(Onlooker, cuda_graph=True, optimiser="adamw")
    assert Onlooker.seen == [(True, False, False), (True, False, True), (True, False, True), (True, True, False)]
    assert plays(taped) == [[SMALL.steps - REHEARSALS]]


@pytest.mark.parametrize("changes", [IMAGES["augmented"], IMAGES["adamw"]], ids=["sgd", "adamw"])
def test_a_killed_run_resumes_and_is_rehearsed_and_recorded_again(
    changes: dict[str, Any], taped: Recorders, tmp_path: Path
) -> None:
    changes = changes | {"steps": 24}
    plain = fit_images(Plain(), **changes)
    with pytest.raises(KeyboardInterrupt):
        fit_images(Plain(), tmp_path / "checkpoint.pt", kill_at=10, cuda_graph=True, **changes)
    resumed = fit_images(Plain(), tmp_path / "checkpoint.pt", cuda_graph=True, **changes)
    assert_alike(plain, resumed)
    assert plays(taped) == [[10 - REHEARSALS], [15 - REHEARSALS]]


def test_a_checkpoint_of_a_recorded_run_is_that_of_a_plain_one(taped: Recorders, tmp_path: Path) -> None:
    states = []
    for cuda_graph in (False, True):
        path = tmp_path / f"{cuda_graph}.pt"
        with pytest.raises(KeyboardInterrupt):
            fit_images(Plain(), path, kill_at=10, cuda_graph=cuda_graph, steps=24, optimiser="adamw")
        states.append(torch.load(path, weights_only=True)["optimiser"])
    assert states[0]["param_groups"] == states[1]["param_groups"]
    for number, state in states[0]["state"].items():
        assert differing(state, states[1]["state"][number]) == []


class Keeper(Algorithm):
    """A memory that `begin_epoch` and `step` put elsewhere, and that grows where `grows`."""

    grows = False
    memory: Tensor

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("memory", torch.zeros(dim))
        self.register_buffer("late", None)
        self.begun = 0

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        self.begun += 1
        self.memory = torch.full_like(self.memory, float(self.begun))
        if self.begun == 3:
            self.late = torch.ones(2)
        if self.grows:
            self.register_buffer(f"extra_{self.begun}", torch.ones(self.begun))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        late = 0.0 if self.late is None else self.late.sum()
        extra = sum(b.sum() for name, b in self.named_buffers() if name.startswith("extra_"))
        ce = nn.functional.cross_entropy(source.logits, source.y)
        return {
            "ce": ce,
            "pull": 0.01 * (late + extra + 1) * (source.z.mean(0) - self.memory).square().sum() * progress,
        }

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        minimise(self.loss(source, target, progress))
        self.memory = 0.9 * self.memory + 0.1 * source.z.detach().mean(0)


class Grower(Keeper):
    grows = True


def test_a_buffer_that_is_replaced_stays_in_its_place_and_a_new_one_is_recorded_anew(taped: Recorders) -> None:
    changes = {"steps": 20}
    assert_alike(fit(Keeper, **changes), fit(Keeper, cuda_graph=True, **changes))
    assert plays(taped) == [[8 - REHEARSALS, 12 - REHEARSALS]], "passes begin at steps 0, 4, 8, …"


def test_layouts_that_keep_changing_are_given_up(taped: Recorders) -> None:
    plain = fit(Grower, steps=50)
    with pytest.warns(RuntimeWarning, match="Grower cannot be one CUDA graph: shapes of its batches or buffers keep"):
        recorded = fit(Grower, cuda_graph=True, steps=50)
    assert_alike(plain, recorded)
    assert plays(taped) == [[1] * graph.LAYOUTS]


class Resized(Plain):
    """Its memory is as long as the number of steps."""

    memory: Tensor

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("memory", torch.zeros(1))

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        super().step(source, target, progress, minimise)
        self.memory = torch.cat([self.memory, source.z.detach().mean()[None]])


def test_a_buffer_that_grows_with_every_step_is_given_up(taped: Recorders) -> None:
    plain = fit(Resized, steps=14)
    with pytest.warns(RuntimeWarning, match="keep changing"):
        recorded = fit(Resized, cuda_graph=True, steps=14)
    assert_alike(plain, recorded)
    assert plays(taped) == [[]]


class Noisy(Plain):
    """Reads a value, draws random numbers, and replaces a buffer before that."""

    count: Tensor

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("count", torch.zeros(()))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        self.count = self.count + torch.rand(())
        return {**super().loss(source, target, progress), "read": source.z.sum() * 0.001 * float(self.count)}


def test_a_failed_recording_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = fit(Noisy)
    made = TapeRecorder(torch.device("cpu"), watches=False)
    monkeypatch.setitem(graph.RECORDERS, "cpu", lambda device: made)
    with pytest.warns(RuntimeWarning, match="Noisy cannot be one CUDA graph: operation not permitted") as caught:
        recorded = fit(Noisy, cuda_graph=True)
    assert len(caught) == 1
    assert_alike(plain, recorded)
    assert made.rehearsals == REHEARSALS
    assert made.tapes == []


class Exploding(Plain):
    """Not finite from the ninth step of twenty on."""

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        blown = torch.where(torch.as_tensor(progress) >= 0.4, torch.inf, 1.0)
        return {name: term * blown for name, term in super().loss(source, target, progress).items()}


def test_a_diverged_run_names_the_same_step(taped: Recorders) -> None:
    found = []
    for cuda_graph in (False, True):
        with pytest.raises(Diverged) as error:
            fit(Exploding, steps=20, cuda_graph=cuda_graph)
        found.append(str(error.value))
    assert found[0] == found[1]
    assert "step 8" in found[0]
    assert plays(taped) == [[10 - REHEARSALS]], "losses are read before the evaluation after ten steps"


def test_without_cuda_the_steps_run_as_ever_and_nothing_is_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_alike(fit(Plain), fit(Plain, cuda_graph=True))


def test_the_setting_is_in_the_key_and_earlier_keys_stay() -> None:
    keys = {RunSpec(data=DataSpec(dataset="a"), source="s", target="t", algorithm="dann", train=t).key
            for t in (TrainConfig(), TrainConfig(cuda_graph=False), TrainConfig(cuda_graph=True))}  # fmt: skip
    assert len(keys) == 2


def job_of(spec: RunSpec) -> Any:
    return SimpleNamespace(spec=spec, key=spec.key, run=RUN_ONE)


def test_fleets_leave_such_runs_alone_and_tasks_at_once_ignore_it(taped: Recorders) -> None:
    config = SMALL.model_copy(update={"cuda_graph": True})
    members = [Member(Trainer(config, seed=s, device="cpu"), Plain(), make_task(), features_of(Plain)) for s in (0, 1)]
    with pytest.raises(DalibError, match="CUDA graphs; run these runs one at a time"):
        fit_fleet(members)
    specs = [
        RunSpec(data=DataSpec(dataset="a"), source="s", target="t", algorithm="dann", train=config, seed=s)
        for s in (0, 1)
    ]
    assert [_group(job_of(spec)) for spec in specs] == [spec.key for spec in specs]
    assert len({_group(job_of(spec.model_copy(update={"train": SMALL}))) for spec in specs}) == 1
    states = []
    for cuda_graph in (False, True):
        tasks = {"a": (make_image_task(), Plain())}
        fitted = MultiTask(recipe(cuda_graph=cuda_graph), device="cpu").fit(tasks, make_backbone())
        states.append(copy_state(fitted["a"].algorithm))
    assert differing(*states) == []
    assert taped == []


def test_the_tape_repeats_memory_and_not_python() -> None:
    """What makes the tests above mean something."""
    x, w, kept = torch.ones(3), torch.ones(3, requires_grad=True), torch.zeros(())
    calls: list[int] = []

    def step() -> None:
        calls.append(1)
        w.grad = None
        (w * x * len(calls)).sum().backward()
        with torch.no_grad():
            w.sub_(w.grad)  # type: ignore[arg-type]
            kept.copy_(torch.rand(()))

    torch.manual_seed(0)
    play = TapeRecorder(torch.device("cpu")).record(step)
    assert w.tolist() == [1, 1, 1]
    x.fill_(2.0)
    play()
    play()
    assert calls == [1]
    assert w.tolist() == [-3, -3, -3]
    torch.manual_seed(0)
    torch.rand(())
    assert torch.equal(kept, torch.rand(()))


@pytest.mark.parametrize("act", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: bool(x.any())])
def test_the_tape_refuses_what_waits(act: Callable[[Tensor], Any]) -> None:
    with pytest.raises(RuntimeError, match="not permitted"), Tape():
        act(torch.ones(3))
