"""Why a value cannot be used. Pure; the texts never hold the value itself."""

from __future__ import annotations


class Unmappable(Exception):
    """A native value has no canonical form, or a canonical value no native one; the text says why and how to cure it."""


class Unresolved(Exception):
    """A reference cannot be written yet: what it points to has no id on that side."""


class UnresolvedKey(Exception):
    """A match key cannot be made yet: a reference that is part of it points to something that is not linked."""
