"""The loss of a deep algorithm: named scalars, finite, pure, with a gradient where the idea says there is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dalib.checks.result import require
from dalib.checks.state import changed_attributes, plain_state
from dalib.checks.world import DIM, K, attached, batches, seeded, wrap
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target

WARM_UP = 8


def _terms(algorithm: Algorithm, source: Source, target: Target, progress: float | Tensor = 1.0) -> Terms:
    """The terms at a fixed state of torch's generator, checked for their form."""
    with seeded(0):
        terms = algorithm.loss(source, target, progress)
    require(isinstance(terms, dict) and terms, f"loss returned {type(terms).__name__}; return a dict of named terms")
    for name, value in terms.items():
        require(isinstance(value, Tensor), f"loss term '{name}' is a {type(value).__name__}; return a tensor")
        require(value.ndim == 0, f"loss term '{name}' has shape {tuple(value.shape)}; reduce it to a scalar")
        require(value.is_floating_point(), f"loss term '{name}' is {value.dtype}; return a float tensor")
    return terms


def _require_finite(terms: Terms, when: str) -> None:
    for name, value in terms.items():
        require(value.isfinite(), f"loss term '{name}' is {value.item()} {when}; clamp or add an eps where it divides")


def _require_finite_gradient(terms: Terms, leaves: list[Tensor], when: str) -> None:
    total = torch.stack([t.float() for t in terms.values()]).sum()
    require(total.requires_grad, "no loss term requires a gradient; something detaches z and logits")
    for grad in torch.autograd.grad(total, leaves, allow_unused=True):
        require(
            grad is None or grad.isfinite().all(),
            f"the gradient of the loss is not finite {when}; a square root, log or division needs an eps",
        )


def check_loss_terms_are_finite_scalars(cls: type[Algorithm]) -> None:
    """At the beginning, in the middle and at the end; progress may be a number or a tensor."""
    algorithm = attached(cls)
    for progress in (0.0, 0.5, 1.0, torch.tensor(0.5)):
        source, target = batches(algorithm)
        terms = _terms(algorithm, source, target, progress)
        _require_finite(terms, f"at progress {float(progress)}")
        _require_finite_gradient(terms, [source.z, target.z], f"at progress {float(progress)}")


def check_unequal_batch_sizes(cls: type[Algorithm]) -> None:
    algorithm = attached(cls)
    for sizes in ((18, 11), (11, 18)):
        try:
            terms = _terms(algorithm, *batches(algorithm, sizes=sizes))
        except (RuntimeError, ValueError, IndexError) as error:
            require(False, f"loss fails on B_s, B_t = {sizes} ({error}); B_s and B_t may differ")
        _require_finite(terms, f"with B_s, B_t = {sizes}")


def check_missing_class_in_batch(cls: type[Algorithm]) -> None:
    algorithm = attached(cls)
    source, target = batches(algorithm, classes=K - 1)
    terms = _terms(algorithm, source, target)
    _require_finite(terms, "when a class is missing from the batch")
    _require_finite_gradient(terms, [source.z, target.z], "when a class is missing from the batch")


def check_collapsed_features_stay_finite(cls: type[Algorithm]) -> None:
    """All rows alike, all rows zero, and predictions so confident that a probability underflows."""
    algorithm = attached(cls)
    y = torch.arange(18) % K
    rows = torch.as_tensor(batches(algorithm)[0].x)
    for when, z in {
        "when all features are alike": torch.ones(18, DIM),
        "when all features are zero": torch.zeros(18, DIM),
        "when predictions are certain": 1000 * rows,
    }.items():
        source, target = wrap(algorithm, z, z, y)
        terms = _terms(algorithm, source, target)
        _require_finite(terms, when)
        _require_finite_gradient(terms, [source.z, target.z], when)


def check_gradient_reaches_features(cls: type[Algorithm]) -> None:
    """After some steps in which only the algorithm's own modules learn, so that an adversary has something to say.

    Penalties, which are terms of the weights alone, have a check of their own.
    """
    algorithm = attached(cls)
    network = set(algorithm.network.parameters())
    own = [p for p in algorithm.parameters() if p not in network and p.requires_grad]
    if own:
        optimiser = torch.optim.Adam(own, lr=0.01)
        for _ in range(WARM_UP):
            optimiser.zero_grad()
            total = torch.stack(list(_terms(algorithm, *batches(algorithm)).values())).sum()
            total.backward()
            optimiser.step()
    source, target = batches(algorithm)
    terms = _terms(algorithm, source, target)
    reached = False
    for name in algorithm.penalty():
        terms.pop(name, None)
    for name, term in terms.items():
        require(term.requires_grad, f"loss term '{name}' has no gradient at all; something detaches its inputs")
        grads = torch.autograd.grad(term, [target.z, source.z, *own], retain_graph=True, allow_unused=True)
        sizes = [0.0 if g is None else float(g.abs().max()) for g in grads]
        require(max(sizes) > 1e-12, f"loss term '{name}' has zero gradient: it is constant and adapts nothing")
        reached |= sizes[0] > 1e-12
    require(
        reached or not cls.uses_target,
        "no loss term sends a gradient to the target's z or logits; if none should, set uses_target = False",
    )


def check_loss_is_pure(cls: type[Algorithm]) -> None:
    """Same inputs, parameters, buffers and generator state: same values; nothing is remembered outside buffers."""
    algorithm = attached(cls)
    source, target = batches(algorithm)
    state = {k: v.clone() for k, v in algorithm.state_dict().items()}
    inputs = [t.detach().clone() for t in (source.z, source.logits, target.z, target.logits)]
    before = plain_state(algorithm)
    first = _terms(algorithm, source, target, 0.5)
    changed = changed_attributes(before, plain_state(algorithm))
    require(not changed, f"loss keeps state in the attribute '{(changed or [''])[0]}'; use register_buffer in build")
    algorithm.load_state_dict(state)
    again = _terms(algorithm, source, target, 0.5)
    for name, value in first.items():
        require(torch.equal(value, again[name]), f"loss term '{name}' differs between two calls with the same inputs")
    now = (source.z, source.logits, target.z, target.logits)
    require(all(torch.equal(a, b) for a, b in zip(inputs, now, strict=True)), "loss writes into its inputs; clone them")


def check_row_order_is_irrelevant(cls: type[Algorithm]) -> None:
    """Both batches in another order: the same terms, up to rounding; dropout is off, and noise per row counts as none.

    A loss that draws a number per row is tried five times each way, and the means must agree within their spread.
    """
    algorithm = attached(cls).eval()
    source, target = batches(algorithm)
    chance = torch.Generator().manual_seed(7)
    order_s, order_t = (torch.randperm(len(rows), generator=chance) for rows in (source, target))
    shuffled = (
        replace(Source.of(source.z[order_s], source.logits[order_s], source.y[order_s]), index=source.index[order_s]),
        replace(Target.of(target.z[order_t], target.logits[order_t]), index=target.index[order_t]),
    )
    state = {k: v.clone() for k, v in algorithm.state_dict().items()}

    def values(batch: tuple[Source, Target], seed: int) -> dict[str, float]:
        algorithm.load_state_dict(state)
        with seeded(seed):
            return {k: float(v.detach()) for k, v in algorithm.loss(*batch, 0.5).items()}

    plain = [values((source, target), seed) for seed in range(5)]
    other = [values(shuffled, seed) for seed in range(5)]
    for name in plain[0]:
        before, after = (np.array([run[name] for run in runs]) for runs in (plain, other))
        allowed = 1e-3 * abs(before.mean()) + 1e-6 + 3 * before.std()
        gap = abs(before.mean() - after.mean())
        require(gap <= allowed, f"loss term '{name}' changes by {gap:.3g} when rows come in another order")


def check_loss_tolerates_bf16_inputs(cls: type[Algorithm]) -> None:
    """z and logits rounded to bfloat16 (8 bits) move every term by at most 5 % (or 0.05)."""
    algorithm = attached(cls)
    source, target = batches(algorithm)
    state = {k: v.clone() for k, v in algorithm.state_dict().items()}
    exact = _terms(algorithm, source, target)
    algorithm.load_state_dict(state)
    z_s, g_s, z_t, g_t = (t.detach().bfloat16().float() for t in (source.z, source.logits, target.z, target.logits))
    coarse = _terms(algorithm, Source.of(z_s, g_s, source.y), Target.of(z_t, g_t))
    for name, value in exact.items():
        gap, size = abs(float(value) - float(coarse[name])), abs(float(value))
        require(
            gap <= 0.05 * max(size, 1.0),
            f"loss term '{name}' moves from {float(value):.4g} to {float(coarse[name]):.4g} when z and logits are "
            "rounded to bf16; it amplifies rounding (differences of large numbers?)",
        )


LOSS_CHECKS = (
    check_loss_terms_are_finite_scalars,
    check_unequal_batch_sizes,
    check_missing_class_in_batch,
    check_collapsed_features_stay_finite,
    check_gradient_reaches_features,
    check_loss_is_pure,
    check_row_order_is_irrelevant,
    check_loss_tolerates_bf16_inputs,
)
