"""The table: Office-31's 31 classes, in alphabetical order."""

from __future__ import annotations

from .primitives import Drawing
from .table_electronics import ELECTRONICS
from .table_furniture import FURNITURE
from .table_stationery import STATIONERY

OBJECTS: dict[str, Drawing] = dict(sorted((FURNITURE | ELECTRONICS | STATIONERY).items()))
