"""The contract of algorithms that answer for pixels or boxes: `loss` and `training` in the world of scenes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dalib.checks.dense_world import attached, batches, fit, kind_of, make_task
from dalib.checks.result import require
from dalib.checks.state import changed_attributes, plain_state
from dalib.checks.training import Interrupted
from dalib.checks.world import checkpoint_file, equal_states, same_bits, seeded
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model, save_model

_REFERENCE: dict[type[Algorithm], Fitted] = {}


def _reference(cls: type[Algorithm]) -> Fitted:
    if cls not in _REFERENCE:
        _REFERENCE.clear()
        _REFERENCE[cls] = fit(cls)
    return _REFERENCE[cls]


def _terms(algorithm: Algorithm, rows: tuple[Source, Target], progress: float) -> Terms:
    with seeded(0):
        return algorithm.loss(*rows, progress)


def check_pixel_terms_are_finite_and_learn(cls: type[Algorithm]) -> None:
    """Named scalars, finite at every progress and with unequal batches; each moves something that trains."""
    for progress, sizes in ((0.0, (4, 4)), (0.5, (4, 3)), (1.0, (3, 4))):
        algorithm = attached(cls)
        terms = _terms(algorithm, batches(algorithm, sizes), progress)
        trained = [p for p in algorithm.parameters() if p.requires_grad]
        for name, value in terms.items():
            require(value.ndim == 0 and value.isfinite(), f"loss term '{name}' is {value} at progress {progress}")
            require(value.requires_grad, f"loss term '{name}' has no gradient at all; something detaches its inputs")
            grads = torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True)
            require(
                all(g is None or g.isfinite().all() for g in grads), f"the gradient of loss term '{name}' is not finite"
            )
            moves = any(g is not None and bool(g.any()) for g in grads)
            require(moves or progress < 1, f"loss term '{name}' has zero gradient at the end: it adapts nothing")


def check_pixel_loss_is_pure(cls: type[Algorithm]) -> None:
    algorithm = attached(cls)
    rows = batches(algorithm)
    state, before = {k: v.clone() for k, v in algorithm.state_dict().items()}, plain_state(algorithm)
    first = _terms(algorithm, rows, 0.5)
    changed = changed_attributes(before, plain_state(algorithm))
    require(not changed, f"loss keeps state in the attribute '{(changed or [''])[0]}'; use register_buffer in build")
    algorithm.load_state_dict(state)
    again = _terms(algorithm, rows, 0.5)
    for name, value in first.items():
        require(torch.equal(value, again[name]), f"loss term '{name}' differs between two calls with the same inputs")


def check_pixel_seed_decides_everything(cls: type[Algorithm]) -> None:
    with seeded(99):
        again = fit(cls)
    where = equal_states(_reference(cls).algorithm, again.algorithm)
    require(
        not where, f"two fits with seed 0 differ in '{where}'; a global generator, a clock or a plain attribute decides"
    )
    require(equal_states(again.algorithm, fit(cls, seed=1).algorithm), "seeds 0 and 1 give the same weights")


def check_pixel_target_labels_are_unread(cls: type[Algorithm]) -> None:
    task = make_task(kind_of(cls))
    wrong = np.roll(task.test.labels, 1, axis=0 if task.objective == "detection" else 2)
    poisoned = replace(task, target=replace(task.target, y=wrong), test=replace(task.test, y=wrong))
    where = equal_states(_reference(cls).algorithm, fit(cls, poisoned).algorithm)
    require(not where, f"'{where}' changes with the target's masks; training may not read them")


def check_pixel_exact_resume(cls: type[Algorithm]) -> None:
    def kill(fitted: Fitted, step: int) -> dict[str, float]:
        raise Interrupted

    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint_file(folder)
        stopped = False
        try:
            fit(cls, checkpoint=path, checkpoint_seconds=-1.0, evaluate=kill)
        except Interrupted:
            stopped = True
        require(stopped and path.is_file(), "nothing was saved on the way; train through trainer.descend")
        resumed = fit(cls, checkpoint=path, checkpoint_seconds=1e9)
    where = equal_states(_reference(cls).algorithm, resumed.algorithm)
    require(not where, f"'{where}' differs after a resume; keep everything that changes in parameters or buffers")


def check_pixel_outputs(cls: type[Algorithm]) -> None:
    """predict gives z (n, d) and (n, K, H, W) or boxes, each picture by itself, and a saved model predicts the same."""
    fitted, domain = _reference(cls), make_task(kind_of(cls)).test
    outputs = fitted.outputs(domain)
    shape, boxes = tuple(outputs.prediction.shape), domain.objective == "detection"
    if boxes:
        require(len(shape) == 3 and shape[::2] == (len(domain), 6), f"answers {shape}, not (n, D, 6)")
    else:
        require(shape == domain.labels.shape, f"answers {shape}, not a map each")
    some, all_ = fitted.outputs(domain.take(np.arange(3), "three")).prediction, outputs.prediction[:3]
    alike = torch.isclose(some, all_, rtol=1e-4, atol=1e-4) if boxes else some == all_
    require(alike.float().mean() > 0.99, "a picture's answer depends on those beside it")
    name = ALGORITHMS.name_of(cls)
    if name:
        with tempfile.TemporaryDirectory() as folder:
            loaded = load_model(save_model(fitted, Path(folder) / "model", name), device="cpu")
        require(same_bits(loaded.outputs(domain).prediction, outputs.prediction), "a loaded model predicts otherwise")


DENSE_CHECKS = (
    check_pixel_terms_are_finite_and_learn,
    check_pixel_loss_is_pure,
    check_pixel_seed_decides_everything,
    check_pixel_target_labels_are_unread,
    check_pixel_exact_resume,
    check_pixel_outputs,
)
