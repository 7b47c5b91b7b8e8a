"""A frozen backbone's features of a domain, computed once and cached by content."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from dalib.backbones._weights import hash_state
from dalib.core.backbone import Backbone
from dalib.core.memory import hold_memory
from dalib.core.types import Domain
from dalib.data.cache import cached_array, content_of
from dalib.data.loaded import LoadedData
from dalib.feed.stores import open_store


def embed_images(backbone: Backbone, domain: Domain, device: torch.device, batch_size: int = 64) -> np.ndarray:
    """Features (n, dim) float32 of every row: evaluation mode, centre crop, no gradient.

    The module moves to the device and stays there; its training flags are restored.
    """
    store = open_store(backbone, domain, device)
    module = backbone.module.to(device)
    out = np.empty((len(domain), backbone.dim), np.float32)
    training = {m: m.training for m in module.modules()}
    module.eval()
    try:
        with hold_memory(), torch.inference_mode():
            for rows in torch.arange(len(domain)).split(batch_size):
                out[rows.numpy()] = module(store.batch(rows)).float().cpu().numpy()
    finally:
        for part, flag in training.items():
            part.training = flag
    return out


def embed_domain(backbone: Backbone, domain: Domain, device: torch.device, weights: str = "") -> Domain:
    """The domain with features instead of images; a second call with the same images and weights reads the cache.

    Algorithms, seeds and processes share it: of several that need the same features at once one makes them. The weights
    count as they are now, so random and fine-tuned ones are told apart, and so do the rows: content decides, not the
    domain's fingerprint, which may be any word. Devices are not told apart: float32 features of a CPU and a GPU differ
    by rounding only.

    Args
        weights: their hash where it is known, to save the time of another
    """
    weights = weights or hash_state(backbone.module)
    content = f"{content_of(domain.x)}|{backbone.name}|{weights}|{backbone.preprocess}|{describe_code(backbone)}"
    key = hashlib.sha256(content.encode()).hexdigest()
    x = cached_array(f"features-{domain.name}-{backbone.name}", key, lambda: embed_images(backbone, domain, device))
    return domain.with_x(x, f"embedded({key[:16]})")


def describe_code(backbone: Backbone) -> str:
    """What a module computes beside its weights: its parts, and of those written by a user their source and values."""
    told = [repr(backbone.module)]
    for part in backbone.module.modules():
        cls = type(part)
        if cls.__module__.partition(".")[0] in ("torch", "torchvision", "timm", "transformers", "open_clip", "dalib"):
            continue
        own = {k: v for k, v in vars(part).items() if k not in _OF_EVERY_MODULE}
        own |= {k: part.get_buffer(k) for k in part._non_persistent_buffers_set}
        told.append(f"{_source_of(cls)} {_describe(own)}")
    return hashlib.sha256("\n".join(told).encode(errors="surrogateescape")).hexdigest()


_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def _source_of(item: Any) -> str:
    try:
        return inspect.getsource(item)
    except (OSError, TypeError):
        return f"{getattr(item, '__module__', '')}.{getattr(item, '__qualname__', type(item).__qualname__)}"


def _describe(value: Any, depth: int = 5) -> str:
    """A value of a module as text that tells it from others; of objects no deeper than `depth`."""
    if isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type != "meta":
        plain = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(plain.tobytes()).hexdigest()}"
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, partial):
        return f"partial {_describe((value.func, value.args, value.keywords), depth - 1)}"
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, range, torch.dtype, torch.device)):
        return repr(value)
    if isinstance(value, nn.Module) or depth == 0:
        return type(value).__qualname__
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k!r}: {_describe(v, depth - 1)}' for k, v in value.items())}}}"
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = [_describe(v, depth - 1) for v in value]
        return f"{type(value).__name__} {sorted(parts) if isinstance(value, (set, frozenset)) else parts}"
    if inspect.isroutine(value) or inspect.isclass(value):
        return _source_of(value)
    return f"{type(value).__qualname__} {_describe(getattr(value, '__dict__', {}), depth - 1)}"


def embed_data(backbone: Backbone, data: LoadedData, device: torch.device) -> LoadedData:
    """An image data set as features of the backbone: every domain is embedded once, before any protocol splits it."""
    assert backbone.preprocess is not None
    resize, weights = backbone.preprocess.resize, hash_state(backbone.module)

    def load(name: str, _: int | None) -> Domain:
        return embed_domain(backbone, data.domain(name, resize), device, weights)

    return replace(data, kind="features", _load=load, _loaded={})
