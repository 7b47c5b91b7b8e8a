"""What a loss costs, forward and backward: ours beside a textbook implementation and Transfer-Learning-Library's.

    python benchmarks/speed/losses.py [--quick] [--repeats 9] [--rows 36 128] [--only mmd jan] [--tll FOLDER]

All of one row add the source's cross-entropy, share discriminators and heads, and run in turn, 50 ms at a time, on the
same batch: B + B rows, d = 256, 31 classes, float32, one thread, in processor time. Value and gradient (features,
logits, parameters) are compared with the textbook's in float64. The floor is the time that the operations of the matrix
products, or the bytes of inputs, parameters and gradients, take at the machine's own rates; what is above it at these
sizes is the cost of calling operations. `--tll` is a checkout of github.com/thuml/Transfer-Learning-Library.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any

import _textbook_losses as textbook
import torch
import torch.nn.functional as F
from _peer_tll import load_tll
from _timing import Timing, compare, machine, print_table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dalib.core.algorithm import Algorithm
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target
from dalib.nn.adversarial import warm_up
from dalib.nn.entropy import prediction_entropy
from dalib.nn.spectrum import largest_squared_singular_value

D, K = 256, 31
C = float(warm_up(1.0))
BURST = 0.05
"""Seconds for which a candidate runs before the next one does: the first steps after a change pay for cold caches."""


@dataclass
class Batch:
    """Leaves: features and logits of both domains, and the source's labels."""

    z_s: Tensor
    z_t: Tensor
    l_s: Tensor
    l_t: Tensor
    y: Tensor

    @classmethod
    def draw(cls, n: int, dtype: torch.dtype = torch.float32) -> Batch:
        """Features after a ReLU, as a bottleneck gives them, around class centres; the target is shifted."""
        g = torch.Generator().manual_seed(0)
        centres, head = torch.randn(K, D, generator=g), torch.randn(D, K, generator=g) / D**0.5
        y = torch.randint(K, (2 * n,), generator=g)
        z = (
            (centres[y] + 0.7 * torch.randn(2 * n, D, generator=g))
            .add(0.3 * (torch.arange(2 * n) >= n)[:, None])
            .relu()
        )
        leaves = [x.to(dtype).requires_grad_() for x in (*z.split(n), *(z @ head).split(n))]
        return cls(leaves[0], leaves[1], leaves[2], leaves[3], y[:n])

    @property
    def leaves(self) -> list[Tensor]:
        return [self.z_s, self.z_t, self.l_s, self.l_t]

    @cached_property
    def pair(self) -> tuple[Source, Target]:
        return Source.of(self.z_s, self.l_s, self.y), Target.of(self.z_t, self.l_t)


Term = Callable[[Batch], Tensor]


@dataclass
class Case:
    """Three ways to one number; the parameters of `part` learn too. `peer_value`: the peer computes the same."""

    ours: Term
    textbook: Term
    peer: Term | None = None
    part: nn.Module | None = None
    peer_value: bool = True


def algorithm(name: str, **hparams: Any) -> Any:
    torch.manual_seed(1)
    made = ALGORITHMS.get(name)(**hparams)
    made.build(D, K)
    return made


def total(made: Algorithm) -> Term:
    """All of the loss, cross-entropy included."""
    return lambda b: reduce(add, made.loss(*b.pair, 1.0).values())


def plus_ce(term: Term, weight: float | None = 1.0) -> Term:
    """None: the term multiplies by its weight itself."""
    return lambda b: F.cross_entropy(b.l_s, b.y) + (term(b) if weight is None else weight * term(b))


def reversal(tll: Any, hi: float = 1.0) -> Any:
    layer = tll("modules.grl").WarmStartGradientReverseLayer(alpha=10.0, lo=0.0, hi=hi, max_iters=1, auto_step=False)
    layer.step()
    return layer


class Probability(nn.Module):
    """A discriminator that ends in a sigmoid, as Transfer-Learning-Library's: (B, 1)."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.discriminator(h))[:, None]


def discrepancies(tll: Any, n: int) -> dict[str, Case]:
    jan = algorithm("jan")
    cases = {
        "mmd": Case(total(algorithm("mmd")), lambda b: textbook.mk_mmd(b.z_s, b.z_t)),
        "jan": Case(total(jan), lambda b: textbook.joint_mmd(b.z_s, b.z_t, b.l_s, b.l_t, jan.sigma)),
        "deep_coral": Case(total(algorithm("deep_coral", weight=1.0)), lambda b: textbook.deep_coral(b.z_s, b.z_t)),
    }
    if tll:
        gaussian, offset = tll("modules.kernels").GaussianKernel, 2.0 / (n - 1)
        kernels = [gaussian(alpha=2**k) for k in range(-3, 2)]
        one = [gaussian(sigma=jan.sigma, track_running_stats=False)]
        dan = tll("alignment.dan").MultipleKernelMaximumMeanDiscrepancy(kernels)
        joint = tll("alignment.jan").JointMultipleKernelMaximumMeanDiscrepancy([kernels, one], linear=False)
        coral = tll("alignment.coral").CorrelationAlignmentLoss()
        cases["mmd"].peer = lambda b: dan(b.z_s, b.z_t) - offset
        cases["jan"].peer = lambda b: joint((b.z_s, b.l_s.softmax(1)), (b.z_t, b.l_t.softmax(1))) - offset
        cases["deep_coral"].peer, cases["deep_coral"].peer_value = lambda b: coral(b.z_s, b.z_t), False
    return cases


def adversaries(tll: Any, n: int) -> dict[str, Case]:
    dann, mdd, mcd = algorithm("dann"), algorithm("mdd"), algorithm("mcd")
    exact, random = algorithm("cdan", map="exact"), algorithm("cdan", map="random")
    maps = (random.R_z, random.R_p)
    c = C * mdd.reversal
    cases = {
        "dann": Case(total(dann), lambda b: textbook.dann(dann.discriminator, b.z_s, b.z_t, C), part=dann),
        "cdan exact": Case(
            total(exact), lambda b: textbook.cdan(exact.discriminator, b.z_s, b.z_t, b.l_s, b.l_t, C), part=exact
        ),
        "cdan random": Case(
            total(random),
            lambda b: textbook.random_cdan(random.discriminator, random_maps(random), b.z_s, b.z_t, b.l_s, b.l_t, C),
            part=random,
        ),
        "mdd": Case(
            total(mdd),
            lambda b: textbook.mdd(mdd.adversary, b.z_s, b.z_t, b.l_s, b.l_t, mdd.margin, c),
            part=mdd,
        ),
        "mcd": Case(
            plus_ce(lambda b: mcd._discrepancy(b.pair[1]), None),
            lambda b: textbook.mcd(mcd.second, b.z_t, b.l_t),
            part=mcd,
        ),
    }
    if tll:
        loss = tll("alignment.dann").DomainAdversarialLoss(Probability(dann.discriminator), grl=reversal(tll))
        cases["dann"].peer = lambda b: loss(b.z_s, b.z_t)
        conditional = tll("alignment.cdan").ConditionalDomainAdversarialLoss
        for name, made in (("cdan exact", exact), ("cdan random", random)):
            width = {"randomized": True, "num_classes": K, "features_dim": D} if name == "cdan random" else {}
            peer = conditional(Probability(made.discriminator), **width)
            peer.grl = reversal(tll)
            if width:
                peer.map.Rf, peer.map.Rg = maps
            cases[name].peer = lambda b, peer=peer: peer(b.l_s, b.z_s, b.l_t, b.z_t)
        margin = tll("alignment.mdd").ClassificationMarginDisparityDiscrepancy(mdd.margin)
        grl = reversal(tll, mdd.reversal)

        def disparity(b: Batch) -> Tensor:
            a_s, a_t = mdd.adversary(grl(torch.cat([b.z_s, b.z_t]))).chunk(2)
            return -margin(b.l_s, a_s, b.l_t, a_t)

        cases["mdd"].peer = disparity
        between = tll("alignment.mcd").classifier_discrepancy
        cases["mcd"].peer = lambda b: between(b.l_t.softmax(1), mcd.second(b.z_t).softmax(1))
    return cases


def random_maps(made: Algorithm) -> tuple[Tensor, Tensor]:
    return made.R_z, made.R_p  # type: ignore[return-value]


def regularisers(tll: Any, n: int) -> dict[str, Case]:
    mcc, afn = algorithm("mcc"), algorithm("afn")
    cases = {
        "mcc": Case(total(mcc), lambda b: textbook.mcc(b.l_t, mcc.temperature)),
        "afn": Case(
            total(afn),
            lambda b: (
                afn.weight * textbook.afn(b.z_s, b.z_t, afn.delta) + afn.ent_weight * textbook.mean_entropy(b.l_t)
            ),
        ),
        "bsp": Case(
            plus_ce(lambda b: largest_squared_singular_value(b.z_s) + largest_squared_singular_value(b.z_t)),
            lambda b: textbook.bsp(b.z_s, b.z_t),
        ),
        "entropy": Case(plus_ce(lambda b: prediction_entropy(b.l_t).mean()), lambda b: textbook.mean_entropy(b.l_t)),
        "bnm": Case(total(algorithm("bnm")), lambda b: -textbook.bnm(b.l_t)),
    }
    if tll:
        confusion = tll("self_training.mcc").MinimumClassConfusionLoss(mcc.temperature)
        norm, entropy = tll("normalization.afn").AdaptiveFeatureNorm(afn.delta), tll("modules.entropy").entropy
        spectral = tll("alignment.bsp").BatchSpectralPenalizationLoss()
        cases["mcc"].peer = lambda b: confusion(b.l_t)
        cases["bsp"].peer = lambda b: spectral(b.z_s, b.z_t)
        cases["entropy"].peer = lambda b: entropy(b.l_t.softmax(1), reduction="mean")
        cases["afn"].peer = lambda b: (
            afn.weight * (norm(b.z_s) + norm(b.z_t)) + afn.ent_weight * entropy(b.l_t.softmax(1), reduction="mean")
        )
    return cases


def step(term: Term, batch: Batch, part: nn.Module | None) -> tuple[Tensor, list[Tensor]]:
    """The value, and the gradients of the leaves and of the parameters that have one."""
    leaves = batch.leaves + ([p for p in part.parameters() if p.requires_grad] if part else [])
    for leaf in leaves:
        leaf.grad = None
    value = term(batch)
    value.backward()
    return value.detach(), [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]


def differences(found: tuple[Tensor, list[Tensor]], exact: tuple[Tensor, list[Tensor]]) -> tuple[float, float]:
    """Relative difference of the values; largest one of a leaf's gradient, as a fraction of its norm."""
    value = abs(float(found[0]) - float(exact[0])) / abs(float(exact[0]))
    gaps = [float((a.double() - b).norm() / b.norm()) for a, b in zip(found[1], exact[1], strict=True) if b.norm() > 0]
    return value, max(gaps)


def count_steps(term: Term, batch: Batch, part: nn.Module | None) -> int:
    """Steps that take `BURST` seconds, at least one; from the fastest of five."""
    taken = []
    for _ in range(5):
        begun = time.process_time()
        step(term, batch, part)
        taken.append(time.process_time() - begun)
    return max(1, round(BURST / min(taken)))


def make_cases(tll: Any, n: int) -> dict[str, Case]:
    return {**discrepancies(tll, n), **adversaries(tll, n), **regularisers(tll, n)}


def measure(name: str, n: int, tll: Any, repeats: int, rates: tuple[float, float]) -> list[str]:
    case, batch = make_cases(tll, n)[name], Batch.draw(n)
    terms = {"ours": case.ours, "textbook": plus_ce(case.textbook)}
    if case.peer:
        terms["peer"] = plus_ce(case.peer)
    precise = make_cases(None, n)[name]
    if precise.part:
        precise.part.double()
    exact = step(plus_ce(precise.textbook), Batch.draw(n, torch.float64), precise.part)
    gaps = {key: differences(step(term, batch, case.part), exact) for key, term in terms.items()}
    with FlopCounterMode(display=False) as counter:
        _, gradients = step(case.ours, batch, case.part)
    moved = 8 * sum(x.numel() for x in gradients)
    floor = max(counter.get_total_flops() / rates[0], moved / rates[1])
    bursts = {key: count_steps(term, batch, case.part) for key, term in terms.items()}

    def steps(key: str) -> None:
        for _ in range(bursts[key]):
            step(terms[key], batch, case.part)

    taken = compare({key: lambda key=key: steps(key) for key in terms}, repeats, 1, time.process_time)  # type: ignore[misc]
    times = {key: Timing.of([s / bursts[key] for s in timing.samples]) for key, timing in taken.items()}
    peer = times.get("peer")
    return [
        name, f"{n}+{n}", f"{times['ours'].median * 1e3:.3f}", f"{floor * 1e3:.3f}",
        str(times["textbook"].over(times["ours"])), str(peer.over(times["ours"])) if peer else "-",
        "{:.0e} / {:.0e}".format(*gaps["ours"]),
        "{:.0e} / {:.0e}".format(*gaps["peer"]) if peer and case.peer_value else ("other formula" if peer else "-"),
    ]  # fmt: skip


def measure_rates() -> tuple[float, float]:
    """Operations per second of a 512-wide matrix product, bytes per second of a copy of 32 MB; the best of ten."""
    a, b, c = torch.randn(512, 512), torch.randn(1 << 23), torch.zeros(1 << 23)
    times = compare({"product": lambda: a @ a, "copy": lambda: c.copy_(b)}, 10, 2, time.process_time)
    return 2 * 512**3 / min(times["product"].samples), 2 * 4 * len(b) / min(times["copy"].samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="36 + 36 rows only and few repeats, in about ten seconds")
    parser.add_argument("--rows", type=int, nargs="+", default=[36, 128])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", nargs="+", default=list(make_cases(None, 4)))
    parser.add_argument("--tll", type=Path, help="folder of a checkout of Transfer-Learning-Library")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tll, rates = load_tll(given.tll), measure_rates()
    repeats = 3 if given.quick else given.repeats
    sizes = [36] if given.quick else given.rows
    print(f"{machine()}; {rates[0] / 1e9:.0f} GFLOP/s, {rates[1] / 1e9:.1f} GB/s")
    print_table(
        "Losses, forward + backward: times the cost of ours (median and quartiles of ratios)",
        ["loss", "rows", "ours ms", "floor ms", "textbook / ours", "TLL / ours", "ours off by", "TLL off by"],
        [measure(name, n, tll, repeats, rates) for n in sizes for name in given.only],
    )
    print("\noff by: relative difference of the value / of the gradient from the textbook's in float64")


if __name__ == "__main__":
    main()
