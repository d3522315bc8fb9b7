"""
From what a config says about a pair to rules that can be applied to records.

Pure. `compile_pair` reports every problem of a pair at once; the `PairRule` it returns is all that the later stages
(match, detect, merge, plan) know about the mapping.
"""

from __future__ import annotations

from syncengine.core.mapping.compile import compile_known_pair, compile_pair
from syncengine.core.mapping.digests import SCHEMA, mapping_digest
from syncengine.core.mapping.rules import FieldRule, Locate, PairRule, Resolve
from syncengine.core.unmappable import Unmappable, Unresolved, UnresolvedKey

__all__ = [
    "SCHEMA",
    "FieldRule",
    "Locate",
    "PairRule",
    "Resolve",
    "Unmappable",
    "Unresolved",
    "UnresolvedKey",
    "compile_known_pair",
    "compile_pair",
    "mapping_digest",
]
