"""Everything that touches devices: choice, precision, memory format, peak memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

import torch
from torch import Tensor

from dalib.core.errors import DalibError
from dalib.core.rows import Input


def pick_device(name: str = "auto") -> torch.device:
    """`auto` = CUDA where there is one, else the CPU; anything else as torch spells it (`cuda:1`, `mps`).

    Raises
        DalibError: the name is no device, or nothing can be computed on it here
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DalibError(f"no device '{name}'; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise DalibError(f"device '{name}' is not available here ({torch.cuda.device_count()} GPUs); use auto or cpu")
    if device.type != "cpu":
        try:
            _ = (torch.zeros(1, device=device) + 1).item()
        except torch.OutOfMemoryError:
            raise
        except Exception:  # whatever a back end that is not built in says
            raise DalibError(f"device '{name}' is not available here; use auto or cpu") from None
    return device


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """bf16 arithmetic inside the network for `precision='bf16'`; losses are computed outside it, in fp32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def arrange(x: Input, channels_last: bool) -> Input:
    """Image batches (B, C, H, W) in the memory format asked for; all others as they are."""
    if not channels_last:
        return x
    if isinstance(x, dict):
        return {name: arrange(part, True) for name, part in x.items()}
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def rng_state(device: torch.device) -> dict[str, Tensor]:
    """State of the global generators that dropout draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_rng_state(state: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """A run's own stream of random numbers; the caller's global generators are left as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def peak_memory(device: torch.device) -> dict[str, int]:
    """Peak bytes so far: `host` (0 where the system does not tell) and `device` (CUDA allocator; 0 elsewhere)."""
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return {"host": _peak_of_process(), "device": on_device}


def _peak_of_process() -> int:
    with suppress(OSError, StopIteration):  # of this program alone: ru_maxrss begins with what its starter had
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
