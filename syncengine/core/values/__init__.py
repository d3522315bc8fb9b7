"""
Canonical values: what a native value means, whatever system delivered it.

Pure. `read_*` makes the reader of a field on one side (native -> canonical), `write_*` the writer, `comparer` what
decides whether two values mean the same. They are made once per field and side and then called per value.
"""

from __future__ import annotations

from syncengine.core.unmappable import Unmappable, Unresolved, UnresolvedKey
from syncengine.core.values.base import Reference, Value
from syncengine.core.values.image import is_lossy_image
from syncengine.core.values.shortfall import Lack, Shortfall, shortfall
from syncengine.core.values.text import is_blank

__all__ = [
    "Lack",
    "Reference",
    "Shortfall",
    "Unmappable",
    "Unresolved",
    "UnresolvedKey",
    "Value",
    "is_blank",
    "is_lossy_image",
    "shortfall",
]
