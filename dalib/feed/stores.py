"""A domain as a backbone takes it: one array, or several modalities at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError
from dalib.core.rows import RowShape, row_shape
from dalib.core.types import Domain
from dalib.feed.batches import DomainStore, label_tensor


class FieldStore(DomainStore):
    """A domain of several modalities on the device: one `DomainStore` each, whose batches are a dictionary.

    Args
        domain: x is a structured array, one field per modality
        parts: image modality -> its preparation
        device: where batches are made
        rows: what the network was built for

    Attributes
        y: labels on the device, (n,) int64 or as the objective says, or None
    """

    def __init__(self, domain: Domain, parts: Mapping[str, Preprocess], device: torch.device, rows: RowShape) -> None:
        self.preprocess, self.device = None, device
        self.stores = {
            name: DomainStore(
                replace(domain, name=f"{domain.name}: {name}", x=domain.x[name], y=None), parts.get(name), device, part
            )
            for name, part in rows.fields.items()
        }
        self.y = None if domain.y is None else label_tensor(domain.y).to(device)

    def __len__(self) -> int:
        return len(next(iter(self.stores.values())))

    def batch(self, index: Tensor, **how: Any) -> Any:
        """{modality: rows of `index` (B,) as its `DomainStore.batch` gives them}; chance is drawn in their order."""
        return {name: store.batch(index, **how) for name, store in self.stores.items()}


def open_store(backbone: Backbone, domain: Domain, device: torch.device) -> DomainStore:
    """A domain as the backbone's module takes it.

    Raises
        DalibError: rows of another kind than the backbone was built for
    """
    if backbone.rows is None:
        return DomainStore(domain, backbone.preprocess, device)
    shape = row_shape(domain.x)
    if not backbone.rows.accepts(shape):
        raise DalibError(
            f"domain '{domain.name}' has rows {shape}; backbone '{backbone.name}' was built for rows {backbone.rows}"
        )
    if backbone.rows.fields:
        return FieldStore(domain, backbone.parts, device, backbone.rows)
    return DomainStore(domain, None, device, backbone.rows)
