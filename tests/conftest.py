"""What holds for every test: hypothesis without deadlines, for shared machines stall."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("syncengine", deadline=None)
settings.load_profile("syncengine")
