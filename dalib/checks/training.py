"""A whole fit: the seed decides everything, target labels stay unread, a resumed run ends as an uninterrupted one."""

from __future__ import annotations

import pickle
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dalib.checks.result import require
from dalib.checks.state import changed_attributes, plain_state
from dalib.checks.world import (
    DIM,
    K,
    accuracy,
    checkpoint_file,
    equal_states,
    fit,
    kind_of,
    make_task,
    reference_fit,
    same_bits,
    seeded,
)
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain
from dalib.train.model_file import load_model, save_model


def _numpy_state() -> bytes:
    """The state of NumPy's global generator, comparable."""
    return pickle.dumps(np.random.get_state())  # noqa: NPY002


class Interrupted(Exception):
    """Stands for a kill in the middle of training."""


class _SourceOnly(Algorithm):
    uses_target = False


def check_global_generators_are_left_alone(cls: type[Algorithm]) -> None:
    """Torch's generator belongs to the run while it trains; NumPy's and Python's global ones are never drawn from."""
    reference_fit(cls)  # imports done: some libraries draw a number when they are first loaded
    before = torch.get_rng_state(), _numpy_state(), random.getstate()
    fit(cls)
    require(
        before[1] == _numpy_state(),
        "the algorithm draws from NumPy's global random generator; draw from torch, which the trainer seeds",
    )
    require(
        before[2] == random.getstate(),
        "the algorithm draws from Python's global random generator; draw from torch, which the trainer seeds",
    )
    require(
        torch.equal(before[0], torch.get_rng_state()),
        "training changes torch's generator outside the run; do not fork or seed it in the algorithm",
    )


def check_seed_decides_everything(cls: type[Algorithm]) -> None:
    """Global generators in another state change nothing; another seed changes a deep algorithm's weights."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(99)
        np.random.seed(99)  # noqa: NPY002
        with seeded(99):
            again = fit(cls)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
    where = equal_states(reference_fit(cls).algorithm, again.algorithm)
    require(
        not where,
        f"two fits with seed 0 differ in '{where}'; a global generator, a clock or state outside buffers decides",
    )
    if not issubclass(cls, FeatureAlgorithm):
        other = fit(cls, seed=1)
        require(
            equal_states(again.algorithm, other.algorithm),
            "seeds 0 and 1 give the same weights; do not seed a generator in the algorithm",
        )


def check_target_labels_are_unread(cls: type[Algorithm]) -> None:
    """The labels that metrics are computed from are scrambled, and so are those of a target that carries some."""
    task = make_task()
    wrong = np.roll(task.test.labels, 1)
    poisoned = replace(task, target=replace(task.target, y=wrong), test=replace(task.test, y=wrong))
    where = equal_states(reference_fit(cls).algorithm, fit(cls, poisoned).algorithm)
    require(not where, f"'{where}' changes with the target's labels; training may not read them, nor target metrics")


def check_target_is_handed_over_without_labels(cls: type[Algorithm]) -> None:
    """The algorithm's own fit runs on a target whose y is None (asking for its labels raises DalibError)."""
    seen: list[Domain] = []

    class Watching(cls):  # type: ignore[misc, valid-type]
        def fit(self, trainer: object, source: Domain, target: Domain) -> None:
            seen.append(target)
            super().fit(trainer, source, target)

    fit(Watching, steps=1)
    require(seen and seen[0].y is None, "the target handed to fit has labels")


def check_state_stays_in_buffers(cls: type[Algorithm]) -> None:
    """Training leaves no attribute behind that a checkpoint would not hold."""
    states: list[dict[str, object]] = []

    class Watching(cls):  # type: ignore[misc, valid-type]
        def attach(self, network: Network) -> None:
            super().attach(network)
            states.append(plain_state(self))

    fitted = fit(Watching, steps=6)
    changed = changed_attributes(states[0], plain_state(fitted.algorithm))
    require(
        not changed, f"training keeps state in the attribute '{(changed or [''])[0]}'; use register_buffer in build"
    )


def check_exact_resume(cls: type[Algorithm]) -> None:
    """Killed at half-time and resumed from the checkpoint: the weights of an uninterrupted run, bit for bit."""

    def kill(step: int, steps: int) -> None:
        raise Interrupted

    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint_file(folder)
        try:
            fit(cls, checkpoint=path, checkpoint_seconds=-1.0, report=kill)
        except Interrupted:
            require(path.is_file(), "nothing was saved before the interruption; train through trainer.descend")
        resumed = fit(cls, checkpoint=path, checkpoint_seconds=1e9)
    where = equal_states(reference_fit(cls).algorithm, resumed.algorithm)
    require(not where, f"'{where}' differs after a resume; keep everything that changes in parameters or buffers")


def check_state_round_trip(cls: type[Algorithm]) -> None:
    """The state dict in a fresh instance, and the model file, predict what the fitted one predicts."""
    fitted, domain = reference_fit(cls), make_task().test
    expected = fitted.outputs(domain).logits
    fresh = cls(**fitted.algorithm.hparams)
    with seeded(5):
        width = 0 if issubclass(cls, FeatureAlgorithm) else fitted.config.bottleneck
        fresh.attach(Network(identity(DIM), K, width, objective=find_objective(kind_of(cls))))
    fresh.load_state_dict(fitted.algorithm.state_dict())
    got = replace(fitted, algorithm=fresh).outputs(domain).logits
    require(same_bits(got, expected), "a fresh instance with the fitted state dict predicts otherwise; use buffers")
    name = ALGORITHMS.name_of(cls)
    if name:
        with tempfile.TemporaryDirectory() as folder:
            loaded = load_model(save_model(fitted, Path(folder) / "model", name), device="cpu")
        require(same_bits(loaded.outputs(domain).logits, expected), "a saved and loaded model predicts otherwise")


def check_outputs(cls: type[Algorithm]) -> None:
    """predict gives z (n, d) and logits (n, K), finite, each row by itself."""
    fitted, domain = reference_fit(cls), make_task().test
    with torch.no_grad():
        z, logits = fitted.algorithm.predict(torch.as_tensor(domain.x))
    n = len(domain)
    for name, value in (("z", z), ("logits", logits)):
        require(value.dtype in (torch.float32, torch.float64), f"predict returns {name} in {value.dtype}; use float32")
        require(value.ndim == 2 and len(value) == n, f"predict returns {name} {tuple(value.shape)} for {n} rows")
        require(value.isfinite().all(), f"predict returns {name} that are not finite")
    expected = K + cls.rejects
    require(logits.shape[1] == expected, f"predict returns {logits.shape[1]} logits for {expected} classes")
    some = fitted.outputs(domain.take(np.arange(5), "five")).logits
    require(
        torch.allclose(some, logits[:5].float(), rtol=1e-4, atol=1e-5),
        "the prediction of a row depends on the rows beside it; use statistics from training",
    )


def check_no_harm_without_shift(cls: type[Algorithm]) -> None:
    """Source and target from one distribution: at most 5 points of accuracy below the same model without adaptation."""
    task = make_task(n=128, shift=0.0)
    plain = FeatureAlgorithmBaseline if issubclass(cls, FeatureAlgorithm) else _SourceOnly
    reached, expected = (accuracy(fit(c, task, steps=60), task.test) for c in (cls, plain))
    require(
        reached >= expected - 0.05,
        f"without a shift accuracy falls from {100 * expected:.0f} % to {100 * reached:.0f} %; the defaults do harm",
    )


class FeatureAlgorithmBaseline(FeatureAlgorithm):
    """The classifier on unmoved features."""


def check_bf16_training(cls: type[Algorithm]) -> None:
    """Autocast to bfloat16 trains to within 10 points of accuracy of fp32."""
    fitted, domain = fit(cls, precision="bf16"), make_task().labelled
    require(fitted.outputs(domain).logits.isfinite().all(), "logits are not finite after training in bf16")
    exact, coarse = accuracy(reference_fit(cls), domain), accuracy(fitted, domain)
    require(
        coarse >= exact - 0.1,
        f"source accuracy is {100 * coarse:.0f} % in bf16 and {100 * exact:.0f} % in fp32; compute in fp32 in loss",
    )


def check_separate_forwards(cls: type[Algorithm]) -> None:
    """forward = 'separate' trains too."""
    logits = fit(cls, forward="separate", steps=3).outputs(make_task().test).logits
    require(logits.isfinite().all(), "logits are not finite after training with forward = 'separate'")


def check_target_order_is_irrelevant(cls: type[Algorithm]) -> None:
    """A solved method gives the same predictions when the target's rows come in another order."""
    task = make_task()
    order = np.random.default_rng(0).permutation(len(task.target))
    shuffled = replace(task, target=task.target.take(order, "shuffled"))
    expected, got = (fit(cls, t).outputs(task.test).logits for t in (task, shuffled))
    require(torch.allclose(got, expected, rtol=1e-3, atol=1e-3), "predictions depend on the order of target rows")


def check_degenerate_rows_stay_finite(cls: type[Algorithm]) -> None:
    """A solved method survives constant target rows, a constant column and a class without source rows."""
    task = make_task()
    flat = replace(task.target, x=np.ones_like(task.target.x))
    column = np.array(task.labelled.x)
    column[:, 0] = 1.0
    two = np.flatnonzero(task.labelled.labels < K - 1)
    for when, changed in {
        "when all target rows are alike": replace(task, target=flat),
        "when a source column is constant": replace(task, labelled=replace(task.labelled, x=column)),
        "when a class has no source rows": replace(task, labelled=task.labelled.take(two, "two classes")),
    }.items():
        outputs = fit(cls, changed).outputs(task.test)
        require(outputs.z.isfinite().all(), f"z is not finite {when}; clamp eigenvalues or add an eps")
        require(not outputs.logits.isnan().any(), f"logits are nan {when}; clamp eigenvalues or add an eps")


COMMON_CHECKS = (
    check_global_generators_are_left_alone,
    check_seed_decides_everything,
    check_target_labels_are_unread,
    check_target_is_handed_over_without_labels,
    check_state_round_trip,
    check_outputs,
    check_no_harm_without_shift,
)
DEEP_CHECKS = (check_state_stays_in_buffers, check_exact_resume, check_bf16_training, check_separate_forwards)
SOLVED_CHECKS = (check_target_order_is_irrelevant, check_degenerate_rows_stay_finite)
