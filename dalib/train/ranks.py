"""One fit over several processes: each passes its share of the rows through the network, and all see the whole batch.

Every rank draws the same batch, takes its own share of it through the network, and gathers features and predictions of
all rows, with gradients. The algorithm's loss is then the loss of the whole batch on every rank, whatever it does with
pairs of rows; it is divided by the number of ranks, and gradients are summed over ranks, which makes them those of one
process. Batch norms normalise by the whole batch, as `torch.nn.SyncBatchNorm` does, which knows no CPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.rows import Input, count, pick
from dalib.nn.batch_norms import BATCH_NORMS
from dalib.train.device import rng_state, set_rng_state

if TYPE_CHECKING:
    from dalib.train.config import TrainConfig

PATIENCE = timedelta(hours=2)
"""How long a rank waits for another, which may be evaluating."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of one fit, which `torch.distributed` connects.

    Args
        rank: from 0; the first one evaluates, prints and writes files
        size: how many there are, >= 2
    """

    rank: int
    size: int

    @property
    def first(self) -> bool:
        return self.rank == 0

    def check(self, algorithm: Algorithm, config: TrainConfig) -> None:
        """Raise DalibError for what cannot be shared: a method that is solved, one that says why, a small batch."""
        name = algorithm.name_for_people()
        if isinstance(algorithm, FeatureAlgorithm):
            raise DalibError(f"{name} is solved, not descended to, so processes have nothing to share; start one")
        if algorithm.undivided:
            raise DalibError(f"{name} cannot share a step over processes: {algorithm.undivided}; start one")
        for setting in ("compile", "cuda_graph"):
            if getattr(config, setting):
                raise DalibError(f"train.{setting} does not go with several processes; leave it out, or start one")
        ways, each = algorithm.episode
        rows = ways * each or config.batch_size
        if rows < self.size:
            raise DalibError(f"batches of {rows} rows cannot be shared by {self.size} processes; start {rows} or fewer")

    def share(self, rows: int) -> slice:
        """This rank's rows of so many, in order; shares differ by one row at most."""
        return slice(self.rank * rows // self.size, (self.rank + 1) * rows // self.size)

    def through(self, network: nn.Module, x: Input, seed: int) -> tuple[Tensor, Tensor]:
        """z (B, …) and prediction (B, …) of all rows in fp32, of which this rank computes its share.

        Args
            x: all rows, the same on every rank
            seed: of this pass, for dropout, which differs between ranks; global generators are left as they were
        """
        n, device = count(x), next(network.parameters()).device
        before = rng_state(device)
        torch.manual_seed((seed * self.size + self.rank) % 2**63)
        with _synchronised(network):
            z, prediction = network(pick(x, self.share(n)))
        set_rng_state(before, device)
        return self.gather(z.float(), n), self.gather(prediction.float(), n)

    def gather(self, own: Tensor, rows: int) -> Tensor:
        """All ranks' rows (rows, …), from each one's share; gradients flow back to every share."""
        whole = own.new_zeros(rows, *own.shape[1:])
        whole[self.share(rows)] = own
        return _sum(whole)

    @contextmanager
    def descending(self) -> Iterator[None]:
        """Inside is the step's own backward pass, from this rank's part of the one loss that all have."""
        _Sum.descending = True
        try:
            yield
        finally:
            _Sum.descending = False

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Give every parameter the sum of all ranks' gradients, in one message per kind of number."""
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for p in parameters:
            if p.grad is not None:
                kinds.setdefault(p.grad.dtype, []).append(p.grad)
        for gradients in kinds.values():
            flat = torch.cat([g.reshape(-1) for g in gradients])
            dist.all_reduce(flat)
            for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def agree(self, number: int, what: str) -> None:
        """Raise DalibError, on every rank, unless all give the same number."""
        told: list[int] = [0] * self.size
        dist.all_gather_object(told, number)
        if len(set(told)) > 1:
            raise DalibError(f"processes differ in {what}: {told}; let all of them read the same files")


def find_ranks() -> Ranks | None:
    """This process among those that `torch.distributed` connects; None where it is alone."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() < 2:
        return None
    return Ranks(dist.get_rank(), dist.get_world_size())


def need_ranks() -> Ranks | None:
    """`find_ranks`, for a fit that is to be shared.

    Raises
        DalibError: `torchrun` has started several processes, which are not connected
    """
    if launched() and not dist.is_initialized():
        raise DalibError(
            f"distributed = True in one of {os.environ['WORLD_SIZE']} processes that are not connected; call "
            "torch.distributed.init_process_group() first, or fit inside `with dalib.train.ranks.connected(device)`"
        )
    return find_ranks()


def launched() -> bool:
    """True in one of several processes that `torchrun` has started."""
    size = os.environ.get("WORLD_SIZE", "1")
    return size.isdigit() and int(size) > 1 and "RANK" in os.environ


@contextmanager
def connected(device: str) -> Iterator[tuple[Ranks | None, str]]:
    """Inside, processes that `torchrun` has started are connected: this one's rank, and the device that is its own.

    Alone, or where they are connected already, nothing is opened. CUDA devices are given out by LOCAL_RANK.
    """
    if dist.is_available() and dist.is_initialized():
        yield find_ranks(), device
        return
    if not launched():
        yield None, device
        return
    kind, _, number = device.partition(":")
    if kind == "cuda" and number:
        raise DalibError(f"device '{device}' is one for all processes; give cuda, and each takes its own")
    on_gpu = kind == "cuda" or (kind == "auto" and torch.cuda.is_available())
    own = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if on_gpu else device
    if on_gpu and int(os.environ.get("LOCAL_RANK", "0")) >= torch.cuda.device_count():
        raise DalibError(
            f"{os.environ.get('LOCAL_WORLD_SIZE', 'several')} processes on {torch.cuda.device_count()} GPUs; start one "
            "per GPU, or give --device cpu (device='cpu')"
        )
    if on_gpu:
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield find_ranks(), own
        dist.barrier()  # the first one may still be writing: none leaves before the others are done
    finally:
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum over ranks, on every rank; so is its gradient, which is this rank's part of the whole one."""

    descending = False
    """True in the step's own backward pass; of no thread, for devices have threads of their own."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        if not _Sum.descending:
            raise DalibError(
                "the algorithm differentiates its loss through the network itself, where a process has the gradient of "
                "its own rows alone; start one process, and say undivided = 'why' in its class"
            )
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def _sum(x: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


@contextmanager
def _synchronised(network: nn.Module) -> Iterator[None]:
    """Inside, batch norms in training normalise by the rows of all ranks together.

    Raises
        DalibError: a layer that normalises by the batch in a way of its own
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    for norm in norms:
        if type(norm) not in BATCH_NORMS:
            raise DalibError(
                f"{type(norm).__name__} looks at the batch in a way that processes cannot share; start one"
            )
    own: list[Callable[[Tensor], Tensor]] = [partial(_batch_norm, norm) for norm in norms]
    try:
        for norm, forward in zip(norms, own, strict=True):
            norm.__dict__["forward"] = forward
        yield
    finally:
        for norm in norms:
            norm.__dict__.pop("forward", None)


def _batch_norm(norm: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    """What `norm` makes of the rows of all ranks together, for those of this one; x (b, C, …)."""
    others = [0, *range(2, x.ndim)]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    rows = x.float()
    count = rows.new_tensor([rows.numel() / rows.shape[1]])
    told = _sum(torch.cat([rows.sum(others), count]))
    mean, n = told[:-1] / told[-1], told[-1].detach()
    centred = rows - mean.view(shape)
    variance = _sum(centred.square().sum(others)) / n
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked += 1
            weight = norm.momentum if norm.momentum is not None else 1.0 / float(norm.num_batches_tracked)
            norm.running_mean.lerp_(mean.to(norm.running_mean), weight)
            norm.running_var.lerp_((variance * n / (n - 1)).to(norm.running_var), weight)
    y = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        y = y * norm.weight.view(shape) + norm.bias.view(shape)
    return y.to(x.dtype)
